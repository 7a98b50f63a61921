"""Training on images that are not in memory: the numbers of those that are, and never more than a few batches at a
time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.data.pipeline.image_source import PIECE, Images, ImageSource
from benchbench.data.sources.folder import FolderImages
from benchbench.models.build import build_model
from benchbench.training.batches import AHEAD, Other
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

CPU = torch.device("cpu")


def pictures(n: int, seed: int = 0, side: int = 8) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=g)


class Counted:
    """A source that knows how many of the images it handed out are still there, and which it was asked for."""

    grey, digests = False, None

    def __init__(self, images: Images) -> None:
        self.images, self.lock = images, threading.Lock()
        self.height, self.width = (
            images.shape[2:] if isinstance(images, Tensor) else (images.height, images.width)
        )
        self.alive = self.most = 0
        self.asked: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> Tensor:
        made = self.images[rows] if isinstance(self.images, Tensor) else self.images.batch(rows)
        with self.lock:
            self.asked.append(rows)
            self.alive += len(rows)
            self.most = max(self.most, self.alive)
        weakref.finalize(made, self._gone, len(rows))
        return made

    def _gone(self, n: int) -> None:
        with self.lock:
            self.alive -= n


def go(model: nn.Module, data: TrainingData, **settings: Any) -> TrainingResult:
    config = TrainingConfig.model_validate({"batch_size": 4, "lr": 0.01} | settings)
    return train(model, data, config, seed=0, device=CPU)


def vae() -> nn.Module:
    torch.manual_seed(0)
    return build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("vae", {"epochs": 3}),
        ("vae", {"epochs": 3, "class_balanced": True}),
        ("vae", {"epochs": 6, "patience": 2}),
        ("vae", {"epochs": 2, "batch_size": 64}),
        ("gan", {"epochs": 3, "ema_decay": 0.9}),
        ("cyclegan", {"steps": 5}),
        ("pix2pix", {"steps": 5}),
    ],
)
def test_a_source_trains_as_the_tensor_does(toys: Any, kind: str, settings: dict[str, Any]) -> None:
    """Weights and curves bit for bit, with a validation part, balanced classes, several batches a step, fewer images
    than a batch, and two domains, paired or not."""
    images, held_out, labels = pictures(22), pictures(6, 1), torch.arange(22) % 3
    results = []
    for lazy in (False, True):
        wrap: Any = Counted if lazy else (lambda images: images)
        other = None
        if kind in ("cyclegan", "pix2pix"):
            torch.manual_seed(0)
            small = {"width": 4, "disc_layers": 1} | ({"blocks": 1} if kind == "cyclegan" else {})
            model = build_model(kind, small, ImageSpec(8, 8, False, 0))
            other = Other(wrap(pictures(22, 2)), wrap(pictures(6, 3)), aligned=kind == "pix2pix")
        else:
            torch.manual_seed(0)
            model = toys.GAN() if kind == "gan" else vae()
        result = go(model, TrainingData(wrap(images), labels, wrap(held_out), other), **settings)
        results.append((model.state_dict(), result.curves, result.selected_on))
    (weights, *facts), (lazily, *others) = results
    assert facts == others
    assert all(torch.equal(value, lazily[key]) for key, value in weights.items())


@pytest.mark.costly
def test_a_folder_is_never_in_memory(tmp_path: Path) -> None:
    """3,000 images in batches of 32, two epochs: at most those of AHEAD + 2 batches are there at a time (the one
    before, the present one, those that are read ahead), each image was read twice at most, nearly all of them were, and
    no thread is left behind."""
    for i, image in enumerate(pictures(3000)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:04d}.png")
    source = Counted(FolderImages(tmp_path))
    result = go(vae(), TrainingData(source, None, pictures(6, 1)), epochs=2, batch_size=32)
    assert result.n_steps == 2 * 93
    assert source.most <= (AHEAD + 2) * 32
    # All but the first request, which looks at one image, and what was read ahead of the end.
    read = torch.cat(source.asked[1 : 1 + 2 * 93]).bincount(minlength=3000)
    assert read.max() <= 2
    assert (read > 0).sum() > 2900
    assert source.alive == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchbench")]


def test_selecting_reads_in_pieces() -> None:
    """A validation part of a source: it is read in pieces, too, of which two are there at a time at most."""
    source = Counted(pictures(1200))
    result = go(vae(), TrainingData(source, None, pictures(6, 1)), epochs=2, batch_size=32, patience=1)
    assert result.selected_on == "validation, 256 of 1200 training images"
    assert source.most <= 2 * PIECE


def test_batches_are_read_while_the_model_computes() -> None:
    """When the loss of the first batch is asked for the next ones are on their way: nobody needs to ask for them."""
    source, seen = Counted(pictures(40)), threading.Event()

    class Waiting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(()))

        def players(self) -> dict[str, nn.Module]:
            return {"it": self}

        def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            for _ in range(1000):
                if len(source.asked) >= 2 + AHEAD or batch.step:
                    seen.set()
                    break
                threading.Event().wait(0.01)
            return self.w * batch.x.mean(), {}

    go(Waiting(), TrainingData(source, None, pictures(6, 1)), steps=3)
    assert seen.is_set()


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Although another thread met it; and that thread ends."""
    for i, image in enumerate(pictures(12)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "07.png").write_bytes(b"no image")
    source: ImageSource = FolderImages(tmp_path)
    with pytest.raises(InputError, match=r"07\.png"):
        go(vae(), TrainingData(source, None, pictures(6, 1)), epochs=1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchbench-batches")]


BIG = """
import sys, torch
from pathlib import Path
from torch import nn
from benchbench.data.sources.folder import FolderImages
from benchbench.tasks.speed import own_peak_rss
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 4))
    def players(self):
        return {"net": self}
    def loss(self, phase, batch):
        return (self.net(batch.x) - batch.x).square().mean(), {}

source = FolderImages(Path(sys.argv[1]))
held_out = source.batch(torch.arange(8))
config = TrainingConfig(batch_size=64, steps=60)
result = train(Net(), TrainingData(source, source.labels, held_out), config, seed=0, device=torch.device("cpu"))
print(len(source), result.n_steps, own_peak_rss() / 2**30)
"""


@pytest.mark.slow
def test_a_hundred_thousand_large_images_train_in_four_gibibytes(tmp_path: Path) -> None:
    """At 256 pixels they are 18.3 GiB of uint8. The files are links to a hundred different ones: to whoever reads them
    that makes no difference. The peak is that of the whole process, the libraries included;
    what Linux calls `ru_maxrss` would be the peak of the process that started it, where that is larger."""
    real, folder = tmp_path / "real", tmp_path / "images"
    real.mkdir()
    folder.mkdir()
    for i, image in enumerate(pictures(100, side=256)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(real / f"{i}.jpg", quality=60)
    for i in range(100_000):
        os.link(real / f"{i % 100}.jpg", folder / f"{i:06d}.jpg")
    ran = subprocess.run(
        [sys.executable, "-c", BIG, str(folder)], check=True, capture_output=True, text=True, timeout=1200
    )
    n, steps, peak = ran.stdout.split()
    assert (n, steps) == ("100000", "60")
    assert float(peak) < 4
