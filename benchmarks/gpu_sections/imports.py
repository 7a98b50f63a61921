"""Imported once by the server that section processes are forked from: the carried packages, torch, benchbench."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path

from gpu_sections.carried import SITE, use

if site := os.environ.get(SITE):
    use(Path(site))

try:
    for name in ("torch", "benchbench.cli.run", "benchbench.runner.run", "benchbench.runner.evaluate"):
        importlib.import_module(name)
except Exception:  # each section will meet it and say so; without a server there would be no section
    traceback.print_exc()
