"""Weights and code of networks: from their address, from a mirror, from a folder; into the cache or into a copy."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchbench.core.download import Wanted, download
from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.features.fetch import MIRROR, Fetched, Origin, Published, fetch
from benchbench.features.hub_code import HubCode
from benchbench.features.weights import WeightsFile

CODE = HubCode("acme/nets", "0123456789abcdef" * 2 + "01234567")


@pytest.fixture(autouse=True)
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache, no mirror, and a folder with a file of weights and an archive of code."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(MIRROR, raising=False)
    folder = tmp_path / "a copy"
    folder.mkdir()
    torch.save({"w": torch.arange(3.0)}, folder / "toy.pth")
    (folder / CODE.file).write_bytes(archive())
    return folder


@pytest.fixture
def weights(copy: Path) -> WeightsFile:
    """Published, at an address where nobody is, with a digest."""
    sha256 = hashlib.sha256((copy / "toy.pth").read_bytes()).hexdigest()
    return WeightsFile("toy", "toy.pth", "http://127.0.0.1:9/toy.pth", sha256[:8], "BENCHBENCH_TOY_WEIGHTS")


def archive(**more: str) -> bytes:
    """A repository as GitHub packs it: one folder with everything in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("nets-0123/", "")
        files = {"nets-0123/hubconf.py": "def net(): pass", "nets-0123/nets/one.py": "x = 1"} | more
        for name, text in files.items():
            file.writestr(name, text)
    return content.getvalue()


def got(what: Published, folder: Path | None = None, to: Path | None = None) -> Fetched:
    return fetch(what, Origin.of(folder), to, SILENT)


def refused(what: Published, folder: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        got(what, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("how", ["folder", "mirror that is a folder", "mirror by file://"])
def test_from_a_copy(weights: WeightsFile, copy: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Into the torch hub cache, where the network then reads it; a second call has nothing to do."""
    if how != "folder":
        monkeypatch.setenv(MIRROR, str(copy) if "folder" in how else copy.as_uri())
    folder = copy if how == "folder" else None
    first, second = got(weights, folder), got(weights, folder)
    assert first == Fetched(weights.cached, hashlib.sha256((copy / "toy.pth").read_bytes()).hexdigest(), True)
    assert second == first._replace(new=False)
    assert torch.equal(weights.read()[0]["w"], torch.arange(3.0))
    assert [path.name for path in weights.cached.parent.iterdir()] == ["toy.pth"]


def test_a_mirror_is_the_only_place(
    weights: WeightsFile, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is not asked of its publisher; a folder that was named goes before it; one that is none is said."""
    (copy / "toy.pth").rename(copy / "other.pth")
    said = refused(weights, copy)
    assert said.endswith("cannot be read (No such file or directory); put toy.pth there, from " + weights.url)
    monkeypatch.setenv(MIRROR, str(copy))
    assert refused(weights).endswith(f", or unset {MIRROR}")
    monkeypatch.setenv(MIRROR, str(copy / "nowhere"))
    assert refused(weights).startswith(f"{MIRROR} names {copy / 'nowhere'}, which is no folder")
    assert refused(weights, copy / "nowhere").startswith("--from names ")
    monkeypatch.delenv(MIRROR)
    assert refused(weights).endswith(f"or name a copy of toy.pth with --from FOLDER or {MIRROR}")
    monkeypatch.setenv(MIRROR, "https://mirror.example/weights/")
    assert Origin.of(None).address(weights) == "https://mirror.example/weights/toy.pth"


def test_a_wrong_file(weights: WeightsFile, copy: Path) -> None:
    """With a digest that is what tells; where none was published the file must be tensors, and is named otherwise."""
    (copy / "toy.pth").write_bytes(b"<html>")
    assert "a page of the web" in refused(weights, copy)
    unpublished = WeightsFile("toy", "toy.pth", weights.url, "", weights.env)
    assert "a page of the web" in refused(unpublished, copy)
    torch.save([torch.ones(1)], copy / "toy.pth")
    assert "no PyTorch state dict" in refused(unpublished, copy)
    torch.save({"w": torch.ones(2000)}, copy / "toy.pth")
    content = (copy / "toy.pth").read_bytes()
    (copy / "toy.pth").write_bytes(content[:3000])
    assert "cannot be read as tensors" in refused(unpublished, copy)
    assert list(weights.cached.parent.iterdir()) == []
    (copy / "toy.pth").write_bytes(content)
    assert got(unpublished, copy).sha256 == hashlib.sha256(content).hexdigest()


def test_code_is_unpacked(copy: Path) -> None:
    """Where torch.hub would have it, without the folder that GitHub packs it into; the archive does not stay."""
    assert not CODE.is_there
    path, sha256, new = got(CODE, copy)
    assert (path, sha256, new) == (
        CODE.folder,
        hashlib.sha256((copy / CODE.file).read_bytes()).hexdigest(),
        True,
    )
    assert CODE.is_there
    assert (CODE.folder / "nets" / "one.py").read_text() == "x = 1"
    assert [path.name for path in CODE.folder.parent.iterdir()] == ["acme_nets_main"]
    assert got(CODE, copy) == Fetched(CODE.folder, "", False)
    (CODE.folder / "hubconf.py").unlink()
    assert "is there and has no hubconf.py; take it away" in refused(CODE, copy)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<html>", "no archive of it"),
        (archive()[:-30], "no archive of it"),
        (archive().replace(b"x = 1", b"x = 2"), "no archive of it: Bad CRC"),
        (archive(**{"nets-0123/../../x.py": ""}), "is no file in a folder of it"),
        (archive(**{"/x.py": ""}), "is no file in a folder of it"),
        (archive(**{"x.py": ""}), "is no file in a folder of it"),
        (archive().replace(b"hubconf.py", b"hubcomf.py"), "it has no hubconf.py"),
    ],
    ids=["page", "cut", "damaged", "up", "root", "beside", "no entry"],
)
def test_hostile_code(copy: Path, content: bytes, sentence: str) -> None:
    """Nothing is unpacked, and the archive does not get its name."""
    (copy / CODE.file).write_bytes(content)
    assert sentence in refused(CODE, copy)
    assert list(CODE.folder.parent.iterdir()) == []


def test_code_that_unpacks_to_more_than_code_is(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is on what the archive says before anything is unpacked."""
    monkeypatch.setattr("benchbench.features.hub_code.MOST", 10)
    assert "would unpack to more than 10 bytes" in refused(CODE, copy)


def test_into_a_copy(weights: WeightsFile, copy: Path, tmp_path: Path) -> None:
    """The files by their names, code packed: what `--from` takes."""
    usb = tmp_path / "usb"
    assert got(weights, copy, usb).path == usb / "toy.pth"
    assert got(CODE, copy, usb).path == usb / CODE.file
    assert not weights.cached.exists()
    assert not CODE.is_there
    assert got(CODE, usb).new
    assert got(weights, usb).new


def test_code_that_another_process_unpacked(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While this one was getting it: theirs stays, whether their archive is still there or was taken away; where it is
    gone and nothing was unpacked, that is said."""
    for left in (True, False):
        with monkeypatch.context() as patched:

            def got_by_others(wanted: Wanted, progress: Progress, left: bool = left) -> str:
                sha256 = download(wanted, progress)
                CODE.unpack(wanted.target)
                (CODE.folder / "theirs").touch()
                if not left:
                    wanted.target.unlink()
                return sha256

            patched.setattr("benchbench.features.fetch.download", got_by_others)
            assert got(CODE, copy).new
        assert (CODE.folder / "theirs").exists()
        assert [path.name for path in CODE.folder.parent.iterdir()] == ["acme_nets_main"]
        shutil.rmtree(CODE.folder)
    monkeypatch.setattr("benchbench.features.fetch.download", lambda wanted, progress: "")
    assert "vanished before it was unpacked" in refused(CODE, copy)


def test_code_is_that_of_the_commit(copy: Path) -> None:
    """Where its digest is known: names, sizes and contents, sorted, written out here. The archive itself may be packed
    otherwise; another content is refused, and so is a file more."""
    files = {"hubconf.py": b"def net(): pass", "nets/one.py": b"x = 1"}
    told = b"".join(f"{name}\0{len(text)}\0".encode() + text for name, text in sorted(files.items()))
    code = replace(CODE, sha256=hashlib.sha256(told).hexdigest())
    for other in (archive(**{"nets-0123/nets/two.py": ""}), archive(**{"nets-0123/nets/one.py": "x = 2"})):
        (copy / CODE.file).write_bytes(other)
        assert "its files are not those of the commit 0123456789ab" in refused(code, copy)
    (copy / CODE.file).write_bytes(archive())
    assert got(code, copy).new
