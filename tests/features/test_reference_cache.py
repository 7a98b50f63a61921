"""The cache of reference features: a hit shows the judge nothing and gives every bit back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from noted import Notes
from torch import Tensor

from benchbench.core.runtime import Runtime
from benchbench.features import reference_cache, reference_parts
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


def test_second_time_shows_nothing(judge: Any, pictures: Tensor, cache: Path) -> None:
    """What came out of the network is what comes out of the files: equality, and no image passes twice."""
    notes = Notes()
    first = both(pictures, judge, runtime=Runtime(progress=notes))
    assert shown(judge) == 11
    second = both(pictures, judge, runtime=Runtime(progress=notes))
    assert shown(judge) == 0
    assert notes.said == [], "an entry that was never there is not damaged"
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.moments.m2, second.moments.m2)
    assert second.moments.n == 11


def test_more_is_computed_less_is_served(
    judge: Any, pictures: Tensor, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments alone, then features (computed anew, as nothing is kept unasked here), then moments again and both kinds
    of rows."""
    monkeypatch.setattr(reference_cache, "KEPT_BYTES", 0)

    def ask(features: bool, logits: bool) -> tuple[Extracted, int]:
        found = reference_features(pictures, judge, need_features=features, need_logits=logits)
        return found, shown(judge)

    found, n = ask(False, False)
    assert (found.features, found.logits, n) == (None, None, 11)
    found, n = ask(True, False)
    assert (found.features.shape, found.logits, n) == ((11, 5), None, 11)
    assert ask(False, False)[1] == 0
    found, n = ask(False, True)
    assert (found.features, n) == (None, 11)
    assert ask(True, True)[1] == 0, "an entry never loses what it had"


def test_what_costs_little_is_kept_unasked(judge: Any, pictures: Tensor, cache: Path) -> None:
    """Moments alone are asked for, and features and logits later: no image passes twice."""
    found = reference_features(pictures, judge, need_features=False, need_logits=False)
    assert (found.features, found.logits) == (None, None)
    assert shown(judge) == 11
    later = both(pictures, judge)
    assert shown(judge) == 0
    assert later.features.shape == (11, 5)
    assert later.logits.shape == (11, 3)


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
    assert len(notes.said) == 1
    assert "computing it again" in notes.said[0]
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
    assert any("going on without the cache" in text for text in notes.said)


def test_nothing_written_reaches_the_files(judge: Any, pictures: Tensor, cache: Path) -> None:
    """The mapping is private: a metric that scales features in place does not spoil the next run."""
    first = both(pictures, judge)
    both(pictures, judge).features.mul_(2)
    assert torch.equal(both(pictures, judge).features, first.features)


MANY = torch.randint(0, 256, (1300, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def cut_off(judge: Any, after: int, need: dict[str, bool]) -> None:
    """A pass over `MANY` that ends as a kill ends it, after so many images; parts are written as often as can be."""
    read = type(judge).__call__

    def call(self: Any, images: Tensor) -> Any:
        if sum(self.batches) >= after:
            raise KeyboardInterrupt
        return read(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(judge), "__call__", call)
        patch.setattr(reference_parts, "EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            reference_features(MANY, judge, **need)
    assert shown(judge) == after


@pytest.mark.parametrize(("after", "left"), [(4, 1300), (512, 788), (1100, 276), (1296, 276)])
def test_a_pass_that_was_killed_goes_on(judge: Any, cache: Path, after: int, left: int) -> None:
    """Moments take rows 512 at a time: of a pass over 1,300 images that ended after so many the last whole 512 are
    kept, and the rest is all that is read. What comes out equals, to the last bit, a pass that never stopped, and the
    parts are gone. A second kill on the way loses no more."""
    need = {"need_features": True, "need_logits": True}
    cut_off(judge, after, need)
    notes = Notes()
    found = both(MANY, judge, runtime=Runtime(progress=notes))
    assert shown(judge) == left
    assert any(f"the first {1300 - left:,} of 1,300 images" in text for text in notes.said) == (left < 1300)
    assert not list(cache.rglob("*.parts"))
    shutil.rmtree(cache)
    whole = both(MANY, judge)
    assert torch.equal(found.features, whole.features)
    assert torch.equal(found.logits, whole.logits)
    assert torch.equal(found.moments.mean, whole.moments.mean)
    assert torch.equal(found.moments.m2, whole.moments.m2)


def test_a_pass_may_be_killed_more_than_once(judge: Any, cache: Path) -> None:
    """After 600 images, and after 600 of those that are left: 1,024 are kept, by hand 512 and 512."""
    need = {"need_features": True, "need_logits": True}
    cut_off(judge, 600, need)
    cut_off(judge, 600, need)
    found = both(MANY, judge)
    assert shown(judge) == 1300 - 1024
    shutil.rmtree(cache)
    assert torch.equal(found.features, both(MANY, judge).features)


DAMAGED = {
    "state gone": ("state.npz", None),
    "rows gone": ("rows-*-0.npz", None),
    "later rows gone": ("rows-*-512.npz", None),
    "state cut": ("state.npz", lambda content: content[:200]),
    "state empty": ("state.npz", lambda content: b""),
    "rows flipped": (
        "rows-*-0.npz",
        lambda content: content[:400] + bytes([content[400] ^ 1]) + content[401:],
    ),
    "rows cut": ("rows-*-512.npz", lambda content: content[:-30]),
    "rows of text": ("rows-*-0.npz", lambda content: b"nothing"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_parts_begin_the_pass_anew(judge: Any, cache: Path, damage: str) -> None:
    """Whatever is not whole is not used: all 1,300 images are read and the numbers are those of a whole pass."""
    cut_off(judge, 1100, {"need_features": True, "need_logits": True})
    pattern, change = DAMAGED[damage]
    (file,) = cache.rglob(pattern)
    content = file.read_bytes()
    file.unlink()
    if change is not None:
        file.write_bytes(change(content))
    found = both(MANY, judge)
    assert shown(judge) == 1300
    pixels = MANY.flatten(1).float() / 255
    torch.testing.assert_close(found.features, pixels @ judge.w1)
    assert found.moments.n == 1300


def test_parts_of_less_are_not_enough(judge: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass for moments alone was killed; one that wants features reads every image."""
    monkeypatch.setattr(reference_cache, "KEPT_BYTES", 0)
    cut_off(judge, 1100, {"need_features": False, "need_logits": False})
    both(MANY, judge)
    assert shown(judge) == 1300


def test_parts_that_cannot_be_written_cost_nothing(
    judge: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: one note, and the pass ends as ever."""

    def full(*names: Any, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reference_parts, "EVERY", 0.0)
    monkeypatch.setattr(reference_parts.np, "savez", full)
    notes = Notes()
    both(MANY, judge, runtime=Runtime(progress=notes))
    assert sum("without writing down how far it is" in text for text in notes.said) == 1
