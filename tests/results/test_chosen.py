"""What chose the weights of a run, of records old and new."""

from __future__ import annotations

from typing import Any

import pytest

from benchbench.results.chosen import Chosen, chosen_of
from benchbench.results.manifest import RunFacts, RunManifest

TRAINING = {
    "images_per_second": 1.0, "n_steps": 90, "seconds": 1.0, "stopped_early": False, "peak_memory_mib": 1.0,
    "best_step": 40,
}  # fmt: skip
BEST = {"protocol": {"checkpoint": "best"}, "training": TRAINING}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Chosen()),
        ({"protocol": {"ema": 0.9}}, Chosen()),
        ({"protocol": {"checkpoint": "last"}, "training": TRAINING}, Chosen("last")),
        ({**BEST, "protocol": {"checkpoint": "best", "chosen_by": "fd_x"}}, Chosen("fd_x", 40)),
        ({**BEST, "monitor": {"judge": "cnn_digits"}}, Chosen("fd_cnn_digits", 40)),
        ({**BEST, "monitor": {"judge": "inception_v3"}}, Chosen("fid", 40)),
        ({**BEST, "monitor": {"judge": 5}}, Chosen(None, 40)),
        ({**BEST, "recipe": {"training": {"patience": 3}}}, Chosen("validation_loss")),
        ({"protocol": {"checkpoint": "best", "chosen_by": "fd_x"}}, Chosen("fd_x")),
    ],
)
def test_what_a_record_says(said: dict[str, Any], expected: Chosen) -> None:
    """New ones say it; of older ones the settings and the monitor's network do. A lowest distance that the monitor saw
    is no step that anything was chosen at where the last weights were kept, or the validation loss chose."""
    run = RunManifest.seal(RunFacts(**said), cell="0" * 16, dataset="digits", model="vae", files={})
    assert chosen_of(run) == expected
