"""Training over several ranks: the weights of one process, and a refusal where they would be others.

Expected is what the same training leaves in one process, in the same program: batch i is the same images, each image
has the same random numbers, and gradients are the same sums in another order. Weights are of the size of 0.1 and moved
by some 0.01 here; float32 sums of a dozen terms in another order differ by some 1e-7 of them, hence 2e-5.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from jobs import ended, started

pytestmark = [pytest.mark.costly, pytest.mark.slow]

PROGRAM = """
import json, sys
import torch
import benchbench
from benchbench.core.errors import InputError
from benchbench.core.comm import ALONE
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training.batches import Other
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

generator = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (40, 1, 8, 8), generator=generator, dtype=torch.uint8).expand(-1, 3, -1, -1).contiguous()
labels = torch.arange(40) % 4

def trained(case, comm):
    torch.manual_seed(1)
    model = build_model(case["model"], case["hyper"], ImageSpec(8, 8, True, 4))
    other = Other(images.flip(0), images[:4], aligned=False) if case.get("domains") else None
    data = TrainingData(images, None if other else labels, images[:8], other)
    config = TrainingConfig(**{"steps": 3, "batch_size": 11, "optimizer": "sgd", "lr": 0.01} | case.get("training", {}))
    found = train(model, data, config, seed=5, device=torch.device("cpu"), comm=comm)
    return model.state_dict(), found.curves[-1]

said = {}
with benchbench.ranks() as comm:
    for name, case in json.loads(sys.argv[1]).items():
        try:
            ours, row = trained(case, comm)
        except InputError as error:
            said[name] = {"refused": str(error)}
            continue
        if comm.rank == 0:
            alone, expected = trained(case, ALONE)
            apart = {key: float((ours[key].double() - alone[key].double()).abs().max()) for key in alone}
            torch.manual_seed(1)
            start = build_model(case["model"], case["hyper"], ImageSpec(8, 8, True, 4)).state_dict()
            moved = max(float((start[key].double() - alone[key].double()).abs().max()) for key in alone)
            said[name] = {"apart": apart, "moved": moved, "row": row, "expected": expected}
if comm.rank == 0:
    print(json.dumps(said))
"""
NET = {"width": 2, "multiples": [1], "dropout": 0.3}
EQUAL: dict[str, dict[str, Any]] = {
    "reparametrised": {"model": "vae-mlp", "hyper": {"latent": 4}, "training": {"ema_decay": 0.5}},
    "clipped": {"model": "vae-mlp", "hyper": {"latent": 4}, "training": {"clip_norm": 0.5, "optimizer": "adam"}},
    "in parts": {"model": "vae-mlp", "hyper": {"latent": 4}, "training": {"batch_size": 20, "accumulate": 3}},
    "batch norms of two players": {"model": "dcgan", "hyper": {"latent": 6, "width": 4}},
    "dropout of real and generated": {"model": "gan", "hyper": {"latent": 6, "width": 8}},
    "gradient penalty": {"model": "wgan-gp", "hyper": {"latent": 6, "width": 4}, "training": {"lr": 1e-4}},
    "augmented": {
        "model": "sngan",
        "hyper": {"latent": 6, "width": 4},
        "training": {"diffaugment": "color,translation,cutout"},
    },
    "by class": {
        "model": "cgan",
        "hyper": {"latent": 6, "width": 4},
        "training": {"class_balanced": True, "ema": {"kind": "halflife", "images": 20}},
    },
    "times, noise and dropped labels": {
        "model": "ddpm",
        "hyper": {**NET, "conditional": True, "label_dropout": 0.5},
    },
}
REFUSED: dict[str, dict[str, Any]] = {
    "deviation of a minibatch": {
        "model": "stylegan2",
        "hyper": {"latent": 6, "width": 4, "max_width": 8},
    },
    "codebook moved by what it sees": {"model": "vqvae", "hyper": {"width": 4, "codes": 8, "dim": 4, "residual": 0}},
    "pool of old images": {
        "model": "cyclegan",
        "hyper": {"width": 4, "blocks": 1, "disc_layers": 1},
        "domains": True,
    },
    "fewer than two images a rank": {"model": "vae-mlp", "hyper": {}, "training": {"batch_size": 3}},
}


@cache
def said(size: int) -> dict[str, dict[str, Any]]:
    """What a job of that size found of each case."""
    (code, out, err), *others = ended(started(size, ["-c", PROGRAM, json.dumps(EQUAL | REFUSED)]))
    assert (code, [other[0] for other in others]) == (0, [0] * (size - 1)), err
    found: dict[str, dict[str, Any]] = json.loads(out.splitlines()[-1])
    return found


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("case", EQUAL)
def test_weights_are_those_of_one_process(case: str, size: int) -> None:
    """After three steps on batches of which the ranks have unequal shares: weights, running statistics of batch norms,
    averages, and the row of the curves; and they did move."""
    found = said(size)[case]
    assert "refused" not in found, found
    assert found["moved"] > 1e-4
    assert max(found["apart"].values()) < 2e-5, found["apart"]
    assert found["row"] == pytest.approx(found["expected"], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_another_model_is_refused(case: str) -> None:
    """Losses that look at a batch as a whole, and batches that are too small, in one sentence with the way out."""
    refused = said(2)[case]["refused"]
    assert ("without torchrun" in refused) == (case != "fewer than two images a rank")
    assert "looks at the images of a batch together" in refused or "start fewer ranks" in refused
