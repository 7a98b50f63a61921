"""The files that `benchbench init` writes, as texts.

`docs/github-workflow.yml` is `WORKFLOW` to the byte; the gate is `results.claims.gate_config.DEFAULT_GATE`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

SUITE = """\
# What `benchbench suite suite.toml` runs: every model on every dataset under every seed. Cells that are done are
# skipped, so this file may grow. A line that begins with # is not in force. All keys: docs/results.md.

# Names, as `benchbench list models` has them. real, held-out images as they are, is no model: it says how near a
# distance could come. A generator of yours stands beside them, as in "generator:gen.py:Generator"
# (docs/your-generator.md).
models = {models}

# Names, as `benchbench list datasets` has them, or images of yours: a folder, .zip, .npz or .parquet. Paths are meant
# from the folder of this file.
datasets = {datasets}

# 0, 1, 2; or a list. What another seed would change is known only from several.
seeds = 3

# Of every cell, as the options of `benchbench run`.
[settings]
{size}                          # side of the images in pixels; without it as they come
# samples = 2000                     # images that a model makes; without it as many as the reference, up to 10,000
# metrics = ["fd", "kd", "recall"]   # names, "standard" or "all"; see `benchbench list metrics`
# sweep = {{ lr = [1e-3, 5e-4] }}      # a cell for every combination of values

# Settings of the cells that match; later ones win.
# [[override]]
# match = {{ model = {first} }}
# set = {{ batch_size = 64 }}

# Cells that are not wanted.
# [[exclude]]
# model = {last}
# seed = 2
"""

WORKFLOW = """\
# Fails a pull request that makes a model worse: runs suite.toml on the branch and holds its numbers against those of
# the target branch. Lies in .github/workflows/; `benchbench init --workflow github` writes it there. Needs on the
# target branch: suite.toml, gate.toml, and in results/ the records of `benchbench suite suite.toml --out results`.
name: benchbench

on:
  pull_request:

permissions:
  contents: read

env:
  # What is installed: a tag of the repository, or a path. Never the bare name: on the package index it is somebody
  # else's project.
  BENCHBENCH: git+https://github.com/OWNER/benchbench@v0.1.0

jobs:
  check:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4

      # Baseline and gate come from the target branch: a branch must not move its own bar.
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.base_ref }}
          path: baseline

      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"

      - name: install
        run: |
          python -m pip install torch torchvision "$BENCHBENCH"

      # The seeds of the baseline: then they are paired, and small changes are seen.
      - name: run
        run: |
          benchbench suite suite.toml --jobs 2

      - name: check
        run: |
          benchbench check --baseline baseline/results --tolerance baseline/gate.toml runs \\
            --junit junit.xml --json check.json --summary "$GITHUB_STEP_SUMMARY"

      - name: upload
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: benchbench
          path: |
            junit.xml
            check.json
          if-no-files-found: ignore
"""


def suite_text(models: Sequence[str], dataset: str, size: int | None) -> str:
    """The suite: some models on one dataset. size: the side in pixels that is in force, None for the dataset's own."""
    return SUITE.format(
        models=f"[{', '.join(map(toml_text, models))}]",
        datasets=f"[{toml_text(dataset)}]",
        size="# size = 32" if size is None else f"size = {size}  ",
        first=toml_text(models[0]),
        last=toml_text(models[-1]),
    )


def toml_text(text: str) -> str:
    r"""A text as a TOML basic string, whatever is in it: JSON's escapes are TOML's, but for DEL.

    >>> print(toml_text('my "own"'))
    "my \"own\""
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
