"""What the process that forks cells has imported, no cell imports again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchbench.core.children import python_environment

COUNTED = """
import sys
from pathlib import Path
from benchbench.runner.executors.forks import _Server
server = _Server()
import benchbench
from benchbench.runner.executors.job import JobSpec
from benchbench.runner.spec import CellSpec
asked = {"model": "vae", "dataset": "digits", "overrides": ["steps=2"], "metrics": ["ndb", "ct", "clipped_coverage"]}
where = {"out": Path(sys.argv[1]), "folder": Path(sys.argv[1]), "dataset": "digits", "model": "vae", "device": "cpu"}
server.warm(JobSpec(spec=CellSpec.of(**asked, samples=60), key="0" * 16, environment={}, **where))
before = set(sys.modules)
benchbench.run(**asked, samples=60, out=sys.argv[1], device="cpu")
new = sorted(set(sys.modules) - before)
sys.__stderr__.write(f"NEW {' '.join(name for name in new if not name.startswith('benchbench.'))}")
"""


@pytest.mark.costly
def test_cells_import_nothing_heavy_again(tmp_path: Path) -> None:
    """torch imports eight hundred modules with the first operation that is counted, a second of the processor in every
    child; matplotlib, scikit-learn and `scipy.stats` half a second each, where a cell is what they are for. They are
    there already. What is left is a handful at most."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(tmp_path)],
        env=python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    new = done.stderr.rpartition("NEW ")[2].split()
    assert len(new) < 10, new
