"""What comes in from elsewhere in zip, npz and npy files: read in place, row by row, or refused by name.

Expected pixels are always the arrays that were written: PNG, npy and npz are lossless. So equality is exact.
"""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources import archives
from benchbench.data.sources.options import SourceOptions


def pictures(n: int, height: int = 6, width: int = 5, channels: int = 3) -> NDArray[np.uint8]:
    """Random N×H×W×C, always the same."""
    return np.random.default_rng(n).integers(0, 256, (n, height, width, channels), np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: Path, batch_size: int = 3, **options: Any) -> NDArray[np.uint8]:
    """All images of a source, as N×H×W×3."""
    batches = list(open_images(str(path), SourceOptions(**options)).batches(batch_size))
    return torch.cat(batches).permute(0, 2, 3, 1).numpy()


def refusal(path: Path, **options: Any) -> str:
    """The sentence with which a source is refused, when it is opened or when it is read."""
    with pytest.raises(InputError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    return text


class TestZip:
    def test_members_are_read_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        """Written as c, a, b; expected are the arrays sorted by name, whatever the zip's own order."""
        images = pictures(3)
        members = {f"{name}.png": png(image) for name, image in zip("cab", images, strict=True)}
        path = write_zip(tmp_path / "made.zip", members)
        stream = open_images(str(path))
        assert (stream.name, stream.n, stream.names) == ("zip-made", 3, ["a.png", "b.png", "c.png"])
        np.testing.assert_array_equal(read(path), images[[1, 2, 0]])

    def test_other_and_hidden_files_are_left_aside_and_others_noted(self, tmp_path: Path) -> None:
        """macOS adds `__MACOSX/._a.png`, which ends like an image and is none: reading it would fail."""
        members = {
            "x/a.png": png(pictures(1)[0]),
            "__MACOSX/x/._a.png": b"?",
            "x/.b.png": b"?",
            "x/t.txt": b"?",
        }
        stream = open_images(str(write_zip(tmp_path / "a.zip", members)))
        assert stream.n == 1
        assert stream.notes == ("1 file in a.zip that is not an image was left aside: x/t.txt",)

    def test_nothing_is_unpacked_to_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a whole pass the folder, which is also the working directory, holds the archive alone."""
        monkeypatch.chdir(tmp_path)
        path = write_zip(tmp_path / "a.zip", {"a.png": png(pictures(1)[0])}, zipfile.ZIP_DEFLATED)
        read(path)
        assert list(tmp_path.rglob("*")) == [path]

    def test_empty_archive(self, tmp_path: Path) -> None:
        """An archive without members is a valid zip file; it holds nothing to score."""
        assert "empty archive" in refusal(write_zip(tmp_path / "a.zip", {}))

    def test_archive_without_images(self, tmp_path: Path) -> None:
        """One text file: the sentence counts it and names the endings that would do."""
        text = refusal(write_zip(tmp_path / "a.zip", {"a.txt": b"?"}))
        assert "no images" in text
        assert "1 other files" in text
        assert ".png" in text

    @pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:/a.png", "..\\a.png"])
    def test_names_that_lead_out_of_the_archive(self, tmp_path: Path, name: str) -> None:
        """The ways out of a folder on POSIX and on Windows; each makes the archive refused as a whole."""
        path = write_zip(tmp_path / "a.zip", {"ok.png": png(pictures(1)[0]), name: png(pictures(1)[0])})
        assert "leads out of the archive" in refusal(path)

    def test_symbolic_link(self, tmp_path: Path) -> None:
        """A link is a member whose Unix mode, in the upper 16 bits of external_attr, says so."""
        link = zipfile.ZipInfo("a.png")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(link, "/etc/passwd")
        assert "symbolic link" in refusal(tmp_path / "a.zip")

    def test_one_name_twice(self, tmp_path: Path) -> None:
        """`a.png` and `./a.png` are one file to whoever unpacks it."""
        image = png(pictures(1)[0])
        assert "a.png twice" in refusal(write_zip(tmp_path / "a.zip", {"a.png": image, "./a.png": image}))

    def test_encrypted_archive(self, tmp_path: Path) -> None:
        """Bit 0 of the general purpose flags marks encryption (APPNOTE 4.4.4); set it in both headers."""
        content = bytearray(write_zip(tmp_path / "a.zip", {"a.png": png(pictures(1)[0])}).read_bytes())
        content[6] |= 1  # local header: signature 4, version 2, flags
        content[content.index(b"PK\x01\x02") + 8] |= 1  # central directory: signature 4, versions 4, flags
        (tmp_path / "a.zip").write_bytes(content)
        assert "without a password" in refusal(tmp_path / "a.zip")

    def test_zip_bomb_of_one_member(self, tmp_path: Path) -> None:
        """One byte more than the floor of zeros deflates about 1000:1, ten times what is allowed."""
        zeros = bytes(archives.BOMB_FLOOR + 1)
        path = write_zip(tmp_path / "a.zip", {"a.bmp": zeros}, zipfile.ZIP_DEFLATED)
        assert path.stat().st_size * archives.BOMB_RATIO < len(zeros)
        assert "its member 'a.bmp'" in refusal(path)

    def test_zip_bomb_of_many_members(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each member is below the floor (lowered, to keep the test small) and all together above it."""
        monkeypatch.setattr(archives, "BOMB_FLOOR", 2**18)
        members = {f"{i}.bmp": bytes(2**16) for i in range(8)}
        text = refusal(write_zip(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED))
        assert f"{8 * 2**16:,}" in text

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("limit", [10, 20])
    def test_decompression_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        """Pillow only warns above MAX_IMAGE_PIXELS, and refuses above twice as many. The image has 6×5 = 30: it
        must be refused by name in both ranges, even where the process ignores warnings."""
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        path = write_zip(tmp_path / "a.zip", {"a.png": png(pictures(1)[0])})
        assert f"a.png in {path} has more than {limit} pixels" in refusal(path)

    @pytest.mark.parametrize("keep", [0, 10, 0.5, 0.9])
    def test_truncated_archive(self, tmp_path: Path, keep: float) -> None:
        """Without its end a zip file has no directory: refused as unreadable wherever it was cut."""
        path = write_zip(tmp_path / "a.zip", {f"{i}.png": png(pictures(1)[0]) for i in range(3)})
        content = path.read_bytes()
        path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
        assert "cannot read" in refusal(path)

    def test_damaged_member_is_named(self, tmp_path: Path) -> None:
        """One flipped bit in the pixels of b.png: its CRC-32 tells, and a.png before it is not blamed."""
        path = write_zip(tmp_path / "z.zip", {"a.png": png(pictures(1)[0]), "b.png": png(pictures(2)[1])})
        content = bytearray(path.read_bytes())
        content[content.rindex(b"IDAT") + 8] ^= 1
        path.write_bytes(content)
        assert f"cannot read b.png in {path}: Bad CRC-32" in refusal(path)

    def test_truncated_image_is_named(self, tmp_path: Path) -> None:
        """An intact archive with half a PNG in it: the image is at fault and named."""
        image = png(pictures(1, 40, 40)[0])
        path = write_zip(tmp_path / "z.zip", {"a.png": image, "b.png": image[: len(image) // 2]})
        assert f"b.png in {path} cannot be decoded" in refusal(path)


class TestArrays:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize("key", ["arr_0", "images", "samples", "x", "anything"])
    def test_npz_by_key(self, tmp_path: Path, save: Any, key: str) -> None:
        """The known keys, and any key where there is only one array; stored and deflated."""
        images = pictures(7)
        save(tmp_path / "a.npz", **{key: images})
        np.testing.assert_array_equal(read(tmp_path / "a.npz"), images)

    def test_known_key_wins_over_unknown_ones(self, tmp_path: Path) -> None:
        """Reference batches of ADM hold mu and sigma beside arr_0."""
        np.savez(tmp_path / "a.npz", arr_0=pictures(3), mu=np.zeros(4), sigma=np.zeros((4, 4)))
        np.testing.assert_array_equal(read(tmp_path / "a.npz"), pictures(3))

    @pytest.mark.parametrize(
        ("keys", "sentence"), [(("u", "v"), "none of the arrays"), (("arr_0", "x"), "more than one")]
    )
    def test_ambiguous_keys(self, tmp_path: Path, keys: tuple[str, ...], sentence: str) -> None:
        """Two unknown names, or two known ones: guessing would score the wrong images. The keys are listed."""
        np.savez(tmp_path / "a.npz", **{key: pictures(2) for key in keys})
        text = refusal(tmp_path / "a.npz")
        assert sentence in text
        assert ", ".join(keys) in text

    def test_labels_of_adm(self, tmp_path: Path) -> None:
        """ADM's sampler saves `np.savez(path, images, labels)`, so the labels are arr_1. They are kept as int64
        and are part of the fingerprint: another label, another fingerprint."""
        fingerprints = set()
        for labels in ([3, 1, 2], [3, 1, 1]):
            np.savez(tmp_path / "a.npz", pictures(3), np.array(labels, np.int32))
            stream = open_images(str(tmp_path / "a.npz"))
            assert stream.labels is not None
            assert stream.labels.dtype == torch.int64
            assert stream.labels.tolist() == labels
            assert len(list(stream.batches(2))) == 2
            fingerprints.add(stream.fingerprint)
        assert len(fingerprints) == 2

    def test_labels_that_do_not_fit_are_noted(self, tmp_path: Path) -> None:
        """One-hot labels are not one integer an image: left aside, and the record says so."""
        np.savez(tmp_path / "a.npz", images=pictures(3), labels=np.eye(3))
        stream = open_images(str(tmp_path / "a.npz"))
        assert stream.labels is None
        assert stream.notes == ("its array labels is not one integer an image and was left aside",)

    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    def test_channels_first_is_taken_and_noted(self, tmp_path: Path, suffix: str) -> None:
        """N×3×H×W gives the same images as N×H×W×3, and the notes state the shape."""
        path = tmp_path / f"a.{suffix}"
        (np.save if suffix == "npy" else np.savez)(path, pictures(4).transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(read(path), pictures(4))
        assert open_images(str(path)).notes == ("the array has its channels first (4×3×6×5)",)

    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    @pytest.mark.parametrize("shape", [(4, 6, 5), (4, 6, 5, 1), (4, 1, 6, 5)])
    def test_grey_is_copied_to_three_channels(
        self, tmp_path: Path, suffix: str, shape: tuple[int, ...]
    ) -> None:
        """R = G = B = the value saved, in each of the three layouts, and the notes count the images."""
        grey = pictures(4, channels=1)
        path = tmp_path / f"a.{suffix}"
        (np.save if suffix == "npy" else np.savez)(path, grey.reshape(shape))
        np.testing.assert_array_equal(read(path), np.repeat(grey, 3, axis=3))
        stream = open_images(str(path))
        list(stream.batches(2))
        assert "4 of 4 images were grey and were copied to three channels" in stream.notes

    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    def test_fortran_order(self, tmp_path: Path, suffix: str) -> None:
        """The order in memory is no property of the images."""
        path = tmp_path / f"a.{suffix}"
        (np.save if suffix == "npy" else np.savez)(path, np.asfortranarray(pictures(4)))
        np.testing.assert_array_equal(read(path), pictures(4))

    @pytest.mark.parametrize(
        ("low", "high", "sentence"),
        [
            (0.0, 1.0, "[0, 1]: multiply by 255"),
            (-1.0, 1.0, "[-1, 1]: add 1, multiply by 127.5"),
            (0.0, 255.0, "0..255: round"),
            (-3.0, 3.0, "none of the usual ranges"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    def test_floats_are_refused_with_their_range(
        self, tmp_path: Path, low: float, high: float, sentence: str, suffix: str
    ) -> None:
        """Values spread evenly from `low` to `high`; the sentence says which range that is and how to convert."""
        path = tmp_path / f"a.{suffix}"
        values = np.linspace(low, high, 2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)
        (np.save if suffix == "npy" else np.savez)(path, values)
        text = refusal(path)
        assert "float32" in text
        assert sentence in text
        assert f"from {low:g} to {high:g}" in text

    @pytest.mark.parametrize(
        ("array", "sentence"),
        [
            (np.full((2, 4, 4, 3), np.nan), "NaN"),
            (np.zeros((2, 4, 4, 3), np.int64), "int64"),
            (np.zeros((2, 4, 4, 3), np.uint16), "uint16"),
            (np.zeros((2, 4, 4, 3), bool), "bool"),
            (np.zeros((2, 4, 4, 3), np.complex64), "complex64"),
            (np.zeros((2, 4, 4, 4), np.uint8), "RGBA"),
            (np.zeros((2, 4, 7, 7), np.uint8), "RGBA"),
            (np.zeros((2, 5, 6, 2), np.uint8), "3 channels"),
            (np.zeros((6, 5, 3), np.uint8), "is one image (6×5×3); save it as 1×6×5×3"),
            (np.zeros((6, 5), np.uint8), "6×5"),
            (np.zeros((1, 2, 6, 5, 3), np.uint8), "1×2×6×5×3"),
            (np.zeros((0, 6, 5, 3), np.uint8), "no images"),
            (np.zeros((2, 0, 5, 3), np.uint8), "no images"),
            (np.uint8(3), "no images"),
            (np.array(["a", "b"]), "<U1"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    def test_what_is_no_rgb_image_is_refused(
        self, tmp_path: Path, array: NDArray[Any], sentence: str, suffix: str
    ) -> None:
        """Types and shapes that people do save; the sentence says what the array is."""
        path = tmp_path / f"a.{suffix}"
        (np.save if suffix == "npy" else np.savez)(path, array)
        assert sentence in refusal(path)

    @pytest.mark.parametrize("suffix", ["npy", "npz"])
    def test_objects_need_allow_pickle(self, tmp_path: Path, suffix: str) -> None:
        """A pickled list of images is refused by default; with allow_pickle its elements are the images."""
        path = tmp_path / f"a.{suffix}"
        objects = np.empty(3, object)
        objects[:] = list(pictures(3))
        (np.save if suffix == "npy" else np.savez)(path, objects)
        assert "--allow-pickle" in refusal(path)
        np.testing.assert_array_equal(read(path, allow_pickle=True), pictures(3))

    def test_pickled_objects_are_not_run_when_refused(self, tmp_path: Path) -> None:
        """A pickle that would create a file: after the refusal there is none."""
        trap = np.empty(1, object)
        trap[0] = _Trap(tmp_path / "sprung")
        np.savez(tmp_path / "a.npz", trap)
        refusal(tmp_path / "a.npz")
        assert not (tmp_path / "sprung").exists()

    def test_objects_that_are_no_images(self, tmp_path: Path) -> None:
        """Pickled images of two sizes cannot be one batch, even when pickles are allowed."""
        objects = np.empty(2, object)
        objects[:] = [pictures(1)[0], pictures(1, 4, 4)[0]]
        np.save(tmp_path / "a.npy", objects)
        assert "not images of one size" in refusal(tmp_path / "a.npy", allow_pickle=True)

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize("keep", [0, 0.3, 0.9])
    def test_truncated_npz(self, tmp_path: Path, save: Any, keep: float) -> None:
        """A download that stopped: an npz file is a zip file and has lost its directory."""
        path = tmp_path / "a.npz"
        save(path, pictures(20))
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])
        assert "cannot read" in refusal(path)

    @pytest.mark.parametrize("keep", [0, 5, 60, 0.5])
    def test_truncated_npy(self, tmp_path: Path, keep: float) -> None:
        """Cut in the magic, in the header, and in the pixels."""
        path = tmp_path / "a.npy"
        np.save(path, pictures(20))
        content = path.read_bytes()
        path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
        assert "cannot read" in refusal(path)

    def test_damaged_pixels_in_npz(self, tmp_path: Path) -> None:
        """One flipped bit near the end of the stored pixels: the CRC-32 of the member tells."""
        path = tmp_path / "a.npz"
        np.savez(path, pictures(20))
        content = bytearray(path.read_bytes())
        content[content.rindex(pictures(20)[-1].tobytes())] ^= 1
        path.write_bytes(content)
        assert "Bad CRC-32" in refusal(path)

    def test_header_that_promises_more_than_there_is(self, tmp_path: Path) -> None:
        """20 images in the header, 10 in the member; found before the first image is read."""
        buffer = io.BytesIO()
        np.save(buffer, pictures(20))
        write_zip(tmp_path / "a.npz", {"arr_0.npy": buffer.getvalue()[: -10 * 6 * 5 * 3]})
        with pytest.raises(InputError, match="not written completely"):
            open_images(str(tmp_path / "a.npz"))

    def test_npz_without_arrays(self, tmp_path: Path) -> None:
        """`np.savez(path)` without arrays writes an empty zip file."""
        np.savez(tmp_path / "a.npz")
        assert "holds no arrays" in refusal(tmp_path / "a.npz")

    def test_resized_by_the_rule_for_files(self, tmp_path: Path) -> None:
        """The same pixels as PNG files in a zip, decoded at the same size, are the independent path."""
        images = pictures(3, 12, 9)
        np.save(tmp_path / "a.npy", images)
        members = {f"{i}.png": png(image) for i, image in enumerate(images)}
        from_files = read(write_zip(tmp_path / "a.zip", members), size=7)
        np.testing.assert_array_equal(read(tmp_path / "a.npy", size=7), from_files)
        assert from_files.shape == (3, 7, 7, 3)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        n=st.integers(1, 40),
        batch_size=st.integers(1, 50),
        compressed=st.booleans(),
        rows=st.integers(1, 9),
    )
    def test_any_batch_size_gives_the_same_rows(
        self, tmp_path: Path, n: int, batch_size: int, compressed: bool, rows: int
    ) -> None:
        """Property: whatever the batch size and the size of blocks, the rows are those of the array, and every
        batch but the last is full."""
        path = tmp_path / "p.npz"
        (np.savez_compressed if compressed else np.savez)(path, pictures(n))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("benchbench.data.pipeline.blocks.BLOCK_BYTES", rows * 3 * 6 * 5)
            batches = list(open_images(str(path)).batches(batch_size))
        np.testing.assert_array_equal(torch.cat(batches).permute(0, 2, 3, 1).numpy(), pictures(n))
        assert {len(batch) for batch in batches[:-1]} <= {batch_size}
        assert len(batches) == -(-n // batch_size)

    def test_npy_is_not_loaded(self, tmp_path: Path) -> None:
        """A sparse file of 1 TiB, more than any memory here: its first batch comes (zeros, as holes read)."""
        path = tmp_path / "a.npy"
        shape = (2**40 // (3 * 256 * 256), 256, 256, 3)
        with open(path, "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + int(np.prod(shape, dtype=np.int64)))
        batches = open_images(str(path)).batches(2)
        assert not next(iter(batches)).any()
        batches.close()  # type: ignore[attr-defined]


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))
