"""Published weights: found, checked, and said to be missing or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from benchbench.core import baselines
from benchbench.core.errors import InputError


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf with one baseline, vae-digits, whose checksum is hashlib's of its bytes."""
    folder = tmp_path / "vae-digits"
    folder.mkdir()
    (folder / baselines.WEIGHTS).write_bytes(b"weights")
    line = f"{hashlib.sha256(b'weights').hexdigest()}  {baselines.WEIGHTS}\n"
    (folder / baselines.CHECKSUM).write_text(line)
    monkeypatch.setattr(baselines, "baselines_folder", lambda: tmp_path)
    return folder


def test_published_weights_are_found(shelf: Path) -> None:
    """The file beside its checksum."""
    assert baselines.published_weights("vae", "digits") == shelf / baselines.WEIGHTS


def test_changed_weights_are_refused(shelf: Path) -> None:
    """One byte more is another file."""
    (shelf / baselines.WEIGHTS).write_bytes(b"weights!")
    with pytest.raises(InputError, match="not what was published"):
        baselines.published_weights("vae", "digits")


@pytest.mark.parametrize("model", ["gan", "../vae", "vae-digits/../vae"])
def test_what_is_not_published_is_named(shelf: Path, model: str) -> None:
    """With what is; a name cannot walk out of the folder."""
    with pytest.raises(InputError, match=r"no weights of .* are published.*Published: vae-digits"):
        baselines.published_weights(model, "digits")


def test_a_missing_file_is_one_sentence(shelf: Path) -> None:
    """A checksum alone, as after a clone without large files."""
    (shelf / baselines.WEIGHTS).unlink()
    with pytest.raises(InputError, match="cannot read the published weights"):
        baselines.published_weights("vae", "digits")


def test_every_shipped_checksum_is_of_its_file() -> None:
    """The repository's own shelf."""
    shipped = sorted(baselines.baselines_folder().glob(f"*/{baselines.CHECKSUM}"))
    assert shipped
    for listed in shipped:
        content = listed.with_name(baselines.WEIGHTS).read_bytes()
        assert listed.read_text().split() == [hashlib.sha256(content).hexdigest(), baselines.WEIGHTS]
