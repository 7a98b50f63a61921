"""Imported once by the server that section processes are forked from: the carried packages, torch, benchbench."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_sections.carried import SITE, use

if site := os.environ.get(SITE):
    use(Path(site))

import torch  # noqa: F401  after `use`, like the rest

import benchbench.cli.run
import benchbench.runner.evaluate
import benchbench.runner.run  # noqa: F401
