"""Records scored again: two stores made by toy runs, as they are, with numbers tampered with, and with samples.

Expected: what the run itself recorded. The numbers come out of the same code on the same machine, so they are held to
the tolerance of the command and no closer.
"""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.hashing import file_sha256
from benchbench.results.load import records
from benchbench.results.provenance import sealed
from benchbench.results.verify import Verified
from benchbench.runner.rescore import Rescored, drawn_by_lot
from benchbench.verbs.verify import Verification

ASKED = {"metrics": ["fd", "recall", "swd"], "extractors": ["cnn_digits"], "device": "cpu"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store A: a VAE that keeps all of its 40 samples. Store B: one that keeps 256 of 300 and its weights, and a
    control."""
    root = tmp_path_factory.mktemp("stores")
    short = {"overrides": {"epochs": 1, "width": 4, "depth": 1, "latent": 2}}
    benchbench.run("vae-mlp", "digits", samples=40, out=root / "a", **short, **ASKED)
    benchbench.run("vae-mlp", "digits", samples=300, out=root / "b", **short, **ASKED)
    benchbench.run("noise", "digits", samples=300, out=root / "b", **ASKED)
    return root


@pytest.fixture
def stores(origin: Path, tmp_path: Path) -> Path:
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    return tmp_path


def cell(store: Path, model: str = "vae-mlp") -> Path:
    (found,) = (store / "digits" / model).iterdir()
    return found


def resealed(folder: Path, name: str, change: Callable[[Path], None]) -> None:
    """Change a file of a record, with all sums computed anew, as somebody does who means it."""
    change(folder / name)
    run = json.loads((folder / "run.json").read_text())
    run["files"][name] = file_sha256(folder / name)
    for artefact in run["artefacts"]:
        if artefact["file"] == name:
            artefact["sha256"] = run["files"][name]
    (folder / "run.json").write_text(json.dumps(sealed(run)))


def better(table: Path) -> None:
    """The distance, a tenth less of it."""
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    for row in rows:
        if row[header.index("metric")] == "fd_cnn_digits":
            for name in ("value", "low", "high"):
                row[header.index(name)] = str(float(row[header.index(name)]) * 0.9)
    with table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def brighter(samples: Path) -> None:
    with np.load(samples) as arrays:
        images = arrays["images"]
    np.savez(samples, images=np.clip(images.astype(int) + 20, 0, 255).astype(np.uint8))


@pytest.mark.costly
def test_a_variant_is_drawn_anew_as_that_variant(tmp_path: Path) -> None:
    """By the plain weights that it keeps and the techniques that it names: half of the weights gone moves the distance
    by more than the tolerance, as a record that hides them shows."""
    short = {"overrides": {"epochs": 1, "width": 4, "depth": 1, "latent": 2}, "variant": "pruned=0.5"}
    benchbench.run("vae-mlp", "digits", samples=300, out=tmp_path, **short, **ASKED)
    found = benchbench.verify(tmp_path, rescore=1, device="cpu")
    assert (found.exit_code, found.faults) == (0, [])
    assert found.rescored[0].how == "from 300 images, drawn anew"
    told = cell(tmp_path) / "run.json"
    run = json.loads(told.read_text())
    assert run["settings"].pop("technique") == "pruned=0.5"
    told.write_text(json.dumps(sealed(run)))
    assert benchbench.verify(tmp_path, rescore=1, device="cpu").exit_code == 1


@pytest.mark.costly
def test_what_was_written_comes_out_again(stores: Path) -> None:
    """All three: from the samples as they lie and, of the joined store what the first one did not have, from images
    drawn anew by weights and by a control. Which one the lot falls on goes by the seed."""
    found = benchbench.verify(stores / "a", rescore=1, device="cpu")
    assert (found.exit_code, found.faults, found.rescored[0].how) == (0, [], "from its 40 samples")
    assert found.rescored[0].compared == 3
    benchbench.merge([stores / "a", stores / "b"], into=stores / "c")
    found = benchbench.verify(stores / "c", rescore=9, known=stores / "a", device="cpu")
    assert found.exit_code == 0
    assert [own.how for own in found.rescored] == ["from 300 images, drawn anew"] * 2
    lots = {drawn_by_lot(list(records(stores / "c")), s)[0][1].cell for s in range(9)}
    assert len(lots) > 1


@pytest.mark.costly
def test_tampered_numbers_are_found(stores: Path) -> None:
    """By its sum where it was only edited; by scoring where the sums were computed anew."""
    folder = cell(stores / "a")
    whole = (folder / "metrics.csv").read_bytes()
    better(folder / "metrics.csv")
    assert "is not what run.json lists" in benchbench.verify(stores / "a").faults[0]
    (folder / "metrics.csv").write_bytes(whole)
    resealed(folder, "metrics.csv", better)
    assert benchbench.verify(stores / "a").faults == []
    found = benchbench.verify(stores / "a", rescore=2, device="cpu")
    assert found.exit_code == 1
    (fault,) = found.faults
    assert "fd_cnn_digits is" in fault
    assert "(10% apart)" in fault


def rewritten(**fields: str) -> Callable[[Path], None]:
    """The row of the distance with these fields."""

    def change(table: Path) -> None:
        with table.open(newline="") as file:
            header, *rows = csv.reader(file)
        for row in rows:
            if row[header.index("metric")] == "fd_cnn_digits":
                for name, text in fields.items():
                    row[header.index(name)] = text
        with table.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])

    return change


@pytest.mark.costly
def test_no_other_cell_hides_a_number(stores: Path) -> None:
    """A number that says that it is of other images, of another version or aspect, or of another task, is no other
    number than the one that comes out. The sums are computed anew each time."""
    folder = cell(stores / "a")
    whole = (folder / "metrics.csv").read_bytes()
    for field, text, said in (
        ("n_reference", "77", "has n_reference 77 and "),
        ("metric_version", "99", "has metric_version 99 and "),
        ("aspect", "throughput", "has aspect 'throughput' and 'quality'"),
        ("direction", "AtoB", "stands under generation_AtoB, and comes out under generation"),
    ):
        (folder / "metrics.csv").write_bytes(whole)
        resealed(folder, "metrics.csv", rewritten(value="3.0", low="2.0", high="4.0", **{field: text}))
        assert benchbench.verify(stores / "a").faults == []
        found = benchbench.verify(stores / "a", rescore=1, device="cpu")
        assert found.exit_code == 1
        assert [said in fault for fault in found.faults] == [True], found.faults


def test_nothing_to_score_again(tmp_path: Path) -> None:
    """3, as where none can be scored; with --known a pull request that brings no record is fine."""
    found = benchbench.verify(tmp_path, rescore=1)
    assert (found.exit_code, found.headline) == (
        3,
        "0 records whole; none could be scored again (there is no record); no fault",
    )
    assert benchbench.verify(tmp_path, rescore=1, known=tmp_path).exit_code == 0
    assert benchbench.verify(tmp_path).exit_code == 0


def test_one_number_is_one_number(tmp_path: Path) -> None:
    """What the sentence counts, by hand."""
    for n, said in ((1, "1 number, all as recorded"), (2, "2 numbers, all as recorded")):
        again = Rescored(tmp_path, "ab" * 8, "from its 200 samples", n, [], [])
        assert said in Verification(Verified(), [again], asked=True).headline


@pytest.mark.costly
@pytest.mark.parametrize("store", ["a", "b"])
def test_tampered_samples_are_found(stores: Path, store: str) -> None:
    """Those that are all there is give other numbers; those that are some are others than are drawn."""
    folder = cell(stores / store)
    kept = (folder / "samples.npz").read_bytes()
    (folder / "samples.npz").write_bytes(kept[:-100])
    assert "samples.npz is not what run.json lists" in benchbench.verify(stores / store).faults[0]
    (folder / "samples.npz").write_bytes(kept)
    resealed(folder, "samples.npz", brighter)
    assert benchbench.verify(stores / store).faults == []
    said = " ".join(benchbench.verify(stores / store, rescore=2, device="cpu").faults)
    assert (
        "fd_cnn_digits is" if store == "a" else "256 of 256 images in samples.npz are others than are drawn"
    ) in said


@pytest.mark.costly
def test_what_keeps_nothing_is_not_scored_again(stores: Path) -> None:
    """Without its weights a trained model cannot draw again: 3 where nothing else is there, and why. What `evaluate`
    recorded is the same; a generator of somebody's is never loaded from a record."""
    folder = cell(stores / "b")
    for name in ("weights.safetensors", "samples.npz"):
        (folder / name).unlink()
    shutil.rmtree(stores / "b" / "digits" / "noise")
    result = CliRunner().invoke(cli, ["verify", str(stores / "b"), "--rescore", "1", "--device", "cpu"])
    assert result.exit_code == 3
    assert "keeps neither all its samples nor weights.safetensors" in result.output
    result = CliRunner().invoke(cli, ["verify", str(stores / "b")])
    assert result.exit_code == 0
    assert "1 of them without weights, pictures or single images; no fault" in result.output
    run = json.loads((folder / "run.json").read_text())
    run["recipe"]["model"] = "generator:evil.py:Generator"
    (folder / "run.json").write_text(json.dumps(sealed(run)))
    (why,) = benchbench.verify(stores / "b", rescore=1, device="cpu").not_scored.values()
    assert why == "generator:evil.py:Generator is no model that has a name here"


@pytest.mark.costly
def test_the_steps_of_the_workflow(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written in the file, in a repository in which a pull request adds a record to an empty store and then to a
    full one; a tampered one ends at the first step."""
    text = (Path(__file__).parents[2] / "docs" / "github-results-workflow.yml").read_text(encoding="utf-8")
    lines = [
        line.split(">>")[0].replace("$GITHUB_RUN_ID", "7")
        for line in text.splitlines()
        if " benchbench " in line
    ]
    steps = [shlex.split(line)[1:] for line in lines if line.split()[0] == "benchbench"]
    monkeypatch.chdir(stores)
    (stores / "base" / "results").mkdir(parents=True)
    (stores / "a").rename("results")
    assert [CliRunner().invoke(cli, step).exit_code for step in steps] == [0] * 4
    assert Path("board.md").is_file()
    assert Path("report.html").is_file()
    benchbench.merge("results", into="base/results")
    (stores / "b" / "digits" / "noise").rename("results/digits/noise")
    assert [CliRunner().invoke(cli, step).exit_code for step in steps[:2]] == [0, 0]
    resealed(cell(stores / "results", "noise"), "metrics.csv", better)
    assert [CliRunner().invoke(cli, step).exit_code for step in steps[:1]] == [1]


@pytest.mark.costly
def test_the_command_says_what_it_found(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes and sentences of the three commands, as the page on sharing results has them."""
    monkeypatch.chdir(stores)
    asked = CliRunner()
    joined = asked.invoke(cli, ["merge", "a", "b", "--into", "c"])
    assert (joined.exit_code, joined.output) == (0, "c: 3 records copied, 0 were there\n")
    better(cell(stores / "a") / "metrics.csv")
    assert asked.invoke(cli, ["verify", "a"]).exit_code == 1
    new = asked.invoke(cli, ["diff", "b", "c", "--format", "markdown"])
    assert new.exit_code == 0
    assert "records: 1 new, 0 gone, 2 in both" in new.output
    assert asked.invoke(cli, ["diff", "c", "b"]).exit_code == 1


def test_the_workflow_calls_what_there_is() -> None:
    """Every option in docs/github-results-workflow.yml belongs to the verb that it is given to, and the workflow reads
    no secret: the event is `pull_request`, with the right to read alone."""
    text = (Path(__file__).parents[2] / "docs" / "github-results-workflow.yml").read_text(encoding="utf-8")
    calls = [line.split() for line in text.splitlines() if line.split()[:1] == ["benchbench"]]
    assert [call[1] for call in calls] == ["verify", "diff", "leaderboard", "report"]
    for call in calls:
        verb = cli.commands[call[1]]
        known = {name for parameter in verb.get_params(click.Context(verb)) for name in parameter.opts}
        assert {word for word in call if word.startswith("--")} <= known
    assert "on:\n  pull_request:\n\npermissions:\n  contents: read\n" in text
    assert "secrets." not in text
