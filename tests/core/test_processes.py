"""`benchbench.Scorer` in a job of torch.distributed: two processes, as torchrun starts them, and the numbers of one.

Expected is what a process alone finds: the same images of the same numbers, whoever draws them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.costly, pytest.mark.slow]
PROGRAM = """
import json, sys
import torch
import torch.distributed as dist
from torch import nn
import benchbench

rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if size > 1:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
torch.manual_seed(0)
real = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
net = nn.Sequential(nn.Linear(4, 192), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))
if size > 1:
    net = nn.parallel.DistributedDataParallel(net)
scorer = benchbench.Scorer(real, ["fd", "recall"], samples=11, device="cpu")
found = scorer(net, 5)
one = benchbench.Scorer(real, "fd", samples=11, device="cpu", alone=True)(net) if rank == 0 else None
del found["seconds"]
print(json.dumps([found, one and {name: one[name] for name in one if name != "seconds"}]))
"""


def found(folder: Path, size: int) -> list[list[dict[str, float]]]:
    """What each rank of a job of that size says."""
    environment = {**os.environ, "BENCHBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(size), str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    said = [rank.communicate(timeout=900)[0] for rank in ranks]
    return [json.loads(text.splitlines()[-1]) for text in said]


def test_ranks_find_what_one_process_finds(tmp_path: Path) -> None:
    """Two ranks, of six images and five, both say the numbers of one process with eleven; one that is told to scores
    alone while the other goes on. Features differ in their last digits with the batch, hence 1e-4."""
    ((expected, _),) = found(tmp_path, 1)
    (first, alone), (second, _) = found(tmp_path, 2)
    assert first == second
    assert first == pytest.approx(expected, rel=1e-4)
    assert alone == {
        name: pytest.approx(value, rel=1e-4) for name, value in expected.items() if name.startswith("fd")
    }
