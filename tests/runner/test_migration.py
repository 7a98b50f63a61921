"""Records of schema 1, written by the code of its time, carried over: their numbers stay and a run finds them again.

`fixtures/schema-1` holds what `benchbench.run` and `benchbench.evaluate` left before schema 2, without pictures and
weights: nst on photographs (iterations were a hyper-parameter), pix2pix on openmoji-lines (a direction was a task),
vae-mlp on digits under a name, watched, with a metric that failed, and images that `evaluate` scored.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.models.identity import code_hash
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.results.store import Store
from benchbench.results.tables import read_rows
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.rekey.identities import CALLED, identity_now
from benchbench.runner.rekey.migration import migrate
from benchbench.runner.spec import CellSpec

FIXTURE = Path(__file__).parents[1] / "fixtures" / "schema-1"
CELLS: dict[str, dict[str, Any]] = {
    "nst": {
        "dataset": "photographs",
        "size": 32,
        "overrides": ["iterations=2"],
        "metrics": ["content_distance"],
    },
    "pix2pix": {
        "dataset": "openmoji-lines",
        "size": 32,
        "samples": 8,
        "overrides": ["steps=1", "batch_size=4", "width=4"],
        "metrics": ["ssim", "psnr", "psnr_hints5", "mse"],
    },
    "vae-mlp": {
        "dataset": "digits",
        "samples": 20,
        "overrides": ["steps=4", "monitor_every=2", "checkpoint=best", "latent=4"],
        "metrics": ["fd", "ssim", "ndb"],
        "extractors": ["cnn_digits"],
        "name": "Mine",
    },
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the records of schema 1."""
    return shutil.copytree(FIXTURE, tmp_path / "runs")


@pytest.mark.costly
@pytest.mark.parametrize("model", sorted(CELLS))
def test_a_run_finds_its_record_again(model: str, old: Path) -> None:
    """The key that the same request has today is the name of the folder, and its weights are known by the key that
    their training has today: what `make_plans` says, which knows nothing of the migration."""
    list(migrate(old))
    options = CELLS[model]
    (plan,) = make_plans(CellSpec.of(model=model, **options), [0], Desk(Runtime()))
    folder = Store(old).find(plan.dataset.name, model, plan.key)
    assert folder is not None
    run = read_run_json(folder / "run.json")
    assert run["training_key"] == plan.training_key
    assert run["settings"] == plan.settings
    assert run["config"] == plan.config.model_dump(mode="json")
    assert run["sampling"] == plan.sampling.model_dump(mode="json")
    assert run["recipe"] == plan.recipe.model_dump(mode="json")


def test_no_number_changes(old: Path) -> None:
    """Every row is what it was, but for its cell and the direction, which was a part of the task's name; and so is
    every other file and fact."""
    before = {file.parent: (read_rows(file), json.loads((file.parent / "run.json").read_text()))
              for file in sorted(old.rglob("metrics.csv"))}  # fmt: skip
    digests = {
        folder: file_sha256(folder / "curves.csv") for folder in before if (folder / "curves.csv").exists()
    }
    moved = list(migrate(old))
    assert {record.before for record in moved} == set(before)
    for record in moved:
        rows, run = before[record.before]
        now = read_run_json(record.after / "run.json")
        strip = {"cell": "", "task": "", "direction": ""}
        assert [row.as_dict() | strip for row in read_rows(record.after / "metrics.csv")] == [
            row.as_dict() | strip for row in rows
        ]
        for name in (
            "provenance",
            "machine",
            "data",
            "extractors",
            "seed",
            "finished",
            "training",
            "monitor",
        ):
            assert now.get(name) == run.get(name)
        assert now["files"] == run["files"] | {"metrics.csv": file_sha256(record.after / "metrics.csv")}
        if record.before in digests:
            assert file_sha256(record.after / "curves.csv") == digests[record.before]
    frame = load_results(old)
    translated = frame[frame["dataset"] == "openmoji-lines"]
    assert set(translated["task"]) == {"translation", "training"}
    assert set(translated[translated["task"] == "translation"]["direction"]) == {"AtoB"}


def test_what_cannot_be_asked_for_again_is_kept(old: Path) -> None:
    """`evaluate` does not keep the digests that its key is made of: a key of its own, the same every time."""
    (record,) = [moved for moved in migrate(old) if moved.before.parent.name == "images"]
    assert record.state == "under a key of its own"
    assert len(load_results(record.after)) == 1
    again = shutil.copytree(FIXTURE, old.parent / "again")
    (other,) = [moved for moved in migrate(again) if moved.before.parent.name == "images"]
    assert other.after.name == record.after.name


def test_code_that_nobody_knows_is_kept_too(old: Path) -> None:
    """A record of a model that was changed since: its numbers stay, and no run of today takes them for its own."""
    file = next(old.glob("digits/*/*/run.json"))
    file.write_text(file.read_text().replace('"code_hash": "', '"code_hash": "0'))
    (record,) = [moved for moved in migrate(old) if moved.before == file.parent]
    assert record.state == "under a key of its own"


@pytest.mark.costly
def test_once_more_changes_nothing(old: Path) -> None:
    """Nor does a kill between writing the new record and removing the old one."""
    first = {moved.after for moved in migrate(old)}
    assert {moved.state for moved in migrate(old)} == {"as it was"}
    left = next(FIXTURE.glob("digits/*/*"))
    shutil.copytree(left, old / left.relative_to(FIXTURE))
    assert {moved.after for moved in migrate(old)} == first
    assert {file.parent for file in old.rglob("run.json")} == first


def test_a_damaged_record_is_named_and_stays(old: Path) -> None:
    """Numbers that were edited are not carried over as if they had been measured."""
    file = next(old.glob("digits/*/*/metrics.csv"))
    file.write_text(file.read_text().replace("digits", "mnist"))
    with pytest.raises(InputError, match=r"is not what run\.json lists") as error:
        list(migrate(old))
    assert str(file) in str(error.value)
    assert file.exists()
    with pytest.raises(InputError, match="there is no folder"):
        list(migrate(old / "absent"))


def test_a_record_of_another_type_is_named_and_stays(old: Path) -> None:
    """Nobody could read it afterwards."""
    file = next(old.glob("digits/*/*/run.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"config": "latent=4"}))
    with pytest.raises(
        InputError, match="states a wrong config: input should be a valid dictionary"
    ) as error:
        list(migrate(old))
    assert str(file) in str(error.value)
    assert file.exists()


def test_older_records_say_what_to_do(old: Path) -> None:
    """Whoever reads a folder of schema 1 is told the command."""
    with pytest.raises(InputError, match=r"schema version 1 .*; benchbench migrate"):
        load_results(old)


def test_identities_are_those_of_today() -> None:
    """What the table calls a model's code is what `code_hash` calls it: a change of a model's code that is to change no
    number needs its line here, and any other change makes records of before unreachable on purpose, by dropping it."""
    for model, names in CALLED.items():
        assert set(names.values()) == {code_hash(MODELS.get(model))}
    assert identity_now("vae", "0" * 64) is None


def test_records_whose_numbers_changed_are_not_carried_over() -> None:
    """Flow matching asks nothing at the end of Heun's way any more; by every other solver it draws what it drew."""
    old, before = "b38d74ab400614ebe6be6d846efb1ed0", "0" * 32
    now = CALLED["flow-matching"][old]
    assert identity_now("flow-matching", old + before, {"solver": "euler", "steps": 25}) == now
    assert identity_now("flow-matching", old + before, {"solver": "heun", "steps": 25}) is None
    assert identity_now("flow-matching", now, {"solver": "heun"}) == now
