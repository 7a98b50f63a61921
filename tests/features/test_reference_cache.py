"""The cache of reference features: a hit shows the judge nothing and gives every bit back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.runtime import Runtime
from benchbench.features.extract import Extracted
from benchbench.features.reference_cache import reference_features


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def both(images: Tensor, judge: Any, **more: Any) -> Extracted:
    return reference_features(images, judge, need_features=True, need_logits=True, **more)


def shown(judge: Any) -> int:
    """How many images the judge has seen since the last call."""
    n, judge.batches = sum(judge.batches), []
    return n


class Notes:
    """A `Progress` that keeps its notes."""

    def __init__(self) -> None:
        from benchbench.core.progress import SILENT

        self.texts: list[str] = []
        self.stage = SILENT.stage

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_second_time_shows_nothing(judge: Any, pictures: Tensor, cache: Path) -> None:
    """What came out of the network is what comes out of the files: equality, and no image passes twice."""
    first = both(pictures, judge)
    assert shown(judge) == 11
    second = both(pictures, judge)
    assert shown(judge) == 0
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.moments.m2, second.moments.m2)
    assert second.moments.n == 11


def test_more_is_computed_less_is_served(judge: Any, pictures: Tensor, cache: Path) -> None:
    """Moments alone, then features (computed anew), then moments again and both kinds of rows."""

    def ask(features: bool, logits: bool) -> tuple[Extracted, int]:
        found = reference_features(pictures, judge, need_features=features, need_logits=logits)
        return found, shown(judge)

    found, n = ask(False, False)
    assert (found.features, found.logits, n) == (None, None, 11)
    found, n = ask(True, False)
    assert (found.features.shape, found.logits, n) == ((11, 5), None, 11)
    assert ask(False, False)[1] == 0
    found, n = ask(False, True)
    assert n == 11
    assert found.features is not None, "an entry never loses what it had"
    assert ask(True, True)[1] == 0


def test_another_question_is_another_entry(judge: Any, pictures: Tensor, cache: Path) -> None:
    """One changed pixel, another order, fewer images, other weights, another resize: never a stale answer."""
    both(pictures, judge)
    assert shown(judge) == 11
    changed = pictures.clone()
    changed[4, 1, 2, 3] ^= 1
    for images in (changed, pictures.flip(0), pictures[:10]):
        both(images, judge)
        assert shown(judge) == len(images)
    judge.weights_sha256 = "1" * 64
    both(pictures, judge)
    assert shown(judge) == 11
    judge.resize = "clean"
    both(pictures, judge)
    assert shown(judge) == 11


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "meta"])
def test_damaged_entry_is_computed_again(judge: Any, pictures: Tensor, cache: Path, damage: str) -> None:
    """A flipped byte, a truncated file, a missing file, an unreadable index: a note and the right numbers."""
    first = both(pictures, judge)
    shown(judge)
    (file,) = cache.rglob("meta.json" if damage == "meta" else "features.npy")
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2])
    notes = Notes()
    second = both(pictures, judge, runtime=Runtime(progress=notes))
    assert shown(judge) == 11
    assert len(notes.texts) == 1
    assert "computing it again" in notes.texts[0]
    assert torch.equal(first.features, second.features)
    both(pictures, judge)
    assert shown(judge) == 0, "the entry is whole again"


def test_unwritable_cache_costs_time_only(
    judge: Any, pictures: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the cache folder should be: one note, the result all the same."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "file"))
    notes = Notes()
    found = both(pictures, judge, runtime=Runtime(progress=notes))
    assert found.moments.n == 11
    assert any("going on without the cache" in text for text in notes.texts)


def test_nothing_written_reaches_the_files(judge: Any, pictures: Tensor, cache: Path) -> None:
    """The mapping is private: a metric that scales features in place does not spoil the next run."""
    first = both(pictures, judge)
    both(pictures, judge).features.mul_(2)
    assert torch.equal(both(pictures, judge).features, first.features)
