"""The tasks on captions: on toys whose answers are known, under a judge that knows every image."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from ranks import on_ranks
from torch import Tensor, nn

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import ImageSpec
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.features.extractor import Extractor, Features
from benchbench.metrics.numerics.intervals import wilson_interval
from benchbench.metrics.select import Outcome, select_metrics
from benchbench.models.build import build_model
from benchbench.tasks import captioned, text_to_image
from benchbench.tasks.base import Request, TaskResult
from benchbench.tasks.captioned import Captioned, conditions_of, pool_of
from benchbench.tasks.matching import Matching
from benchbench.tasks.text_to_image import TextToImage, TextToImageOptions

N = 120  # held-out images, each with a caption of its own
CPU = torch.device("cpu")
SHA = "5a" * 32


def numbered(n: int, first: int) -> Tensor:
    """Grey noise of 16×16 pixels, with the number of the image in its first pixel."""
    images = torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(first))
    images[:, :, 0, 0] = torch.arange(n)[:, None]
    return images.to(torch.uint8)


def number_of(images: Tensor) -> Tensor:
    return images[:, 0, 0, 0].long()


@pytest.fixture(autouse=True)
def _encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder without a network: the caption "thing 7" is the eighth direction of 384, of length 1 as real ones."""

    def embedded(captions: Sequence[str], progress: Progress = SILENT) -> Tensor:
        return torch.eye(384)[[int(caption.split()[1]) for caption in captions]]

    monkeypatch.setattr(captioned, "embedded", embedded)


@pytest.fixture(scope="module")
def toys() -> Dataset:
    """Held-out image k is number k and called "thing k"."""
    parts = [
        Decoded(images.numpy(), pixel_digests(images), {}) for images in (numbered(30, 1), numbered(N, 2))
    ]
    names = [[f"thing {k + 200}" for k in range(30)], [f"thing {k}" for k in range(N)]]
    return assemble("toys", parts, [None, None], captions=names, source={})


@pytest.fixture
def data(toys: Dataset) -> Captioned:
    sides = [conditions_of(split.captions or ()) for split in (toys.train, toys.held_out)]
    return Captioned(toys, *sides, judge=SHA)


class Judge:
    """Knows the number of every image and of every caption."""

    weights_sha256 = SHA

    def __init__(self, dataset: str, device: torch.device) -> None:
        pass

    def images(self, images: Tensor) -> Tensor:
        return torch.eye(384)[number_of(images)]

    def captions(self, conditions: Tensor) -> Tensor:
        return conditions / conditions.norm(dim=1, keepdim=True)

    def describe(self) -> dict[str, Any]:
        return {"weights_sha256": SHA}


class Reader:
    """An extractor that knows the number of every image, and that of every caption."""

    name, dim, n_logits, resize, input_side, batch_size = "clip_folder", 384, 0, "none", None, 8
    weights_sha256 = SHA

    def __call__(self, images: Tensor) -> Features:
        return Features(torch.eye(384)[number_of(images)], None)

    def captions(self, texts: Sequence[str]) -> Tensor:
        return 3 * torch.eye(384)[[int(text.split()[1]) for text in texts]]

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "weights_sha256": SHA, "resize": self.resize, "precision": "float32"}


class Obedient(nn.Module):
    """Draws noise with the number that it is told in the first pixel; off: another one."""

    def __init__(self, off: int = 0) -> None:
        super().__init__()
        self.off = off

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        return rng.integers(256, 3, 16, 16).to(torch.uint8)

    def sample_captions(self, conditions: Tensor, rng: ImageRng) -> Tensor:
        images = self.sample(len(rng), rng)
        images[:, :, 0, 0] = ((conditions.argmax(1) + self.off) % N).to(torch.uint8)[:, None]
        return images


class Codes(nn.Module):
    """A matcher that finds everything."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(384))

    def image_codes(self, images: Tensor) -> Tensor:
        return self.weight[number_of(images)]

    def caption_codes(self, conditions: Tensor) -> Tensor:
        return conditions @ self.weight / conditions.norm(dim=1, keepdim=True)


def asked(
    model: nn.Module,
    data: Captioned,
    n: int = 80,
    each: int = 4,
    metrics: Sequence[str] = ("ssim",),
    comm: Comm = ALONE,
    reader: Extractor | None = None,
) -> TaskResult:
    extractors = {} if reader is None else {reader.name: reader}
    request = Request(select_metrics(metrics, []), [], extractors, {}, n, 3)
    task = TextToImage(TextToImageOptions(per_prompt=each))
    return task.run(model, data, request, Runtime(CPU, 7, comm=comm))


def values(result: TaskResult) -> dict[str, float]:
    found = {}
    for number in result.numbers:
        name = number.found.metric.name if isinstance(number.found, Outcome) else number.found.metric
        if number.found.estimate is not None:
            found[name] = number.found.estimate.value
    return found


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_to_image, "MatcherJudge", Judge)


def test_who_shows_what_it_is_told(judged: None, data: Captioned) -> None:
    """By definition: the own caption is the nearest of all for a generator that does as it is told, and never for one
    that shows the next thing, whose own caption is as far as 118 others: rank 1 + 1 + 118 / 2."""
    right, wrong = values(asked(Obedient(), data)), values(asked(Obedient(off=1), data))
    assert (right["r_precision"], right["retrieval_rank_mean"], right["retrieval_rank_median"]) == (1, 1, 1)
    assert wrong["retrieval_rank_mean"] == wrong["retrieval_rank_median"] == 61
    # Where the thing that is shown is not among the hundred all of them are equally far.
    assert wrong["r_precision"] < 0.01


@pytest.mark.costly
def test_landmarks(judged: None, data: Captioned) -> None:
    """`real` answers with the image that the caption belongs to: found, and equal to the right answer. `noise` is not
    told anything; 4,000 R-precisions at chance, 0.01, are within five standard errors, 5·√(0.01·0.99 / 4000)."""
    real = build_model("real", {}, data.spec)
    real.fit(data.dataset.train.images, data.dataset.held_out.images)  # type: ignore[operator]
    found = values(asked(real, data))
    assert (found["r_precision"], found["ssim"]) == (1, pytest.approx(1))
    noise = build_model("noise", {}, ImageSpec(16, 16, False, 0))
    many = values(asked(noise, data, n=64 * N // 2, each=64))
    # Numbers from 120 on are none of the captions': for these all are equally far, which is chance too.
    assert abs(many["r_precision"] - 0.01) < 0.008
    assert abs(many["retrieval_rank_mean"] - (N + 1) / 2) < 5 * (N**2 / 12 / 60) ** 0.5


def test_which_captions_are_asked_for(judged: None, data: Captioned) -> None:
    """Several images in a row of each, of the held-out ones in the seed's order; image i has its own stream, whatever
    the batch."""
    result = asked(Obedient(), data, n=24, each=3)
    (single,) = (picture for picture in result.pictures if picture.kind == "samples")
    assert number_of(single.images).tolist() == [k for k in permutation(3, N)[:8] for _ in range(3)]  # type: ignore[union-attr]
    expected = Obedient().sample(24, ImageRng(3, range(24)))
    assert torch.equal(single.images[..., 1:, 1:], expected[..., 1:, 1:])  # type: ignore[union-attr]
    facts = result.facts["text_to_image"]
    assert (facts["prompts"], facts["per_prompt"], facts["captions_in_all"]) == (8, 3, N)
    assert facts["shown"] == [f"thing {k}" for k in permutation(3, N)[:8]]
    assert facts["matcher_on_real_images"]["r_precision"] == 1


def test_intervals_are_over_prompts(judged: None, data: Captioned) -> None:
    """Several images of one prompt are no independent ones: 20 prompts whose images are all right or all wrong have the
    interval of 20 values, Wilson's by its formula (1927), and not of 80."""

    class Half(Obedient):
        def sample_captions(self, conditions: Tensor, rng: ImageRng) -> Tensor:
            images = super().sample_captions(conditions, rng)
            even = conditions.argmax(1) % 2 == 0
            images[even, :, 0, 0] = 130  # no caption's: 1 in 100
            return images

    (number,) = (n for n in asked(Half(), data).numbers if getattr(n.found, "metric", "") == "r_precision")
    hits = [0.01 if k % 2 == 0 else 1.0 for k in permutation(3, N)[:20]]
    low, high = wilson_interval(sum(hits), 20)
    estimate = number.found.estimate
    assert estimate is not None
    assert estimate.interval == "95% Wilson over prompts"
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_clip_score(judged: None, data: Captioned) -> None:
    """By definition 100 where an image is in the direction of its own caption, and 0 where it is across; of which
    captions, the seed's order says. 20 prompts, half of them shown by all four of their images, have the interval of
    20 values, by SciPy."""
    from scipy import stats

    class Half(Obedient):
        def sample_captions(self, conditions: Tensor, rng: ImageRng) -> Tensor:
            images = super().sample_captions(conditions, rng)
            images[conditions.argmax(1) % 2 == 0, :, 0, 0] = 130
            return images

    right, wrong = (
        values(asked(model, data, metrics=["clip_score"], reader=Reader()))["clip_score"]
        for model in (Obedient(), Obedient(off=1))
    )
    assert (right, wrong) == (100, 0)
    numbers = asked(Half(), data, metrics=["clip_score"], reader=Reader()).numbers
    (estimate,) = (n.found.estimate for n in numbers if isinstance(n.found, Outcome))
    hits = [100.0 * (k % 2) for k in permutation(3, N)[:20]]
    low, high = stats.t.interval(0.95, 19, sum(hits) / 20, stats.sem(hits))
    assert estimate is not None
    assert estimate.interval == "95% t over prompts"
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((sum(hits) / 20, low, high))


def test_an_extractor_that_reads_no_captions(judged: None, data: Captioned) -> None:
    """A failed number that says so; the others stand."""
    blind = type("Blind", (), {name: own for name, own in vars(Reader).items() if name != "captions"})()
    result = asked(Obedient(), data, metrics=["clip_score", "ssim"], reader=blind)
    (reason,) = (n.found.reason for n in result.numbers if isinstance(n.found, Outcome) and n.found.reason)
    assert reason == "clip_folder reads images and no captions"
    assert "ssim" in values(result)


def test_nothing_is_read_twice(judged: None, data: Captioned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three ranks, all together read the 80 images that are made and each of the held-out ones once for the audit
    of the matcher; no caption is embedded again once the data is loaded."""
    read: list[int] = []

    class Counting(Judge):
        def images(self, images: Tensor) -> Tensor:
            read.append(len(images))
            return super().images(images)

    def embedded(captions: Sequence[str], progress: Progress = SILENT) -> Tensor:
        raise AssertionError("captions were embedded when the data was loaded")

    monkeypatch.setattr(text_to_image, "MatcherJudge", Counting)
    monkeypatch.setattr(captioned, "embedded", embedded)
    results = on_ranks(3, lambda comm: asked(Obedient(), data, comm=comm))
    assert sum(read) == 80 + N
    audits = [result.facts["text_to_image"]["matcher_on_real_images"] for result in results]
    assert audits == [audits[0]] * 3
    assert audits[0]["r_precision"] == 1


def test_the_pool_of_captions(toys: Dataset) -> None:
    """Each different caption once, as it is told, where images share some: what an encoder makes of them anew."""
    twice = [f"thing {k // 2}" for k in range(N)]
    shared = dataclasses.replace(toys, held_out=dataclasses.replace(toys.held_out, captions=tuple(twice)))
    conditions, own = pool_of(Captioned(shared, conditions_of([]), conditions_of(twice)))
    captions = sorted(set(twice))
    assert torch.equal(conditions, conditions_of(captions))
    assert [captions[k] for k in own.tolist()] == twice


def test_without_a_matcher(data: Captioned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed numbers with the way to make one, and the others stand."""

    def missing(dataset: str, device: torch.device) -> Judge:
        raise MetricFailed("no matcher of toys is at hand", status="unavailable")

    monkeypatch.setattr(text_to_image, "MatcherJudge", missing)
    result = asked(Obedient(), data)
    reasons = {n.found.metric: n.found.reason for n in result.numbers if not isinstance(n.found, Outcome)}
    for name in ("r_precision", "retrieval_rank_mean", "retrieval_rank_median"):
        assert reasons[name] == "no matcher of toys is at hand"
    assert "ssim" in values(result)


def test_a_matcher_that_changed_meanwhile(judged: None, toys: Dataset) -> None:
    """The key names the weights of the judge; others are not taken for them."""
    sides = [conditions_of(split.captions or ()) for split in (toys.train, toys.held_out)]
    with pytest.raises(InputError, match="run the same command again"):
        asked(Obedient(), Captioned(toys, *sides, judge="00" * 32))


def test_numbers_do_not_depend_on_the_ranks(judged: None, data: Captioned) -> None:
    """Two and three ranks against one, 80 images in unequal shares; equal, as nothing is summed across images."""

    def on(comm: Comm) -> tuple[dict[str, float], Tensor]:
        model = copy.deepcopy(Obedient(off=1))
        result = asked(model, data, metrics=["ssim", "clip_score"], comm=comm, reader=Reader())
        (single,) = (picture for picture in result.pictures if picture.kind == "samples")
        kept = {
            name: value
            for name, value in values(result).items()
            if "rank" in name or name in ("ssim", "r_precision", "clip_score")
        }
        return kept, single.images  # type: ignore[union-attr]

    (one, images), *others = [*on_ranks(1, on), *on_ranks(2, on), *on_ranks(3, on)]
    for found, made in others:
        assert found == pytest.approx(one, rel=1e-12)
        assert torch.equal(made, images)


def test_what_is_asked_for(data: Captioned) -> None:
    """Whole prompts, no more than there are captions; and which metrics have a meaning."""
    task = TextToImage()
    assert task.n_samples("ddpm", data, None) == 4 * N
    assert task.n_samples("ddpm", data, 40) == 40
    for wrong in (42, 4 * N + 4):
        with pytest.raises(InputError, match=f"multiple of 4 up to --samples {4 * N}"):
            task.n_samples("ddpm", data, wrong)
    alone = TextToImage(TextToImageOptions(per_prompt=1))
    assert (task.row, alone.row) == ("text-to-image", "text-to-image:1each")
    model = Obedient()
    names = ["input_diversity", "ct", "conditional_accuracy", "cycle_mae", "psnr_hole"]
    by_name = {
        metric.family: metric for metric in select_metrics(names, ["efficientnet_lite0", "cnn_digits"])
    }
    diversity = by_name.pop("input_diversity")
    assert task.inapplicable(diversity, model, data) is None
    assert "one of each" in (alone.inapplicable(diversity, model, data) or "")
    assert len(by_name) == 4
    for metric in by_name.values():
        assert task.inapplicable(metric, model, data)
    assert task.takes(Obedient)
    assert not task.takes(Codes)
    assert Matching().takes(Codes)


def test_identities(data: Captioned, toys: Dataset) -> None:
    """The judge moves the identity of numbers and not that of weights; captions move both, and other tasks neither."""
    other = Captioned(toys, data.train, data.held_out, judge=None)
    assert data.learned == other.learned != toys.fingerprint
    assert data.fingerprint != other.fingerprint
    assert TextToImage().trains_on(Obedient(), data) == Matching().trains_on(Codes(), data) == data.learned
    assert (data.spec.condition_dim, toys.spec.condition_dim) == (384, 0)
    told = TextToImage().training_data(Obedient(), data).conditions
    assert told is data.train


def test_images_without_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, before any weights are looked for."""
    with pytest.raises(InputError, match="digits has no captions; use openmoji-captions"):
        TextToImage().load("digits", None, SILENT)


def test_matching(data: Captioned) -> None:
    """A matcher that finds everything has rank 1 on every held-out image; one whose codes are all alike has chance."""
    request = Request([], [], {}, {}, N, 0)
    found = values(Matching().run(Codes(), data, request, Runtime(CPU, 7)))
    assert (found["r_precision"], found["retrieval_rank_mean"]) == (1, 1)
    blind = Codes()
    blind.weight.data.fill_(384**-0.5)
    found = values(Matching().run(blind, data, request, Runtime(CPU, 7)))
    assert (found["r_precision"], found["retrieval_rank_median"]) == (pytest.approx(0.01), (N + 1) / 2)
