"""What the process that forks cells has imported, no cell imports again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchbench.core.children import python_environment

COUNTED = """
import sys
from benchbench.runner.executors.forks import _Server
server = _Server()
before = set(sys.modules)
import torch
from benchbench.core.runtime import Runtime
from benchbench.models.build import build_model
from benchbench.core.protocols import ImageSpec
from benchbench.runner.describe import before as known
from benchbench.tasks.speed import measure_cost
model = build_model("vae-mlp", {}, ImageSpec(8, 8, grey=True, n_classes=10)).eval()
measure_cost(model, device=torch.device("cpu"))
known(Runtime())
new = [name for name in set(sys.modules) - before if not name.startswith("benchbench.models")]
sys.__stderr__.write(f"NEW {len(new)} {sorted(new)[:5]}")
"""


@pytest.mark.costly
def test_cells_import_nothing_of_torch_again() -> None:
    """torch imports eight hundred modules with the first operation that is counted, a second of the processor in every
    child: they are there already. What is left is a handful at most, such as the module of a model's family."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], env=python_environment(), capture_output=True, text=True, check=True
    )
    new = int(done.stderr.rpartition("NEW ")[2].split()[0])
    assert new < 10, done.stderr
