"""Cells of a file of somebody's are planned in a process apart: what its code does there costs its own cells alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from noted import Notes
from test_given_cells import dataset_of

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.runtime import Runtime
from benchbench.results.store import Store
from benchbench.runner import plan_apart
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.plan_apart import PlannedApart
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import Suite, plan_suite

CPU = torch.device("cpu")
SOUND = """
import torch
print("what it prints is no answer")
def draws(z):
    return torch.tanh(z[:, :3, None, None].expand(-1, -1, 8, 8))
"""
ABORTS = """
import os
def make_generator():
    print("cannot find the driver", flush=True)
    os.abort()
"""
REFUSED = """
def make_generator(nz):
    pass
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, code in (("sound", SOUND), ("aborts", ABORTS), ("refused", REFUSED)):
        (tmp_path / f"{name}.py").write_text(code)
    dataset_of(tmp_path / "images")
    return tmp_path


@pytest.mark.costly
def test_a_generator_that_aborts_costs_its_own_cells(files: Path) -> None:
    """SIGABRT, which no `except` sees: its cells cannot be planned, and say why, while those before and after it are
    planned under the keys that they have in this process."""
    settings = {"samples": 16, "metrics": ["swd"], "set": {"latent": 4}}
    models = [f"generator:{files}/sound.py:draws", f"generator:{files}/aborts.py", "noise"]
    suite = Suite.model_validate(
        {
            "models": models,
            "datasets": [str(files / "images")],
            "seeds": 2,
            "settings": {key: said for key, said in settings.items() if key != "set"},
            "override": [
                {"match": {"model": models[0]}, "set": settings["set"]},
                {"match": {"model": models[1]}, "set": settings["set"]},
            ],
        }
    )
    cells = plan_suite(suite, Store(files / "out"), device=CPU)
    assert [(cell.kept_as, cell.state) for cell in cells] == [
        *[("generator-sound", "new")] * 2,
        *[("generator-aborts", "broken")] * 2,
        *[("noise", "new")] * 2,
    ]
    assert cells[2].reason == (
        f"the model '{models[1]}' ended the process that planned it (ended by SIGABRT), which last said: cannot find "
        "the driver"
    )
    here = make_plans(cells[0].spec, [0, 1], Desk(Runtime()))
    assert [plan.key for plan in here] == [cell.key for cell in cells[:2]]


@pytest.mark.costly
def test_what_is_refused_stays_refused(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of a plan in this process, and one process plans them all: it is started once, and ended."""
    started = []

    class Counted(plan_apart.subprocess.Popen):  # type: ignore[misc, type-arg]
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)
            started.append(self)

    monkeypatch.setattr(plan_apart.subprocess, "Popen", Counted)
    asked = [
        CellSpec.of(model=f"generator:{files}/{what}", dataset=str(files / "images"), overrides=own, metrics="swd")
        for what, own in (("refused.py", {}), ("sound.py:draws", {"latent": 4, "layout": "NHWC"}))
    ]  # fmt: skip
    with PlannedApart(CPU, Notes()) as apart:
        for spec in asked:
            said = []
            for plan in (apart.plan, lambda spec, seeds: make_plans(spec, seeds, Desk(Runtime()))):
                with pytest.raises((InputError, CellFailed)) as caught:
                    plan(spec, [0])
                said.append((type(caught.value), str(caught.value)))
            assert said[0] == said[1]
    (process,) = started
    assert process.returncode == -signal.SIGKILL
