"""The classifier: its shape, its loss, and that it learns to tell classes apart."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Batch, Classifier, Generator, ImageSpec, Phase, Trainable
from benchbench.models.build import build_model
from benchbench.tasks.classification import classify
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

CPU = torch.device("cpu")
GREY = ImageSpec(16, 16, True, 2)


def cnn(spec: ImageSpec = GREY, **hyper: int) -> Any:
    torch.manual_seed(0)
    return build_model("cnn", hyper, spec)


def bright_halves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Grey noise with the left (class 0) or the right half (class 1) 60 levels brighter."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=rng)
    images = torch.randint(0, 190, (n, 1, 16, 16), generator=rng)
    for image, label in zip(images, labels, strict=True):
        image[..., slice(0, 8) if label == 0 else slice(8, 16)] += 60
    return images.to(torch.uint8).expand(-1, 3, -1, -1).contiguous(), labels


def test_contract() -> None:
    """It is trained and classifies; it makes no images."""
    model = cnn()
    assert isinstance(model, Trainable)
    assert isinstance(model, Classifier)
    assert not isinstance(model, Generator | Autoencoder)


@pytest.mark.parametrize(
    ("spec", "convs", "parameters"),
    [
        (ImageSpec(32, 32, True, 10), 1, 94_186),
        (ImageSpec(32, 32, False, 10), 2, 94_186 + 2 * 288 + 9 * (32**2 + 64**2 + 128**2) + 2 * 224),
        (ImageSpec(5, 9, False, 3), 1, 94_186 + 2 * 288 - 7 * 129),
    ],
)
def test_shapes(spec: ImageSpec, convs: int, parameters: int) -> None:
    """By hand, grey with one convolution a level: 9·(1·32 + 32·64 + 64·128) weights, 2·(32 + 64 + 128) of the
    batch norms and 129·10 of the last layer are 94,186; colour adds 2·288, a second convolution 9·c² + 2·c."""
    model = cnn(spec, convs=convs).eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    images = torch.randint(0, 256, (3, 3, spec.height, spec.width), dtype=torch.uint8)
    with torch.inference_mode():
        features, logits = model.features(images), model.classify(images)
        assert (features.shape, logits.shape) == ((3, 128), (3, spec.n_classes))
        assert bool((features >= 0).all())
        torch.testing.assert_close(model.head(features), logits, rtol=0, atol=0)
        # Evaluation looks at one image at a time; only the order of float32 sums may differ.
        torch.testing.assert_close(torch.cat([model.classify(i[None]) for i in images]), logits)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ImageSpec(16, 16, True, 0), "this dataset has no labels; use one with labels"),
        (ImageSpec(16, 16, True, 1), "one class only"),
        (ImageSpec(3, 16, True, 2), "at least 4×4 pixels but these are 3×16"),
    ],
)
def test_data_it_cannot_learn_from(spec: ImageSpec, message: str) -> None:
    """One sentence that says what is missing."""
    with pytest.raises(InputError, match=message):
        cnn(spec)


def test_loss_closed_form() -> None:
    """A last layer of zeros gives every class 1/K: cross-entropy log K, and argmax says class 0, which is right
    for 3 of 4. Without labels there is no loss."""
    model = cnn(ImageSpec(16, 16, True, 5))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    x = torch.rand(4, 1, 16, 16)
    loss, logs = model.loss(Phase("cnn"), Batch(x, torch.tensor([0, 0, 3, 0]), 0, 1))
    assert loss.item() == pytest.approx(math.log(5), rel=1e-6)
    assert float(logs["accuracy"]) == 0.75
    with pytest.raises(InputError, match="without labels; leave patience at 0"):
        model.loss(Phase("cnn"), Batch(x, None, 0, 1))


@pytest.mark.costly
def test_it_learns() -> None:
    """Two halves, one brighter by 60 levels, each the mean of 128 pixels with a standard deviation of 55: the
    halves differ by 60/(55·√(2/128)) ≈ 9 standard deviations, so a classifier that works makes no mistake. Global
    averages alone cannot tell left from right; the convolutions must see the edge. Chance is 0.5."""
    images, labels = bright_halves(256, 0)
    fresh, own = bright_halves(200, 1)
    model = cnn()
    config = TrainingConfig(epochs=5, batch_size=32, lr=3e-3, schedule="cosine")
    result = train(model, TrainingData(images, labels, fresh), config, seed=0, device=CPU)
    assert result.curves[-1]["accuracy"] > result.curves[0]["accuracy"]
    assert classify(model, fresh, own).double().mean() > 0.95
