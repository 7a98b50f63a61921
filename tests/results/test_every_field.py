"""Each field of a run.json, with whatever may stand there: the schema decides once, and all readers hear the same.

The fields come from the schema, so one that is added is tried as well, or the first test fails.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError

from benchbench.core.errors import BenchbenchError, InputError
from benchbench.results.claims.gate import check
from benchbench.results.claims.gate_config import load_gate
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_results, load_runs
from benchbench.results.manifest import RunFacts, RunManifest
from benchbench.results.provenance import SEAL, sealed, write_run_json
from benchbench.results.record import Row
from benchbench.results.select_records import select
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.rekey.migration import migrate
from benchbench.runner.suite import load_suite, plan_suite
from benchbench.views.leaderboard import leaderboard
from benchbench.views.report import render_report

MakeRow = Callable[..., Row]
Path_ = tuple[str | int, ...]
SHA = "ab" * 32
TRAINING = {"lr": 1e-3, "betas": [0.5, 0.9], "player_lr": {"generator": 1e-4}, "on_collapse": "stop"}
WHOLE: dict[str, Any] = {
    "provenance": {
        "benchbench": "0.1.0",
        "code_revision": SHA[:40],
        "python": "3.11",
        "platform": "Linux",
        "packages": {"torch": "2.9", "resvg-py": None},
        "decoder": "Pillow 12.0.0 (libjpeg-turbo 3.1.0), 2 threads",
        "command": "benchbench run",
        "started": "2026-01-01T00:00:00Z",
    },
    "machine": {
        "device": "cpu",
        "device_name": "a processor",
        "processor": "a processor",
        "cores": 2,
        "threads": 1,
        "memory_gib": 15.5,
        "load_1min": 1.25,
        "ranks": 2,
        "platform": "Linux",
    },
    "name": None,
    "variant": "",
    "settings": {"lr": "0.001", "weights": None},
    "control": False,
    "seed": 0,
    "n_samples": 16,
    "data": {
        "train": {"n": 898, "fingerprint": SHA},
        "held_out": {"n": 899, "fingerprint": SHA},
        "fingerprint": SHA,
        "size": "32×32",
        "decoder": "Pillow 12",
        "notes": ["a note"],
        "source": {"kind": "package"},
        "canonical": False,
        "domains": {"A": {"train": {"n": 1, "fingerprint": SHA}, "held_out": {"n": 1, "fingerprint": SHA}}},
        "n": 898,
        "imported": False,
        "statistics_sha256": SHA,
    },
    "extractors": {
        "efficientnet_lite0": {
            "weights_sha256": SHA,
            "resize": "bicubic",
            "precision": "float32",
            "unavailable": "why",
        }
    },
    "status": "finished",
    "finished": "2026-01-01T00:01:00Z",
    "seconds": {"training": 1.5, "evaluation": 2.5},
    "artefacts": [{"file": "samples.png", "kind": "samples", "caption": "samples", "sha256": SHA}],
    "notes": ["another note"],
    "recipe": {"model": "vae", "hyper": {"latent": 4}, "sampling": {}, "training": TRAINING},
    "config": {"latent": 4},
    "sampling": {"steps": 3},
    "code_hash": SHA,
    "training_key": "ab" * 8,
    "weights_loaded_sha256": None,
    "selected_on": "held_out",
    "protocol": {
        "ema": 0.99,
        "batch_norm": "running",
        "labels": "uniform",
        "checkpoint": "best",
        "chosen_by": "fd_efficientnet_lite0",
        "precision": "fp32",
    },
    "monitor": {"every": 50},
    "collapse": {"step": 10, "words": "one mode", "rule": "modes"},
    "training": {
        "images_per_second": 100.0,
        "n_steps": 10,
        "seconds": 1.5,
        "stopped_early": False,
        "peak_memory_mib": 100.0,
        "collapse": {"step": 10, "words": "one mode", "rule": "modes"},
        "best_step": 5,
        "selected_on": None,
        "machine_busy": 0.1,
    },
    "classes": {"judge": "cnn_digits", "names": ["0", "1"], "generated": [8, 8], "reference": [4, 12]},
    "duplicates_among_real": {"efficientnet_lite0": 0.01},
    "samples": {
        "n": 16,
        "fingerprint": SHA,
        "size": "32×32",
        "options": {"size": 32},
        "generator_sha256": None,
    },
    "request": SHA,
    "people": {
        "study": SHA[:16],
        "name": "ours",
        "kind": "pairwise",
        "question": "Which of the two looks better?",
        "ties": True,
        "cell": SHA[:16],
        "raters": 17,
        "left_out": [{"rater": SHA[:16], "why": "3 of 20 check items right"}],
        "remarks": ["left in 80 of 80 answers"],
        "pass_checks": 0.9,
        "answers": 1020,
        "items": 60,
        "answers_sha256": SHA,
        "agreement": {"alpha": 0.4, "low": 0.3, "high": 0.5, "items": 60},
        "hype_infinity": {"value": 0.4, "low": None, "high": None},
        "apart": [{"other": "theirs", "value": 0.5, "low": 0.1, "high": 0.9, "p": 0.02, "detectable": 0.6}],
        "from_chance": {
            "metric": "human_miss_rate",
            "chance": 0.5,
            "value": 0.4,
            "p": 0.02,
            "detectable": None,
        },
    },
}
"""Every field there is; no run states all of them."""
OTHERS: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 2**70, 1e308, "", "x" * 900, [], [None], [1, "a"], {}, {"x": [1, {}]}),
    json.loads("[" * 60 + "]" * 60),
)
"""What may stand anywhere."""
ABSENT = object()


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Where anything stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, own in inner:
        yield (*here, name)
        yield from paths(own, (*here, name))


def put(run: dict[str, Any], where: Path_, value: Any) -> dict[str, Any]:
    """The same with another value at one place, or without it."""
    changed = copy.deepcopy(run)
    home: Any = changed
    for name in where[:-1]:
        home = home[name]
    if value is ABSENT:
        del home[where[-1]]
    else:
        home[where[-1]] = value
    return changed


def fields(model: type[BaseModel], here: str = "") -> Iterator[str]:
    """The dotted names in a schema, those of parts as well."""
    for name, field in model.model_fields.items():
        yield here + name
        for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            for kind in [part, *getattr(part, "__args__", ())]:
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    yield from fields(kind, f"{here}{name}.")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, make_row: MakeRow) -> tuple[Path, Path]:
    """`runs` with the record `WHOLE`, and `good` with a plain one of the same model."""
    root = tmp_path_factory.mktemp("stores")
    for name, facts in (("runs", WHOLE), ("good", {"seed": 0})):
        row = make_row(model="noise", cell="ab" * 8)
        with Store(root / name).write("digits", "noise", row.cell, RunFacts(**facts)) as folder:
            write_rows(folder / "metrics.csv", [row])
            (folder / "samples.png").write_bytes(b"no picture")
    suite = 'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'
    (root / "suite.toml").write_text(suite)
    return root / "runs", root / "good"


def readers(root: Path, good: Path) -> dict[str, Callable[[], object]]:
    """Whoever reads a run.json."""
    return {
        "load_results": lambda: load_results(root),
        "load_runs": lambda: load_runs(root),
        "leaderboard": lambda: leaderboard(load_results(root)),
        "compare": lambda: compare(load_results(root), load_results(good)),
        "select": lambda: select(["model=noise"], root)[0].settings,
        "check": lambda: check(good, root, load_gate()),
        "report": lambda: render_report(root),
        "find": lambda: Store(root).find("digits", "noise", "ab" * 8),
    }


def heard(read: Callable[[], object]) -> str:
    """The sentence with which a reader refuses, "" where it reads; whatever else is raised fails the test."""
    said = ""
    try:
        read()
    except BenchbenchError as error:
        said = str(error)
    assert "bug" not in said
    assert len(said) < 2000
    return said


def test_every_field_is_tried() -> None:
    """By the definition: `WHOLE` has a value for each field of the schema but those that the store seals with."""
    stated = {".".join(str(name) for name in where if isinstance(name, str)) for where in paths(WHOLE)}
    known = {name.replace("data.domains.", "data.domains.A.") for name in fields(RunManifest)}
    known = {name.replace("extractors.", "extractors.efficientnet_lite0.") for name in known}
    assert known - stated == {"schema_version", "cell", "dataset", "model", "files", "content_sha256"}


@pytest.mark.parametrize(
    "every",
    [pytest.param(3, marks=pytest.mark.slow), pytest.param(107, marks=pytest.mark.costly)],
    ids=["a third", "some"],
)
def test_the_schema_decides_for_all_readers(stores: tuple[Path, Path], every: int) -> None:
    """What the schema refuses, each reader refuses in one sentence with the file, the field and the way out; what it
    takes, each reads, or refuses in such a sentence too (a report needs more). There are sixteen values: of every third
    pair of field and value each field has five or six, and each value a third of the fields."""
    root, good = stores
    (file,) = root.rglob("run.json")
    whole = json.loads(file.read_text())
    tried = [(where, value) for where in paths(whole) for value in (*OTHERS, ABSENT) if where != (SEAL,)]
    refused = 0
    for where, value in tried[::every]:
        write_run_json(file, sealed(put(whole, where, value)))
        try:
            RunManifest.model_validate(json.loads(file.read_text()))
        except ValidationError:
            refused += 1
            said = {heard(readers(root, good)[name]) for name in ("load_results", "find")}
            (sentence,) = said
            assert str(file) in sentence
            assert "restore it" in sentence or "has schema version" in sentence  # of a later benchbench
            assert str(where[0]).replace("_", " ") in sentence.replace("_", " ")
            continue
        for name, read in readers(root, good).items():
            answer = heard(read)
            assert answer == "" or str(file.parent) in answer or name in ("compare", "check"), (where, value)
    write_run_json(file, whole)
    assert refused > len(tried) / every / 4


@pytest.mark.costly
@pytest.mark.parametrize("where", [("seed",), ("machine",), ("classes", "names"), ("training", "collapse")])
@pytest.mark.parametrize("value", [["x", 1], "x", 1.5], ids=["list", "text", "number"])
def test_all_verbs_refuse_in_the_same_words(
    stores: tuple[Path, Path], tmp_path: Path, where: Path_, value: object
) -> None:
    """The schema speaks: a suite and `migrate` too, which write."""
    root = shutil.copytree(stores[0], tmp_path / "runs")
    (file,) = root.rglob("run.json")
    run = json.loads(file.read_text())
    file.write_text(json.dumps(put(run, where, value)))
    said = {heard(read) for read in readers(root, stores[1]).values()}
    said |= {heard(lambda: list(migrate(root)))}
    suite = load_suite(stores[0].parent / "suite.toml")
    said |= {heard(lambda: plan_suite(suite, Store(root), device=torch.device("cpu")))}
    (sentence,) = said
    assert f"{file} states a wrong {'.'.join(map(str, where))}" in sentence


def test_a_change_by_hand_is_seen(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """Another machine under the same numbers: P33 of the review. What says the same in another form is read."""
    root = shutil.copytree(stores[0], tmp_path / "runs")
    (file,) = root.rglob("run.json")
    run = json.loads(file.read_text())
    forms = {
        "re-indented": json.dumps(run, indent=7),
        "on one line, in another order": json.dumps(dict(reversed(run.items()))),
        "not escaped": json.dumps(run, ensure_ascii=False, indent=2),
    }
    for form in forms.values():
        for text in (form, form.replace("\n", "\r\n"), "\ufeff" + form):
            file.write_bytes(text.encode())
            assert len(load_results(root)) == 1
    run["machine"]["device_name"] = "H100"
    file.write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"run\.json was changed after it was written"):
        load_results(root)
    del run[SEAL]  # as records were before there was one
    file.write_text(json.dumps(run))
    assert len(load_results(root)) == 1
