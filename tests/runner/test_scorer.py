"""`benchbench.Scorer`: the numbers of `evaluate`, in a training loop that does not notice.

Expected numbers are those that `benchbench.evaluate` gives for the same generator, seed and reference; expected states
are those before the call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import benchbench
from benchbench.core.errors import InputError

pytestmark = pytest.mark.costly
LITE = "efficientnet_lite0"


def pictures(n: int, seed: int) -> Tensor:
    """Seeded uint8 N×3×8×8."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, 8, 8)).astype(np.uint8))


REAL = pictures(24, 0)


class Net(nn.Module):
    """4 latents to 3×8×8, with layers that behave otherwise in training."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 192)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.head(self.body(z))).view(-1, 3, 8, 8)


def net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


def test_its_numbers_are_those_of_evaluate() -> None:
    """Of the same generator in memory, twice over; and the next weights have others."""
    own = net()
    scorer = benchbench.Scorer(REAL, ["fd", "recall"], samples=20)
    rows = benchbench.evaluate(own, REAL, ["fd", "recall"], samples=20)
    expected = dict(zip(rows["metric"], rows["value"], strict=True))
    for step in (1, 2):
        found = scorer(own, step)
        assert found.pop("step") == step
        assert found.pop("seconds") > 0
        assert found == pytest.approx(expected)
    assert scorer(net(1))[f"fd_{LITE}"] != expected[f"fd_{LITE}"]
    assert len(scorer.history) == 3
    assert scorer.seconds == pytest.approx(sum(row["seconds"] for row in scorer.history))


def test_against_statistics(tmp_path: Path) -> None:
    """An .npz of a mean and a covariance answers Fréchet distances, as in `evaluate`, and nothing else."""
    folder = tmp_path / "real"
    folder.mkdir()
    for i, image in enumerate(REAL):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:02}.png")
    benchbench.stats(str(folder), out=tmp_path / "real.npz")
    own = net()
    rows = benchbench.evaluate(own, tmp_path / "real.npz", ["fd"], samples=20)
    found = benchbench.Scorer(tmp_path / "real.npz", "fd", samples=20)(own)
    assert found[f"fd_{LITE}"] == pytest.approx(rows["value"].iloc[0])
    with pytest.raises(InputError, match="the reference is statistics"):
        benchbench.Scorer(tmp_path / "real.npz", "recall")


def test_a_training_does_not_notice() -> None:
    """Modes of every module, buffers, gradients, the mode of autograd and all global generators are as before, and so
    is the next step; the network is trained on."""

    def trained(scored: bool) -> tuple[list[Tensor], Any]:
        own = net()
        own.train()
        own.body[2].eval()  # somebody froze a part
        optimiser = torch.optim.SGD(own.parameters(), 0.1)
        scorer = benchbench.Scorer(REAL, "fd", samples=8) if scored else None
        torch.manual_seed(1)
        np.random.seed(1)
        for step in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = own(torch.randn(6, 4)).square().mean()
            loss.backward()
            if scorer is not None:
                scorer(own, step)
            optimiser.step()
            optimiser.zero_grad()
        assert own.training
        assert not own.body[2].training
        return [value.clone() for value in own.state_dict().values()], (
            torch.rand(1).item(),
            np.random.rand(),
        )

    (with_it, drawn), (without, expected) = trained(True), trained(False)
    assert all(torch.equal(some, other) for some, other in zip(with_it, without, strict=True))
    assert drawn == expected


def test_labels_are_those_of_the_reference(tmp_path: Path) -> None:
    """A conditional generator is asked for the classes of the dataset's training images; images are its label, and the
    distance to a reference of such images is nothing."""
    for label in (0, 1, 2):
        (tmp_path / str(label)).mkdir()
        for i in range(8):
            grey = np.full((8, 8, 3), 100 * label + i % 4, np.uint8)
            Image.fromarray(grey).save(tmp_path / str(label) / f"{i}.png")
    seen: list[Tensor] = []

    def told(z: Tensor, y: Tensor) -> Tensor:
        seen.append(y)
        return (100 * y).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)

    scorer = benchbench.Scorer(f"{tmp_path}:train", "fd", samples=12)
    found = scorer(benchbench.generator(told, latent=2, classes=3))
    assert found[f"fd_{LITE}"] is not None
    assert seen[-1].bincount(minlength=3).tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"metrics": "psnr"}, "compares pairs of images"),
        ({"metrics": "fdd"}, "did you mean"),
        ({"samples": 1}, "a distribution needs at least 2"),
        ({"reference": "no-such"}, "no-such"),
    ],
)
def test_what_cannot_be_scored_is_said_at_once(words: dict[str, Any], sentence: str) -> None:
    """Before the training begins."""
    with pytest.raises(InputError, match=sentence):
        benchbench.Scorer(**{"reference": REAL, "metrics": "fd", **words})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, "say how many with samples=N"),
        ({"samples": 8, "kind": "npz"}, "kind is for images that a text names"),
        ({"samples": 8, "latent": 5}, "failed on 2×5 latents"),
    ],
)
def test_how_a_generator_is_evaluated(words: dict[str, Any], sentence: str) -> None:
    """It must be said how many images it draws; what is for files is refused."""
    with pytest.raises(InputError, match=sentence):
        benchbench.evaluate(net(), REAL, "fd", **words)
