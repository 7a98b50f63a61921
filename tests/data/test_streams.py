"""Streams of images: every source gives the pixels that went in, in a stated order, in any batch size.

Expected pixels are the arrays that were written as PNG, which is lossless, so equality is exact. What a
generator should have made is computed a second time, from the definition of its latents.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline import prefetch
from benchbench.data.pipeline.decode import CONVERSIONS
from benchbench.data.pipeline.fingerprint import fingerprint, pixel_digests
from benchbench.data.pipeline.streams import ImageStream, from_tensors, open_images, pairs
from benchbench.data.sources.options import SourceOptions


def pictures(n: int, height: int = 6, width: int = 5) -> Tensor:
    """Random uint8 N×3×H×W, always the same."""
    values = np.random.default_rng(n).integers(0, 256, (n, 3, height, width), np.uint8)
    return torch.from_numpy(values)


def write_folder(folder: Path, images: Tensor, names: list[str] | None = None) -> Path:
    """Images as PNG files 000.png, 001.png, …"""
    for i, image in enumerate(images):
        path = folder / (names[i] if names else f"{i:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return folder


def read(stream: ImageStream, batch_size: int = 3) -> Tensor:
    return torch.cat(list(stream.batches(batch_size)))


def threads() -> list[str]:
    """Our threads that are alive."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(prefetch.THREAD_NAME)]


class TestFolder:
    def test_recursive_and_sorted_by_relative_posix_name(self, tmp_path: Path) -> None:
        """Written in another order: folders before files of that name, 9 before 10."""
        names = ["b9.png", "a/z.png", "b10.png", "b/0.png"]
        stream = open_images(str(write_folder(tmp_path / "made", pictures(4), names)))
        assert stream.names == ["a/z.png", "b/0.png", "b9.png", "b10.png"]
        assert torch.equal(read(stream), pictures(4)[[1, 3, 0, 2]])
        assert (stream.name, stream.n, stream.labels) == ("folder-made", 4, None)

    @pytest.mark.parametrize("n", [1, 3])
    def test_few_images(self, tmp_path: Path, n: int) -> None:
        """One or three images are a stream like any other; what they are too few for is for metrics to say."""
        batches = list(open_images(str(write_folder(tmp_path, pictures(n)))).batches(2))
        assert [len(batch) for batch in batches] == [2] * (n // 2) + [1]
        assert torch.equal(torch.cat(batches), pictures(n))
        assert batches[0].dtype == torch.uint8

    def test_files_that_are_no_images_are_left_aside(self, tmp_path: Path) -> None:
        """A log and a hidden file beside two images: two images, one note."""
        folder = write_folder(tmp_path / "made", pictures(2))
        (folder / "log.txt").write_text("?")
        (folder / ".DS_Store").write_bytes(b"?")
        stream = open_images(str(folder))
        assert torch.equal(read(stream), pictures(2))
        assert stream.notes == ("1 file in made that is not an image was left aside: log.txt",)

    def test_empty_folder(self, tmp_path: Path) -> None:
        """No images: the sentence names the folder and the endings that would do."""
        with pytest.raises(InputError, match=rf"no images in {tmp_path}; files must end in .*\.png"):
            open_images(str(tmp_path))

    def test_truncated_file_is_named(self, tmp_path: Path) -> None:
        """The first damaged file in order is named, though a later chunk is decoded at the same time."""
        write_folder(tmp_path, pictures(40))
        for name in ("020.png", "035.png"):
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(content[:60])
        with pytest.raises(InputError, match=r"020\.png cannot be decoded"):
            read(open_images(str(tmp_path)))
        assert not threads()

    @pytest.mark.parametrize("odd", [1, 7, 8, 20])
    def test_mixed_sizes_name_the_first_odd_file(self, tmp_path: Path, odd: int) -> None:
        """Wherever the odd file is in the blocks of eight that a thread decodes, it and the first are named."""
        write_folder(tmp_path, pictures(24))
        write_folder(tmp_path, pictures(1, 9, 7), [f"{odd:03}.png"])
        write_folder(tmp_path, pictures(1, 4, 4), ["023.png"])
        with pytest.raises(InputError, match=rf"000\.png is 5×6 but .*{odd:03}\.png is 7×9; --size N"):
            read(open_images(str(tmp_path)))

    def test_size_brings_mixed_sizes_together(self, tmp_path: Path) -> None:
        """The way out that the error names. The 4×4 image stays as it is: resizing to its own size is none."""
        write_folder(tmp_path, pictures(1, 9, 7), ["a.png"])
        write_folder(tmp_path, pictures(1, 4, 4), ["b.png"])
        stream = open_images(str(tmp_path), SourceOptions(size=4))
        images = read(stream)
        assert torch.equal(images[1:], pictures(1, 4, 4))
        assert images.shape == (2, 3, 4, 4)
        assert stream.notes == (f"1 of 2 images {CONVERSIONS['resized']}",)

    def test_grey_and_transparent_images(self, tmp_path: Path) -> None:
        """Grey g becomes (g, g, g). Black at alpha 0 over white is white, at alpha 255 black."""
        grey = Image.fromarray(np.full((2, 2), 77, np.uint8))
        grey.save(tmp_path / "a.png")
        Image.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]] * 2, np.uint8)).save(tmp_path / "b.png")
        stream = open_images(str(tmp_path))
        images = read(stream)
        assert (images[0] == 77).all()
        assert images[1, 0].tolist() == [[255, 0], [255, 0]]
        assert len(stream.notes) == 2

    def test_pillow_must_not_fill_up_truncated_images(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With LOAD_TRUNCATED_IMAGES, which other libraries set, half an image would pass as a whole one."""
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        with pytest.raises(InputError, match="LOAD_TRUNCATED_IMAGES to False"):
            read(open_images(str(write_folder(tmp_path, pictures(1)))))

    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(batch_size=st.integers(1, 25))
    def test_any_batch_size_gives_the_same_rows(self, tmp_path: Path, batch_size: int) -> None:
        """Property: 19 files, in blocks of eight inside, come out in order at every batch size."""
        if not any(tmp_path.iterdir()):
            write_folder(tmp_path, pictures(19))
        batches = list(open_images(str(tmp_path)).batches(batch_size))
        assert torch.equal(torch.cat(batches), pictures(19))
        assert {len(batch) for batch in batches[:-1]} <= {batch_size}


class TestFingerprint:
    def test_known_after_a_complete_pass_and_that_of_the_images(self, tmp_path: Path) -> None:
        """`data.pipeline.fingerprint.fingerprint` of the tensor is the definition; before the end there is none."""
        stream = open_images(str(write_folder(tmp_path, pictures(5))))
        batches = stream.batches(4)
        next(batches)
        with pytest.raises(InputError, match="once all its images have been read"):
            _ = stream.fingerprint
        list(batches)
        assert stream.fingerprint == fingerprint(pictures(5))

    @pytest.mark.parametrize("batch_size", [1, 5, 7])
    def test_independent_of_order_names_and_batch_size(self, tmp_path: Path, batch_size: int) -> None:
        """The same pixels under other names, hence in another order, are the same set of images."""
        names = ["e.png", "x/d.png", "c.png", "b.png", "a.png"]
        stream = open_images(str(write_folder(tmp_path, pictures(5), names)))
        assert not torch.equal(read(stream, batch_size), pictures(5))
        assert stream.fingerprint == fingerprint(pictures(5))

    def test_a_changed_pixel_changes_it(self) -> None:
        """One level in one pixel is another image."""
        other = pictures(5).clone()
        other[2, 1, 3, 3] ^= 1
        stream = from_tensors(other)
        read(stream)
        assert stream.fingerprint != fingerprint(pictures(5))


class TestOverlap:
    def test_reads_ahead_while_the_consumer_works_but_not_without_bound(self) -> None:
        """The consumer holds one batch and does not ask for the next; the source must be asked all the same
        (the event is set), but not for more than the blocks that may wait and the one being made."""
        asked_again, asked = threading.Event(), []

        def endless() -> Iterator[Tensor]:
            for i in range(1000):
                asked.append(i)
                if i == 2:
                    asked_again.set()
                yield pictures(2)

        batches = from_tensors(endless(), n=2000).batches(2)
        next(batches)
        assert asked_again.wait(timeout=60)
        assert len(asked) <= 10
        batches.close()  # type: ignore[attr-defined]
        assert len(asked) <= 10

    def test_a_consumer_that_stops_early_leaves_no_thread(self, tmp_path: Path) -> None:
        """Threads are alive in the middle of a pass (else this test would see nothing) and gone after it."""
        stream = open_images(str(write_folder(tmp_path, pictures(200))))
        for _ in stream.batches(2):
            assert threads()
            break
        assert not threads()
        assert torch.equal(read(stream), pictures(200))
        assert not threads()

    def test_an_error_in_the_consumer_leaves_no_thread(self, tmp_path: Path) -> None:
        """The generator is closed when the exception unwinds; waiting work is cancelled, not finished."""
        stream = open_images(str(write_folder(tmp_path, pictures(50))))

        def consume() -> None:
            for _ in stream.batches(2):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            consume()
        del caught  # its traceback holds the frame that holds the generator
        assert not threads()

    def test_work_that_waits_is_cancelled_when_the_consumer_stops(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The source blocks in item 1 until the pool is told to shut down, which comes after the cancelling: so
        of fifty items asked for ahead, none after item 1 may be made."""
        released, started, made = threading.Event(), threading.Event(), []

        class ReleasesOnShutdown(ThreadPoolExecutor):
            def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
                released.set()
                super().shutdown(wait, cancel_futures=cancel_futures)

        def source() -> Generator[int, None, None]:
            for i in range(100):
                made.append(i)
                if i == 1:
                    started.set()
                    assert released.wait(timeout=60)
                yield i

        monkeypatch.setattr(prefetch, "ThreadPoolExecutor", ReleasesOnShutdown)
        items = prefetch.read_ahead(source(), 50)
        assert next(items) == 0
        assert started.wait(timeout=60)
        items.close()
        assert made == [0, 1]

    def test_results_of_many_threads_come_in_order(self) -> None:
        """Squares of 0..99 from three threads, whichever is first."""

        def numbers() -> Generator[int, None, None]:
            yield from range(100)

        assert list(prefetch.map_ahead(lambda i: i * i, numbers(), 3)) == [i * i for i in range(100)]


class TestTensors:
    def test_tensor_list_and_iterator(self) -> None:
        """The same seven images as one tensor, as a list of uneven batches and as an iterator."""
        images = pictures(7)
        parts = [images[:1], images[1:1], images[1:6], images[6:]]
        for stream in (from_tensors(images), from_tensors(parts), from_tensors(iter(parts), n=7)):
            assert stream.n == len(stream) == 7
            assert torch.equal(read(stream), images)
            assert stream.fingerprint == fingerprint(images)

    def test_an_iterator_can_be_read_once(self) -> None:
        """A second pass would silently see no images; it is refused. A list can be read again."""
        stream = from_tensors(iter([pictures(2)]), n=2)
        read(stream)
        with pytest.raises(InputError, match="only once"):
            stream.batches(1)
        again = from_tensors([pictures(2)])
        assert torch.equal(read(again), read(again))

    def test_an_iterator_needs_its_number_and_keeps_it(self) -> None:
        """Without n nobody can plan; with a wrong n somebody lost images."""
        with pytest.raises(InputError, match="pass n"):
            from_tensors(iter([pictures(2)]))
        with pytest.raises(InputError, match="said to hold 3 images but holds 2"):
            read(from_tensors(iter([pictures(2)]), n=3))

    @pytest.mark.parametrize(
        ("tensor", "sentence"),
        [
            (torch.linspace(0, 1, 24).reshape(1, 3, 2, 4), r"float32, .*\[0, 1\]: multiply by 255"),
            (torch.linspace(-1, 1, 24).reshape(1, 3, 2, 4), r"float32, .*\[-1, 1\]: add 1"),
            (torch.linspace(0, 255, 24).reshape(1, 3, 2, 4).bfloat16(), r"bfloat16, .*0\.\.255: round"),
            (torch.full((1, 3, 2, 4), torch.nan), "NaN"),
            (torch.zeros(1, 3, 2, 4, dtype=torch.int64), "int64"),
            (torch.zeros(1, 1, 2, 4, dtype=torch.uint8), "1×1×2×4"),
            (torch.zeros(1, 4, 2, 4, dtype=torch.uint8), "1×4×2×4"),
            (torch.zeros(3, 2, 4, dtype=torch.uint8), "3×2×4"),
            (torch.zeros(0, 3, 2, 4, dtype=torch.uint8), "no images"),
        ],
    )
    def test_what_is_no_uint8_rgb_is_refused(self, tensor: Tensor, sentence: str) -> None:
        """Alone it is refused when opened, in an iterator when it comes by, with the same words."""
        with pytest.raises(InputError, match=f"fakes .*{sentence}"):
            from_tensors(tensor, "fakes")
        if len(tensor):
            with pytest.raises(InputError, match=f"batch 1 of fakes .*{sentence}"):
                read(from_tensors(iter([pictures(1), tensor]), "fakes", n=2))

    def test_what_is_no_tensor_is_refused(self) -> None:
        """A DataLoader yields lists of images and labels."""
        with pytest.raises(InputError, match="batch 0 of images is a list"):
            read(from_tensors(iter([[pictures(2), torch.zeros(2)]]), n=2))  # type: ignore[list-item]

    def test_mismatched_sizes_between_batches(self) -> None:
        """The odd batch is named by its number, with both sizes."""
        with pytest.raises(InputError, match="batch 0 of images is 5×6 but batch 2 of images is 4×4"):
            read(from_tensors([pictures(2), pictures(3), pictures(2, 4, 4)]))

    def test_labels_must_be_one_an_image(self) -> None:
        """They enter the fingerprint row by row."""
        labelled = from_tensors(pictures(2), labels=torch.tensor([1, 0]))
        read(labelled)
        assert labelled.fingerprint == fingerprint(pictures(2), torch.tensor([1, 0]))
        with pytest.raises(InputError, match="2 images but labels"):
            from_tensors(pictures(2), labels=torch.zeros(3, dtype=torch.int64))

    def test_batch_size_zero(self) -> None:
        """Refused at the call, not at the first batch."""
        with pytest.raises(InputError, match="batch size 0"):
            from_tensors(pictures(2)).batches(0)


class TestParquet:
    def test_images_and_labels(self, tmp_path: Path) -> None:
        """PNG bytes in Hugging Face's layout; the fingerprint is that of the pixels with their labels."""
        write_folder(tmp_path, pictures(5))
        rows = [{"bytes": (tmp_path / f"{i:03}.png").read_bytes(), "path": None} for i in range(5)]
        labels = [0, 2, 1, 1, 0]
        pd.DataFrame({"image": rows, "label": labels}).to_parquet(tmp_path / "made.parquet")
        stream = open_images(str(tmp_path / "made.parquet"))
        assert torch.equal(read(stream), pictures(5))
        assert stream.labels is not None
        assert stream.fingerprint == fingerprint(pictures(5), stream.labels)
        assert stream.labels.tolist() == labels

    def test_shared_cifar10(self, shared_data: Path) -> None:
        """10,000 real photographs as JPEG; rows 0 and 99, decoded by Pillow alone, are the expected images."""
        path = shared_data / "cifar10" / "test.parquet"
        stream = open_images(str(path))
        batches = stream.batches(100)
        first = next(batches)
        batches.close()  # type: ignore[attr-defined]
        rows = pd.read_parquet(path, columns=["img"])["img"]
        assert stream.n == len(rows) == 10_000
        for i in (0, 99):
            expected = np.asarray(Image.open(io.BytesIO(rows.iloc[i]["bytes"])))
            np.testing.assert_array_equal(first[i].permute(1, 2, 0).numpy(), expected)


class TestDatasets:
    @pytest.mark.costly
    @pytest.mark.parametrize(
        ("spec", "split"),
        [
            ("digits", "train"),
            ("digits:train", "train"),
            ("digits:held_out", "held_out"),
            ("digits:test", "held_out"),
        ],
    )
    def test_digits(self, spec: str, split: str) -> None:
        """Images, labels and fingerprint are those of the catalogue's split; the latter is known up front."""
        stream = open_images(spec)
        expected = getattr(load_dataset("digits"), split)
        assert (stream.name, stream.n) == (f"digits-{split}", len(expected))
        assert stream.fingerprint == expected.fingerprint
        assert stream.labels is not None
        assert torch.equal(stream.labels, expected.labels)
        assert torch.equal(read(stream, 500), expected.images)

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            ("digits:trian", "unknown split of digits 'trian'; did you mean 'train'"),
            ("no-such-thing", "unknown dataset .*digits.*; nor is there a file or folder of that name"),
        ],
    )
    def test_unknown_names(self, spec: str, sentence: str) -> None:
        """The nearest split, or the names of all datasets."""
        with pytest.raises(InputError, match=sentence):
            open_images(spec)


class TestOpen:
    @pytest.mark.parametrize(
        ("name", "options", "sentence"),
        [
            ("a.png", {}, "single image; give the folder"),
            ("a.xyz", {}, "no source of images"),
            ("a.pt", {}, "--kind torchscript"),
            ("a.zip", {"latent": 3}, "--latent, --samples and --classes are for a generator"),
            ("a.zip", {"size": 0}, "size 0"),
            ("a.zip", {"kind": "folder"}, "is a file, but folder: takes a folder"),
            ("a.zip", {"kind": "zipp"}, "did you mean 'zip'"),
            ("a.zip", {"kind": "dataset"}, "unknown dataset"),
        ],
    )
    def test_impossible_requests(
        self, tmp_path: Path, name: str, options: dict[str, object], sentence: str
    ) -> None:
        """Each is refused before anything is read, with a way out."""
        (tmp_path / name).write_bytes(b"?")
        with pytest.raises(InputError, match=sentence):
            open_images(str(tmp_path / name), SourceOptions(**options))  # type: ignore[arg-type]

    def test_missing_file(self, tmp_path: Path) -> None:
        """A missing file is said to be missing also where its kind is given."""
        with pytest.raises(InputError, match="is not there"):
            open_images(str(tmp_path / "a.zip"), SourceOptions(kind="zip"))


class TestPairs:
    def test_files_pair_by_relative_name(self, tmp_path: Path) -> None:
        """The same names below folders of different depth pair up; rows are partners at any batch size."""
        names = ["x/b.png", "a.png", "c.png"]
        a = open_images(str(write_folder(tmp_path / "a", pictures(3), names)))
        inner = [f"around/{name}" for name in names]
        b = open_images(str(write_folder(tmp_path / "b", 255 - pictures(3), inner)))
        for batch_size in (1, 2, 3):
            rows = list(pairs(a, b).batches(batch_size))
            assert sum(len(x) for x, _ in rows) == 3
            assert all(torch.equal(x, 255 - y) for x, y in rows)

    def test_names_without_partner(self, tmp_path: Path) -> None:
        """Equal counts, other names: the first three that lack a partner are named, the rest counted."""
        a = open_images(str(write_folder(tmp_path / "a", pictures(3), ["0.png", "1.png", "2.png"])))
        b = open_images(str(write_folder(tmp_path / "b", pictures(3), ["0.png", "3.png", "4.png"])))
        with pytest.raises(InputError, match=r"1\.png \(only in folder-a\), 2\.png .*3\.png .*and 1 more"):
            pairs(a, b)

    def test_others_pair_by_position(self, tmp_path: Path) -> None:
        """A folder and a tensor: row i with row i; other counts are refused with both numbers."""
        a = open_images(str(write_folder(tmp_path, pictures(3))))
        assert all(torch.equal(x, y) for x, y in pairs(a, from_tensors(pictures(3))).batches(2))
        with pytest.raises(InputError, match=r"folder-.* has 3 images but images has 4"):
            pairs(a, from_tensors(pictures(4)))

    def test_other_sizes(self) -> None:
        """Both sizes are named, and the way out."""
        with pytest.raises(InputError, match="5×6 but b of 4×4; --size N"):
            list(pairs(from_tensors(pictures(2), "a"), from_tensors(pictures(2, 4, 4), "b")).batches(64))


class TestFirst:
    def test_the_first_images_of_a_folder(self, tmp_path: Path) -> None:
        """10 of 12 files, across the borders of blocks: those pixels, names and fingerprint, and of what was
        converted only what is among them (one of two grey files)."""
        write_folder(tmp_path, pictures(12))
        for i in (9, 10):
            Image.fromarray(pictures(12)[i, 0].numpy()).save(tmp_path / f"{i:03}.png")
        stream = open_images(str(tmp_path)).first(10)
        images = read(stream)
        assert torch.equal(images[:9], pictures(12)[:9])
        assert stream.names == [f"{i:03}.png" for i in range(10)]
        assert stream.fingerprint == fingerprint(images)
        assert stream.notes == (
            "the first 10 of 12 images in the order of their names",
            "1 of 10 images were grey and were copied to three channels",
        )

    def test_labels_go_along(self) -> None:
        """The fingerprint is that of the cut, not the one the dataset came with."""
        stream = open_images("digits").first(7)
        images = read(stream)
        assert stream.labels is not None
        assert stream.fingerprint == fingerprint(images, load_dataset("digits").train.labels[:7])  # type: ignore[index]

    @pytest.mark.parametrize("n", [1, 5, 6, 11])
    def test_an_iterator_may_go_on(self, n: int) -> None:
        """Batches of 5 and 6 images, of which the first n are wanted; what comes after them is not looked at."""

        def batches() -> Iterator[Tensor]:
            yield from pictures(11).split([5, 6])
            yield torch.zeros(1)

        assert torch.equal(read(from_tensors(batches(), n=n).first(n)), pictures(11)[:n])

    def test_more_than_there_are(self) -> None:
        """Nobody gets fewer images than asked for without a word."""
        with pytest.raises(InputError, match="images holds 5 images, fewer than the 6 asked for"):
            from_tensors(pictures(5)).first(6)


def test_a_look_tells_what_a_pass_would(tmp_path: Path) -> None:
    """Digests in order, fingerprint and notes are known after `look`, and a second one reads nothing; an iterator
    can be looked at instead of read, not as well."""
    stream = open_images(str(write_folder(tmp_path / "made", pictures(5))))
    stream.scan()
    assert list(stream.digests) == pixel_digests(pictures(5))
    assert stream.fingerprint == fingerprint(pictures(5))
    (tmp_path / "made" / "000.png").unlink()
    stream.scan()
    once = from_tensors(iter([pictures(5)]), n=5)
    once.scan()
    with pytest.raises(InputError, match="can be read only once"):
        once.batches(2)
