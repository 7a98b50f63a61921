"""Studies on disk: what is written, what of it is refused when it is read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies import make_study

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.study.folder import encoded, load
from benchbench.study.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read(kind: str, tmp_path: Path) -> None:
    """Round trip: the manifest is the same, and each image has the sha256 that it says."""
    study = make_study(tmp_path / "s", kind)
    again = load(tmp_path / "s")
    assert again.manifest == study.manifest
    for own in again.manifest.images:
        assert again.png(own) == again.image(own).read_bytes()
    assert "Which" in again.manifest.question or "Is this" in again.manifest.question
    assert again.item(again.manifest.items[0].id) == again.manifest.items[0]


def test_files_of_images_say_nothing(tmp_path: Path) -> None:
    """Names are ids, times are one, and the encoder writes no chunk beside those that pixels need (the PNG
    specification: IHDR, IDAT, IEND)."""
    study = make_study(tmp_path / "s", names=["alpha", "beta", "gamma"])
    files = sorted((tmp_path / "s" / "images").iterdir())
    assert {file.stem for file in files} == set(study.manifest.images)
    assert len({os.stat(file).st_mtime_ns for file in files}) == 1
    for file in files:
        content, chunks, at = file.read_bytes(), set(), 8
        while at < len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            chunks.add(content[at + 4 : at + 8])
            at += 12 + length
        assert chunks == {b"IHDR", b"IDAT", b"IEND"}
    everything = b"".join(file.read_bytes() for file in files) + "".join(f.name for f in files).encode()
    assert not any(name in everything for name in (b"alpha", b"beta", b"gamma"))


def test_encoding_is_lossless() -> None:
    """PNG is: pixels that Pillow reads back are those that were given, grey ones in the same mode as others."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for own in (pixels, np.repeat(pixels[:, :, :1], 3, axis=2)):
        image = Image.open(io.BytesIO(encoded(own)))
        assert image.mode == "RGB"
        assert np.array_equal(np.array(image), own)


def test_a_folder_is_never_added_to(tmp_path: Path) -> None:
    """Two studies in one folder would be neither."""
    make_study(tmp_path / "s")
    with pytest.raises(InputError, match="there already"):
        make_study(tmp_path / "s")


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    """All or nothing: an image that cannot be encoded leaves no folder."""
    with pytest.raises(ValueError, match="empty image"):
        make_study(tmp_path / "s", side=0)
    assert list(tmp_path.iterdir()) == []


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question": "Which one is ours?"}, "was edited"),
        ({"pass_checks": 0.1}, "was edited"),
        ({"schema_version": 2}, "is of version 2"),
        ({"kind": "beauty"}, "no kind of study"),
        ({"ties": "yes"}, "says of ties"),
        ({"systems": []}, "names a system"),
        ({"images": {}}, "images that items show"),
        ({"items": []}, "says of items"),
        ({"more": 1}, "says of more"),
    ],
)
def test_an_edited_study_is_refused(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    """Each kind of slip is one sentence with the file."""
    make_study(tmp_path / "s")
    _edit(tmp_path / "s", **changes)
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path / "s")
    assert "study.json" in str(caught.value)


def test_an_edit_that_seals_itself_must_still_fit(tmp_path: Path) -> None:
    """The seal is no signature: with a right one the types are what is left to refuse."""
    make_study(tmp_path / "s")
    path = tmp_path / "s" / "study.json"
    said = json.loads(path.read_text())
    said["items"][0]["check"] = "7"
    said["content_sha256"] = digest({k: v for k, v in said.items() if k != "content_sha256"})
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match="nobody can give"):
        load(tmp_path / "s")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"[]", b"null", b"{", b"\xff\xfe", b'{"a":' * 200])
def test_a_damaged_study_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever became of the file, one sentence that names it."""
    make_study(tmp_path / "s")
    (tmp_path / "s" / "study.json").write_bytes(content)
    with pytest.raises(InputError, match=r"study\.json"):
        load(tmp_path / "s")


def test_what_is_no_study_is_said(tmp_path: Path) -> None:
    """An empty folder, none, a pipe."""
    with pytest.raises(InputError, match="holds no study"):
        load(tmp_path)
    with pytest.raises(InputError, match="is not there"):
        load(tmp_path / "none")
    os.mkfifo(tmp_path / "study.json")
    with pytest.raises(InputError, match="is a pipe"):
        load(tmp_path)


def test_an_image_that_was_replaced_is_refused(tmp_path: Path) -> None:
    """By sha256: another image, a pipe and nothing at all, each named."""
    study = make_study(tmp_path / "s")
    first, second, third, *_ = study.manifest.images
    study.image(first).write_bytes(study.image(second).read_bytes())
    study.image(second).unlink()
    study.image(third).unlink()
    os.mkfifo(study.image(third))
    for own, words in ((first, "not the one"), (second, "No such file"), (third, "is a pipe")):
        with pytest.raises(InputError, match=words) as caught:
            study.png(own)
        assert own in str(caught.value)
    for nobody in ("0" * 16, "../study", ""):
        with pytest.raises(KeyError):
            study.image(nobody)


def test_a_consent_text_must_be_one(tmp_path: Path) -> None:
    """It may be edited; an empty, a huge or a missing one is refused."""
    study = make_study(tmp_path / "s")
    path = tmp_path / "s" / "consent.txt"
    before = study.consent_sha256
    path.write_text("Another text.")
    assert study.consent == "Another text."
    assert study.consent_sha256 != before
    path.write_text(" \n")
    with pytest.raises(InputError, match="is empty"):
        _ = study.consent
    path.write_text("x" * 100_000)
    with pytest.raises(InputError, match="more than"):
        _ = study.consent
    path.unlink()
    with pytest.raises(InputError, match="cannot read"):
        _ = study.consent
