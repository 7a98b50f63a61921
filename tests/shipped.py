"""Edits of held-out digits by weights that ship, from the command."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.results.load import load_results


def of_shipped(model: str, out: Path, *more: str) -> tuple[pd.Series, Path]:
    """The values of `latent-edit` by task and metric, and the folder of the record. more: words of the command."""
    command = ["run", "--model", model, "--dataset", "digits", "--pretrained", "--task", "latent-edit"]
    done = CliRunner().invoke(cli, [*command, "--extractor", "cnn_digits", "--out", str(out), *more])
    assert done.exit_code == 0, done.output
    (folder,) = (out / "digits" / model).iterdir()
    return load_results(folder).set_index(["task", "metric"]).value, folder
