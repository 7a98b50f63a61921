"""Which metric chose the weights stands in the record that a run leaves, and on its board."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchbench
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells
from benchbench.views.board import boards

TINY = ["training.steps=4", "batch_size=16", "latent=4"]


@pytest.mark.costly
def test_in_the_record(tmp_path: Path) -> None:
    """The last weights, those of the lowest distance on the network that the monitor looked with, those of the lowest
    validation loss; the board marks the number that chose, which ranks, too."""
    settings = {
        "last": ["monitor_every=2"],
        "fd_cnn_digits": ["monitor_every=2", "checkpoint=best"],
        "validation_loss": ["patience=2"],
    }
    steps = {}
    for by, more in settings.items():
        options = {"samples": 16, "metrics": ["fd"], "extractors": ["cnn_digits"], "device": "cpu"}
        ((path, _),) = run_cells(
            "vae-mlp", "digits", overrides=[*TINY, *more], out=tmp_path, name=by, **options
        )
        run = read_run_json(path / "run.json")
        made, steps[by] = run["protocol"], run["training"]["best_step"]
        assert made["checkpoint"] == ("last" if by == "last" else "best")
        assert made["chosen_by"] == (None if by == "last" else by)
    found = next(board for board in boards(benchbench.load_results(tmp_path)) if board.headline)
    entries = {name: [entry.chosen for entry in row if entry] for name, row in found.rows}
    assert [name for name, marks in entries.items() if any(marks)] == ["fd_cnn_digits"]
    (note,) = [
        note for note in found.notes if note.startswith("checkpoint: last, but best fd_cnn_digits for")
    ]
    assert "best validation_loss for validation_loss" in note
    assert f"(step {steps['fd_cnn_digits']})" in note
