"""MNIST and CIFAR-10: where they are looked for, and what is known about the copy that is found."""

from __future__ import annotations

import functools
import hashlib
import pickle
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from benchbench.core.errors import InputError
from benchbench.data.builtin.torchvision_sets import CIFAR10
from benchbench.data.catalogue import load_dataset


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $BENCHBENCH_DATA, and no network: the servers' addresses lead to a closed local port."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path


@pytest.mark.slow
def test_shared_mnist_is_canonical(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LeCun et al.: 60,000 + 10,000 images; the mean levels 33.3184 and 33.7912 and the class counts are those
    commonly published, so the frozen fingerprint is not just any copy's. With size 32 the digits are padded:
    the same pixels inside, black around."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    dataset = load_dataset("mnist")
    assert (len(dataset.train), len(dataset.held_out)) == (60_000, 10_000)
    assert dataset.canonical is True
    assert not any("canonical" in note for note in dataset.notes)
    assert dataset.train.images[:, 0].numpy().mean() == pytest.approx(33.318421449829934, abs=1e-9)
    assert dataset.held_out.images[:, 0].numpy().mean() == pytest.approx(33.791224489795916, abs=1e-9)
    assert dataset.train.labels is not None
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert dataset.train.labels.bincount().tolist() == counts
    padded = load_dataset("mnist", size=32)
    assert torch.equal(padded.held_out.images[:, :, 2:30, 2:30], dataset.held_out.images)
    assert padded.held_out.images.sum() == dataset.held_out.images.sum()
    assert padded.canonical is True
    assert any("two black pixels" in note for note in padded.notes)


@pytest.mark.slow
def test_shared_cifar10_is_known_not_to_be(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is a JPEG re-encoding (its own README says so): counted as such and never called canonical."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    dataset = load_dataset("cifar10")
    assert (len(dataset.train), len(dataset.held_out)) == (50_000, 10_000)
    assert dataset.canonical is False
    assert any("JPEG: its pixels are not canonical" in note for note in dataset.notes)
    assert dataset.train.labels is not None
    assert dataset.train.labels.bincount().tolist() == [5000] * 10


def test_a_local_folder(data: Path, write_image) -> None:
    """NAME/{train,test}/<class>/*.png: labels are the set's own, not the order of the folders that happen to
    be there; a PNG copy that nobody knows may or may not be canonical."""
    for i, name in enumerate(["train/truck", "train/cat", "test/cat", "test/dog"]):
        write_image(f"cifar10/{name}/{i}.png", seed=i, side=32)
    dataset = load_dataset("cifar10")
    assert dataset.train.labels is not None
    assert dataset.held_out.labels is not None
    assert dataset.train.labels.tolist() == [3, 9]
    assert dataset.held_out.labels.tolist() == [3, 5]
    assert dataset.classes == CIFAR10.classes
    assert dataset.canonical is None
    assert (dataset.native, dataset.extractor) == (32, "cnn_cifar10")
    resized = load_dataset("cifar10", size=16)
    assert resized.native == 32  # what the set holds, whatever is shown of it
    assert resized.train.images.shape == (2, 3, 16, 16)
    assert any("from 32×32 to 16×16" in note for note in resized.notes)


def test_an_unknown_class(data: Path, write_image) -> None:
    """A folder that is no class of CIFAR-10."""
    for i, name in enumerate(["train/truck", "train/unicorn", "test/cat"]):
        write_image(f"cifar10/{name}/{i}.png", seed=i)
    with pytest.raises(InputError, match="unknown label 'unicorn'; the 10 classes are airplane"):
        load_dataset("cifar10")


def test_half_a_copy_is_no_copy(data: Path, write_image) -> None:
    """Not filled up from the network: the sentence says what is missing."""
    write_image("mnist/train/7/0.png")
    with pytest.raises(InputError, match=r"is incomplete: test\.parquet or test/ is missing"):
        load_dataset("mnist")


def test_a_wrong_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A typing error in the variable must not start a download."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path / "typo"))
    with pytest.raises(InputError, match=r"BENCHBENCH_DATA is .*typo, which is not a folder"):
        load_dataset("mnist")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_network(data: Path, own_cache: Path, name: str) -> None:
    """A refused connection, for real: one sentence with both ways out, and nothing left in the cache."""
    with pytest.raises(
        InputError, match=rf"BENCHBENCH_DATA to .*{name}/train\.parquet.*or connect to the network"
    ):
        load_dataset(name)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: (address, the folder it serves)."""
    folder = tmp_path_factory.mktemp("www")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder
        httpd.shutdown()
        thread.join()


def _archive(monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> bytes:
    """An archive in CIFAR-10's format of `images` (uint8 N×3072: the train batches hold the first, the test
    batch the last two), with torchvision's list of checksums replaced by its own."""
    batches = {f"data_batch_{i + 1}": images[i : i + 1] for i in range(len(images) - 2)} | {
        "test_batch": images[-2:]
    }
    stream, sums = BytesIO(), {}
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        contents = {name: {"data": part, "labels": [3] * len(part)} for name, part in batches.items()}
        for name, content in {**contents, "batches.meta": {"label_names": list(CIFAR10.classes)}}.items():
            raw = pickle.dumps(content)
            sums[name] = hashlib.md5(raw).hexdigest()
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(raw)
            tar.addfile(info, BytesIO(raw))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(stream.getvalue()).hexdigest())
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[n, sums[n]] for n in batches if n != "test_batch"])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums["batches.meta"]})
    return stream.getvalue()


def test_download(
    data: Path, own_cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, notes
) -> None:
    """A whole download through torchvision from a server on this machine: pixels arrive as N×3×32×32 in the
    archive's order, an archive with verified checksums counts as canonical, a second load needs no network, a
    damaged copy is fetched again."""
    address, www = server
    images = np.random.default_rng(0).integers(0, 256, (5, 3072), np.uint8)
    (www / "cifar.tar.gz").write_bytes(_archive(monkeypatch, images))
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/cifar.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "filename", "cifar.tar.gz")
    dataset = load_dataset("cifar10", progress=notes)
    np.testing.assert_array_equal(dataset.train.images.numpy(), images[:3].reshape(3, 3, 32, 32))
    np.testing.assert_array_equal(dataset.held_out.images.numpy(), images[3:].reshape(2, 3, 32, 32))
    assert dataset.canonical is True
    assert len(notes.said) == 1
    (www / "cifar.tar.gz").rename(www / "away")
    assert load_dataset("cifar10", progress=notes).fingerprint == dataset.fingerprint
    assert len(notes.said) == 1
    (www / "away").rename(www / "cifar.tar.gz")
    (batch,) = own_cache.rglob("data_batch_1")
    batch.write_bytes(b"damaged")
    assert load_dataset("cifar10", progress=notes).fingerprint == dataset.fingerprint
    assert "is damaged" in notes.said[1]


def test_a_wrong_archive_is_refused(
    data: Path, own_cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One flipped bit in the archive: its MD5 is not the canonical one."""
    address, www = server
    content = bytearray(_archive(monkeypatch, np.zeros((3, 3072), np.uint8)))
    content[-1] ^= 1
    (www / "cifar.tar.gz").write_bytes(bytes(content))
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/cifar.tar.gz")
    with pytest.raises(InputError, match="cannot be downloaded"):
        load_dataset("cifar10")
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []
