"""Path lengths of generators: whom they have a meaning for, that a path belongs to its number, and a cell that has
them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import benchbench
from benchbench.core.errors import CellFailed, MetricFailed
from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec, Navigable
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.seeds import ImageRng
from benchbench.features.weights import WeightsFile
from benchbench.metrics.pairs import path_length
from benchbench.metrics.pairs.path_length import EPSILON, PPL, PPLW, PPLFull, PPLWFull, step_ends
from benchbench.models.build import build_model
from benchbench.models.latent_space import space_of
from benchbench.runner.extractors import DEFAULT_EXTRACTOR
from benchbench.tasks import paths
from benchbench.tasks.paths import lacks_paths, path_lengths

SPEC = ImageSpec(8, 8, False, 3)
ALL = [PPL(), PPLFull(), PPLW(), PPLWFull()]


class Toy(nn.Module):
    """Somebody's generator that says how its latents are painted: z A, in the channel of its label, and w = 2z."""

    spaces: Sequence[str] = ("z", "w")

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)) / 10

    def latents(self, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        return rng.normal(2, 5)

    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return 2 * latents

    def paint(self, latents: Tensor, space: str, labels: Tensor | None = None) -> Tensor:
        planes = (latents @ self.matrix).reshape(-1, 1, 4, 4).repeat(1, 3, 1, 1)
        return planes if labels is None else planes * nn.functional.one_hot(labels, 3)[..., None, None]


def squared(x: Tensor, y: Tensor, *_: object, levels: bool = False) -> Tensor:
    return (x.double() - y.double()).square().sum((1, 2, 3))


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The squared difference of levels as the distance, whose weights are at hand."""
    (tmp_path / "none.pth").write_bytes(b"")
    monkeypatch.setenv("HAS_NONE", str(tmp_path / "none.pth"))
    monkeypatch.setattr(paths, "VGG", WeightsFile("ppl", "none.pth", "", "", "HAS_NONE"))
    monkeypatch.setattr(path_length, "lpips_vgg", squared)


def expected(metric: PPL, n: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """A linear generator moves by (p(t + ε) − p(t)) A · 127.5, in each channel that its label leaves."""
    rng = ImageRng(paths._STREAM + seed, range(n))
    first, second = rng.normal(2, 5).double().unbind(1)
    at = rng.uniform() if metric.everywhere else torch.zeros(n)
    scale = 2 if metric.space == "w" else 1
    start, end = step_ends(scale * first, scale * second, at, interpolation=metric.interpolation)
    moved = ((end - start) @ Toy().matrix.double() * 127.5).square().sum(1) / EPSILON**2
    return moved * (3 if labels is None else 1)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
@pytest.mark.parametrize("labels", [None, torch.arange(40) % 3])
def test_a_linear_generator(metric: PPL, labels: Tensor | None, measured: None) -> None:
    """Closed form, but for latents and levels in float32: a step of 1e-4 of latents near 1 is rounded to 1e-3 of
    itself, at random in each of 5 numbers and 48 pixels."""
    found = path_lengths(Toy(), [metric], 40, 3, HERE, labels).of(metric.name)
    torch.testing.assert_close(found, expected(metric, 40, 3, labels), rtol=0.05, atol=0)


def test_a_path_belongs_to_its_number(measured: None) -> None:
    """The batch changes nothing beyond float32, another seed everything; the first paths of many are those of few."""
    few = path_lengths(Toy(), ALL, 7, 0, HERE)
    one_by_one = path_lengths(Toy(), ALL, 7, 0, Runtime(batch_size=1))
    many = path_lengths(Toy(), ALL, 40, 0, HERE)
    other = path_lengths(Toy(), ALL, 7, 1, HERE)
    for metric in ALL:
        name = metric.name
        torch.testing.assert_close(few.of(name), one_by_one.of(name), rtol=0.05, atol=0)
        torch.testing.assert_close(few.of(name), many.of(name)[:7], rtol=0.05, atol=0)
        assert not torch.allclose(few.of(name), other.of(name), rtol=0.2)


def test_what_paints_something_else_is_named(measured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images of three latents, and images of two channels, fail the cell in a sentence."""
    for wrong in (torch.zeros(2, 3, 4, 4), torch.zeros(3, 2, 4, 4), torch.zeros(3, 16)):
        monkeypatch.setattr(Toy, "paint", lambda *_, made=wrong: made)
        with pytest.raises(CellFailed, match="of 3 latents the model paints"):
            path_lengths(Toy(), [PPL()], 3, 0, HERE)


@pytest.mark.parametrize(
    ("model", "spaces"),
    [
        ("dcgan", ("z",)),
        ("sngan", ("z",)),
        ("cgan", ("z",)),
        ("stylegan2", ("z", "w")),
        ("vae", None),
        ("noise", None),
    ],
)
def test_whom_they_have_a_meaning_for(model: str, spaces: tuple[str, ...] | None) -> None:
    """GANs in z, StyleGAN2 in w too; for any other model the row says what it would take."""
    small = {"stylegan2": {"latent": 5, "width": 4, "style": 6, "mapping_layers": 2}}.get(model, {})
    built = build_model(model, small, SPEC)
    space = space_of(built)
    assert (None if space is None else tuple(space.spaces)) == spaces
    reasons = [lacks_paths(metric, built) for metric in ALL]
    if spaces is None:
        assert set(reasons) == {paths.NO_LATENT}
    else:
        assert reasons == [None, None, *[None if "w" in spaces else paths.NO_STYLES] * 2]
    assert space_of(Toy()) is not None


@pytest.mark.parametrize(("model", "conditional"), [("dcgan", False), ("cgan", True), ("stylegan2", False)])
def test_images_of_latents_are_those_that_are_drawn(model: str, conditional: bool) -> None:
    """What is painted of a latent is, rounded, what the model draws of it; StyleGAN2's without the noise of its layers,
    so that it is the same twice and in either space."""
    small = {"stylegan2": {"latent": 5, "width": 4, "style": 6, "mapping_layers": 2}}.get(model, {})
    torch.manual_seed(0)
    built = build_model(model, small, SPEC).eval()
    space = space_of(built)
    assert isinstance(space, Navigable)
    labels = torch.arange(4) % 3 if conditional else None
    with torch.inference_mode():
        z = space.latents(ImageRng(0, range(4)), labels)[:, 0]
        painted = space.paint(z, "z", labels)
        assert torch.equal(space.paint(z, "z", labels), painted)
        if model == "stylegan2":
            assert torch.equal(space.paint(space.styles(z, labels), "w", labels), painted)
        else:
            z = ImageRng(0, range(4)).normal(built.config.latent)  # type: ignore[union-attr, operator]
            drawn = built.sample(4, ImageRng(0, range(4)), labels)  # type: ignore[operator]
            assert torch.equal(quantize(space.paint(z, "z", labels)), drawn)


def test_images_larger_than_256_are_averaged_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Karras et al.'s code: 600 pixels are two times 300."""
    seen: list[torch.Size] = []
    monkeypatch.setattr(
        path_length, "lpips_vgg", lambda x, y, *_, levels: seen.append(x.shape) or torch.zeros(len(x))
    )
    for side in (32, 511, 512, 600):
        PPL().of_pairs(torch.zeros(1, 3, side, side), torch.zeros(1, 3, side, side))
    assert [shape[2] for shape in seen] == [32, 511, 256, 300]


@pytest.mark.costly
def test_a_cell_of_a_gan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the weights: one row, unavailable, with the way to get them; with a distance at hand: a number of as many
    paths as samples, lower is better, and none for a model without styles."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHBENCH_VGG16_WEIGHTS", raising=False)
    asked = {"metrics": ["ppl", "ppl_w"], "extractors": [DEFAULT_EXTRACTOR], "samples": 12, "device": "cpu"}
    frame = benchbench.run("dcgan", "digits", overrides={"steps": 1}, out=tmp_path / "a", **asked)
    rows = frame.set_index("metric")
    assert rows.loc["ppl", "status"] == "unavailable"
    assert "ppl needs vgg16-" in rows.loc["ppl", "reason"]
    assert rows.loc["ppl_w", "reason"] == paths.NO_STYLES

    (tmp_path / "none.pth").write_bytes(b"")
    monkeypatch.setenv("BENCHBENCH_VGG16_WEIGHTS", str(tmp_path / "none.pth"))
    monkeypatch.setattr(path_length, "lpips_vgg", squared)
    frame = benchbench.run("dcgan", "digits", overrides={"steps": 1}, out=tmp_path / "b", **asked)
    row = frame.set_index("metric").loc["ppl"]
    assert row["status"] == "ok"
    assert row["value"] > 0
    assert (row["n_images"], row["higher_is_better"]) == (12, False)


@pytest.mark.costly
def test_images_alone_have_no_latents() -> None:
    """`evaluate` says what it would take."""
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    frame = benchbench.evaluate(images, images.flip(0), "ppl", device="cpu")
    assert frame["reason"].tolist() == [paths.NO_LATENT]


def test_a_metric_without_its_pairs() -> None:
    """Evidence of other pairs has none."""
    from benchbench.metrics.evidence import Evidence, PairEvidence

    with pytest.raises(MetricFailed, match="asks a generator"):
        PPLW().compute(Evidence(pairs={"truth": PairEvidence({})}))
