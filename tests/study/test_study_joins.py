"""Images of a folder in a study, and the record that an evaluation made of exactly these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from studies import Make, answer_next, noise, rater, write_folder

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.results.load import load_results
from benchbench.study.answers import next_shown
from benchbench.study.folder import load

Draw = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def draw(tmp_path: Path, real: Path) -> Draw:
    """Make a study of these systems; returns the records they have and what was noted."""

    def make(*systems: str, out: str = "s") -> tuple[list[str], list[str]]:
        notes: list[str] = []
        told = type(
            "Told", (), {"note": lambda self, text: notes.append(text), "stage": staticmethod(SILENT.stage)}
        )()
        folder = benchbench.study.create(
            [*systems],
            out=tmp_path / out,
            reference=f"folder:{real}",
            n=6,
            results=tmp_path / "runs",
            progress=told,
        )
        return [own.cell for own in load(folder).manifest.systems], notes

    return make


def print_of(images: NDArray[np.uint8]) -> str:
    """As `benchbench evaluate` records it: of the pixels, whatever their order."""
    return fingerprint(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


@pytest.fixture
def two(tmp_path: Path) -> dict[str, NDArray[np.uint8]]:
    """Two folders of images."""
    images = {name: noise(i, 12) for i, name in enumerate(("a", "b"))}
    for name, own in images.items():
        write_folder(tmp_path / name, own)
    return images


def test_a_folder_joins_its_record(
    two: dict[str, NDArray[np.uint8]], keep: Make, draw: Draw, tmp_path: Path
) -> None:
    """By its pixels, under whatever name; one of another image or of as many others it does not join. What people say
    then stands in that record's row."""
    path = keep("mine", 0, samples={"n": 12, "fingerprint": print_of(two["a"])})
    keep("other", 0, samples={"n": 12, "fingerprint": print_of(noise(7, 12))})
    keep("fewer", 0, samples={"n": 11, "fingerprint": print_of(two["b"][:11])})
    cells, notes = draw(f"ours={tmp_path / 'a'}", f"theirs={tmp_path / 'b'}")
    assert cells == [path.name, ""]
    assert f"ours joins the record of exactly its images, {path.name} of mine on digits" in notes
    study = load(tmp_path / "s")
    for number in range(3):
        while (shown := next_shown(study, rater(number))) is not None:
            right = shown.item.check or str((number + len(shown.item.id)) % 2)
            answer_next(study, rater(number), shown.order.index(int(right)))
    benchbench.study.score(tmp_path / "s", results=tmp_path / "runs")
    rows = load_results(tmp_path / "runs")
    people = rows[rows["aspect"] == "human"]
    assert set(people["model"]) == {"mine"}
    assert "human_strength" in people["metric"].iloc[0]


def test_which_of_several_records(
    two: dict[str, NDArray[np.uint8]], keep: Make, draw: Draw, tmp_path: Path
) -> None:
    """The model of the system's name; without one of that name none, which is said."""
    samples = {"n": 12, "fingerprint": print_of(two["a"])}
    mine, _ = keep("mine", 0, samples=samples), keep("yours", 0, samples=samples)
    assert draw(f"mine={tmp_path / 'a'}", f"b={tmp_path / 'b'}", out="1")[0] == [mine.name, ""]
    cells, notes = draw(f"ours={tmp_path / 'a'}", f"b={tmp_path / 'b'}", out="2")
    assert cells == ["", ""]
    assert any(
        "those of the records of mine on digits, yours on digits, and it joins none" in own for own in notes
    )
    write_folder(tmp_path / "copy", two["a"])
    cells, notes = draw(f"mine={tmp_path / 'a'}", f"yours={tmp_path / 'copy'}", out="3")
    assert len(set(cells)) == 2
    assert "" not in cells


def test_a_record_of_something_else_is_not_joined(
    two: dict[str, NDArray[np.uint8]], keep: Make, draw: Draw, tmp_path: Path
) -> None:
    """Numbers of two datasets stand in no board together: such a study is made as ever, and joins nothing."""
    keep("vae")
    keep("mine", 0, dataset="faces", samples={"n": 12, "fingerprint": print_of(two["a"])})
    cells, notes = draw("model=vae", f"mine={tmp_path / 'a'}")
    assert cells[1] == ""
    assert any(own.startswith("mine joins no record: its record is of faces") for own in notes)


def test_damaged_records_hinder_no_study(
    two: dict[str, NDArray[np.uint8]], keep: Make, draw: Draw, tmp_path: Path
) -> None:
    """Images of a folder need no record; that none can be read is said."""
    (keep("mine", 0) / "run.json").write_text("{")
    cells, notes = draw(f"mine={tmp_path / 'a'}", f"b={tmp_path / 'b'}")
    assert cells == ["", ""]
    assert any("mine joins no record, for records cannot be read" in own for own in notes)


@pytest.mark.costly
def test_evaluate_then_create(two: dict[str, NDArray[np.uint8]], tmp_path: Path, draw: Draw) -> None:
    """The record that the verb itself writes, and the way that an error proposes leads there."""
    pytest.importorskip("skimage")
    write_folder(tmp_path / "right", noise(50, 12))
    for name in two:
        benchbench.evaluate(
            tmp_path / name,
            reference=f"folder:{tmp_path / 'right'}",
            name=f"My{name}",
            metrics=["psnr"],
            out=tmp_path / "runs",
        )
    with pytest.raises(InputError, match="as in Mya=FOLDER, which joins this record"):
        draw("model=Mya", "model=Myb")
    cells, _ = draw(f"Mya={tmp_path / 'a'}", f"Myb={tmp_path / 'b'}")
    rows = load_results(tmp_path / "runs").drop_duplicates("cell")
    assert dict(zip(("Mya", "Myb"), cells, strict=True)) == dict(
        zip(rows["model"], rows["cell"], strict=True)
    )
