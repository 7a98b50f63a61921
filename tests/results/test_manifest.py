"""What run.json says, as types: nothing is lost or added, and what is wrong has a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchbench.core.errors import InputError
from benchbench.results.manifest import (
    Artefact,
    ModelRun,
    RunFacts,
    RunManifest,
    demand,
    with_facts,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "schema-1"
SEAL: dict[str, Any] = {"cell": "00112233aabbccdd", "dataset": "digits", "model": "vae"}
FILES = {"metrics.csv": "a" * 64, "samples.png": "b" * 64}


def sealed(**said: Any) -> dict[str, Any]:
    """A run.json as it is written."""
    return RunManifest.seal(RunFacts(**said), **SEAL, files=FILES).as_json()


@pytest.mark.parametrize("file", sorted(FIXTURES.rglob("run.json")), ids=lambda file: file.parent.parent.name)
def test_a_record_is_the_same_after_reading_and_writing(file: Path) -> None:
    """To the last byte, of records that the code of their time wrote: absent stays absent, null stays null, and what
    has no name here is kept."""
    text = file.read_text()
    run = json.loads(text)
    run["data"]["weather"], run["acme"] = {"wind": [1, 2.5, None]}, {"turned": 40}
    manifest = demand(file, RunManifest, run)
    assert json.dumps(manifest.as_json(), sort_keys=True) == json.dumps(run, sort_keys=True)
    assert (
        json.dumps(demand(file, RunManifest, json.loads(text)).as_json(), sort_keys=True, indent=2) + "\n"
        == text
    )


def test_a_seal_adds_cell_files_and_digests() -> None:
    """And nothing else: a fact that nobody stated is not written, one that is null is."""
    artefact = Artefact(file="samples.png", kind="samples", caption="drawn")
    assert sealed(monitor=None, artefacts=[artefact]) == {
        **SEAL,
        "schema_version": 2,
        "files": FILES,
        "monitor": None,
        "artefacts": [{"file": "samples.png", "kind": "samples", "caption": "drawn", "sha256": "b" * 64}],
    }
    assert artefact.sha256 is None  # whoever announced it still has what was announced


def test_a_fact_may_be_called_as_anything_here(tmp_path: Path) -> None:
    """Names of methods, of pydantic's own, and of Python's words are names like others to a package."""
    facts = {
        "stated": 1,
        "model_dump": 2,
        "as_json": [3],
        "class": {"self": 4},
        "model_config": 5,
        "with": None,
    }
    run = with_facts(RunFacts(seed=7), facts)
    assert RunManifest.seal(run, **SEAL, files={}).as_json() == {
        **SEAL, **facts, "seed": 7, "schema_version": 2, "files": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["seed", "cell", "files", "schema_version", "artefacts", "provenance", "request"]
)
def test_a_fact_takes_no_name_that_every_record_has(name: str) -> None:
    """A package would otherwise say of its run what is not so. Classes are for tasks to say."""
    with pytest.raises(ValueError, match=f"run.json says {name} of every run"):
        with_facts(RunFacts(seed=7), {name: 8})
    counts = {"names": ["a"], "generated": [3]}
    found = with_facts(RunFacts(seed=7), {"classes": counts}).classes
    assert found is not None
    assert found.generated == [3]


def test_whoever_makes_a_record_states_all_of_it() -> None:
    """`run` cannot forget a field: of an empty one each that is required is named."""
    with pytest.raises(ValidationError) as error:
        ModelRun()  # type: ignore[call-arg]
    named = {first["loc"][0] for first in error.value.errors()}
    assert named == ModelRun.model_fields.keys() - {
        "notes", "classes", "duplicates_among_real", "samples", "request", "people",
    }  # fmt: skip


def test_it_cannot_be_changed() -> None:
    """A manifest is what was written."""
    manifest = RunManifest.seal(RunFacts(seed=7), **SEAL, files=FILES)
    with pytest.raises(ValidationError, match="frozen"):
        manifest.seed = 8  # type: ignore[misc]


PATH = Path("runs") / "digits" / "vae" / "00112233aabbccdd" / "run.json"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"seed": "7"}, "states a wrong seed: input should be a valid integer"),
        ({"seed": True}, "states a wrong seed: input should be a valid integer"),
        ({"seed": 7.0}, "states a wrong seed: input should be a valid integer"),
        ({"variant": None, "settings": []}, "states a wrong settings: input should be a valid dictionary"),
        (
            {"data": {"train": {"n": "898"}}},
            r"states a wrong data\.train\.n: input should be a valid integer",
        ),
        ({"data": {"train": {}}}, r"does not state data\.train\.n"),
        ({"data": "digits"}, "states a wrong data: input should be a valid dictionary"),
        ({"training": {}}, r"does not state training\.images_per_second"),
        ({"files": None}, "states a wrong files: input should be a valid dictionary"),
        ({"artefacts": [{"kind": "a", "caption": "b"}]}, r"does not state artefacts\.0\.file"),
        (
            {"artefacts": [{"file": "../../secret", "kind": "a", "caption": "b"}]},
            r"states a wrong artefacts\.0\.file: '\.\./\.\./secret' is no file of the record",
        ),
        (
            {"artefacts": [{"file": "/etc/passwd", "kind": "a", "caption": "b"}]},
            r"artefacts\.0\.file: '/etc/passwd' is no file of the record",
        ),
        (
            {"artefacts": [{"file": "samples.png", "kind": "a", "caption": "b", "sha256": "c"}]},
            r"run\.json says of samples\.png another sha256 under artefacts than under files",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(said: dict[str, Any], sentence: str) -> None:
    """The file, the field, and the way out."""
    stated = {**SEAL, "schema_version": 2, "files": FILES, **said}
    with pytest.raises(InputError, match=sentence) as error:
        demand(PATH, RunManifest, stated)
    text = str(error.value)
    assert text.startswith(f"{PATH} ")
    assert text.endswith(f"; restore it, or delete the folder {PATH.parent} and run the cell again")
    assert "\n" not in text


@pytest.mark.parametrize("name", ["cell", "dataset", "model", "files", "schema_version"])
def test_a_record_without_its_seal_is_named(name: str) -> None:
    """None of what the store adds is ever absent."""
    stated = {**SEAL, "schema_version": 2, "files": FILES}
    del stated[name]
    with pytest.raises(InputError, match=f"does not state {name};"):
        demand(PATH, RunManifest, stated)


def test_a_reader_demands_what_it_needs() -> None:
    """By a class that requires it; null is a statement."""

    class Labelled(RunManifest):
        variant: str
        name: str | None

    stated = {**SEAL, "schema_version": 2, "files": {}, "variant": "lr=1", "name": None}
    assert demand(PATH, Labelled, stated).variant == "lr=1"
    for absent in ("variant", "name"):
        with pytest.raises(InputError, match=f"does not state {absent};"):
            demand(PATH, Labelled, {name: x for name, x in stated.items() if name != absent})
