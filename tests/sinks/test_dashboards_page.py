"""The commands of docs/dashboards.md, as they stand, one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchbench.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "dashboards.md"

pytestmark = pytest.mark.slow


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is logged to all three, and its record in every place that the page names: each leaves the files that
    the page says."""
    for library in ("tensorboard", "wandb", "mlflow"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(lines) == 6
    for words in lines:
        while "=" in words[0]:
            monkeypatch.setenv(*words.pop(0).split("=", 1))
        assert words.pop(0) == "benchbench"
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        assert "stopped" not in done.stderr
    for files in (
        "runs/.tensorboard/digits/vae-mlp/*/events.*",
        "runs/.wandb/wandb/offline-run-*/*.wandb",
        "runs/.mlflow/*/*/metrics/curves/loss",
        "tb/digits/vae-mlp/*/events.*",
        "wandb-files/wandb/offline-run-*/*.wandb",
        "mlflow-files/*/*/metrics/curves/loss",
        "tables/curves.csv",
        "my-model/README.md",
        "my-model/weights.safetensors",
        "my-model/.eval_results/OWNER_NAME.yaml",
    ):
        assert len(list(tmp_path.glob(files))) == 1, files
