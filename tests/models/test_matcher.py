"""The matcher: its loss, what it may not be told apart by, and the judge that reads its weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.protocols import Batch, Generator, ImageSpec, Phase, TextMatcher, Trainable
from benchbench.features.text.matcher import MatcherJudge
from benchbench.models.build import build_model
from benchbench.models.matcher import moved
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train
from benchbench.training.weights import save_weights

CPU = torch.device("cpu")
SPEC = ImageSpec(8, 8, False, 0, condition_dim=6)
VARIABLE = "BENCHBENCH_MATCHER_TOY_WEIGHTS"


def matcher(spec: ImageSpec = SPEC, **hyper: Any) -> Any:
    torch.manual_seed(0)
    return build_model("matcher", {"width": 5, **hyper}, spec)


def noise(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def batch(x: Tensor, condition: Tensor | None) -> Batch:
    return Batch(x, None, 0, 1, condition=condition)


def test_contract() -> None:
    """It is trained and matches; it makes no images. Without captions there is nothing to match."""
    model = matcher()
    assert isinstance(model, Trainable)
    assert isinstance(model, TextMatcher)
    assert not isinstance(model, Generator)
    with pytest.raises(InputError, match="no captions"):
        matcher(ImageSpec(8, 8, False, 0))
    with pytest.raises(InputError, match="at least 4×4"):
        matcher(ImageSpec(3, 8, False, 0, condition_dim=6))
    with pytest.raises(InputError, match="without captions"):
        model.loss(Phase("matcher"), batch(noise(2, 3, 8, 8), None))


@torch.no_grad()
def test_loss_is_infonce_both_ways() -> None:
    """By the equation, summed in loops: minus the log of the own pair's share among the pairs of its image and among
    those of its caption, halved; 1e-5 for sums in float32."""
    model = matcher().eval()
    x, told = noise(4, 3, 8, 8), noise(4, 6)
    images, texts = model.seen(x).double(), model.read(told).double()
    weights = [[math.exp(float(a @ b) / 0.07) for b in texts] for a in images]
    nats = 0.0
    for i in range(4):
        of_image, of_text = sum(weights[i]), sum(row[i] for row in weights)
        nats -= math.log(weights[i][i] / of_image) / 8 + math.log(weights[i][i] / of_text) / 8
    loss, logs = model.loss(Phase("matcher"), batch(x, told))
    assert float(loss) == pytest.approx(nats, rel=1e-5)
    best = [max(range(4), key=lambda j: weights[i][j]) for i in range(4)]
    assert float(logs["matched"]) == sum(b == i for i, b in enumerate(best)) / 4


@torch.no_grad()
def test_equal_captions_are_no_negatives() -> None:
    """Two images of one caption: for each the other's caption is left out of the sums, so with no third pair nothing is
    left to be told apart and the loss is 0."""
    model = matcher().eval()
    x, told = noise(2, 3, 8, 8), noise(1, 6).expand(2, -1)
    loss, _ = model.loss(Phase("matcher"), batch(x, told))
    assert float(loss) == 0
    third, _ = model.loss(Phase("matcher"), batch(noise(3, 3, 8, 8), torch.cat([told, noise(1, 6, seed=5)])))
    assert float(third) > 0


def test_moved_images() -> None:
    """Of white with one black pixel in the middle white and one black pixel is left, a tenth of 20 pixels, 2, away at
    most, mirrored or not; over 200 images all places come up."""
    x = torch.ones(200, 1, 20, 20)
    x[:, :, 10, 10] = -1
    torch.manual_seed(0)
    places = (moved(x)[:, 0] == -1).nonzero()
    assert places[:, 0].tolist() == list(range(200))
    rows, columns = places[:, 1] - 10, places[:, 2]
    assert set(rows.tolist()) == {-2, -1, 0, 1, 2}
    assert set(columns.tolist()) == {7, 8, 9, 10, 11, 12}  # mirrored, 10 is 9


@pytest.mark.parametrize("grey", [False, True])
def test_the_judge_is_the_model(grey: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge folds batch norms and reads the weights by their names: 1e-5 against the model itself, whose batch
    norms have statistics of their own. Images of another size are resized to the one that it was trained at."""
    model = matcher(ImageSpec(8, 12, grey, 0, condition_dim=6), convs=2)
    for _ in range(3):
        model.seen(noise(16, model.spec.channels, 8, 12))
    save_weights(model.eval(), tmp_path / "weights.safetensors", name="matcher")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights.safetensors"))
    judge = MatcherJudge("toy")
    images = torch.randint(0, 256, (5, 3, 8, 12), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    images = images[:, :1].expand(-1, 3, -1, -1) if grey else images
    told = noise(7, 6)
    with torch.no_grad():
        torch.testing.assert_close(judge.images(images), model.image_codes(images), atol=1e-5, rtol=0)
        torch.testing.assert_close(judge.captions(told), model.caption_codes(told), atol=1e-5, rtol=0)
    assert judge.images(images.repeat_interleave(2, 2)).shape == (5, 5)
    assert judge.describe() == {"dataset": "toy", "weights_sha256": judge.weights_sha256, "size": "12×8"}


def test_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the way to get them; a file of another network is named as such."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(
        MetricFailed, match=rf"--model matcher --dataset toy, then point {VARIABLE}"
    ) as raised:
        MatcherJudge("toy")
    assert raised.value.status == "unavailable"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(MetricFailed, match="not a file"):
        MatcherJudge("toy")
    other = build_model("cnn", {}, ImageSpec(8, 8, False, 3))
    save_weights(other, tmp_path / "cnn.safetensors", name="cnn")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cnn.safetensors"))
    with pytest.raises(MetricFailed, match="another network's"):
        MatcherJudge("toy")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("side", torch.tensor(8)),
        ("side", torch.tensor([8, 0])),
        ("side", torch.tensor([8, 8, 3])),
        ("text.weight", torch.zeros(5)),
        ("text.weight", torch.zeros(3, 6)),
        ("head.weight", torch.zeros(5)),
        ("levels.0.0.weight", torch.zeros(4)),
    ],
)
def test_weights_of_a_wrong_shape_are_named(
    name: str, other: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right names with anything in them are another network's all the same, and no bug of ours."""
    model = matcher(ImageSpec(8, 8, False, 0, condition_dim=6)).eval()
    save_file({**model.state_dict(), name: other}, tmp_path / "weights.safetensors")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights.safetensors"))
    with pytest.raises(MetricFailed, match="another network's") as raised:
        MatcherJudge("toy")
    assert raised.value.status == "unavailable"


def test_captions_of_another_encoder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that read six numbers a caption and are shown seven: one sentence says both, and what to point where."""
    model = matcher(ImageSpec(8, 8, False, 0, condition_dim=6)).eval()
    save_weights(model, tmp_path / "weights.safetensors", name="matcher")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights.safetensors"))
    with pytest.raises(InputError, match=rf"captions of 6 numbers, and these have 7; point {VARIABLE}"):
        MatcherJudge("toy").captions(noise(3, 7))


@pytest.mark.costly
def test_it_learns_what_a_caption_means() -> None:
    """Images of one of three colours and captions of three directions, disturbed: of new pairs, the nearest of the
    three captions is the right one for more than nine of ten, chance being a third."""

    def pairs(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        kinds = torch.arange(n) % 3
        levels = 90 + 60 * torch.eye(3)[kinds][:, :, None, None] + 15 * noise(n, 3, 8, 8, seed=seed)
        return (
            levels.clamp(0, 255).to(torch.uint8),
            torch.eye(6)[kinds] * 2.4 + 0.1 * noise(n, 6, seed=seed),
            kinds,
        )

    images, told, _ = pairs(96, 1)
    fresh, _, kinds = pairs(60, 2)
    model = matcher(augment=False, dropout=0.0)
    config = TrainingConfig(steps=40, batch_size=32, lr=5e-3)
    data = TrainingData(images, None, fresh, conditions=told)
    train(model, data, config, seed=0, device=CPU)
    with torch.no_grad():
        near = (model.image_codes(fresh) @ model.caption_codes(torch.eye(6)[:3] * 2.4).T).argmax(1)
    assert float((near == kinds).float().mean()) > 0.9
