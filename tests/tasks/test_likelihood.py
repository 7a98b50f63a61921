"""The likelihood task: closed forms, failures, ranks, and that bounds are held against no exact value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import BaseModel
from ranks import on_ranks
from torch import Tensor, nn

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import CellFailed, InputError, NothingComparable
from benchbench.core.progress import SILENT
from benchbench.core.protocols import ImageSpec, LikelihoodEstimate
from benchbench.core.registry import MODELS, Registry
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.dataset import Dataset
from benchbench.models.independent import IndependentPixels
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.runner.run import run_cells
from benchbench.tasks.base import Request
from benchbench.tasks.generation import Generation
from benchbench.tasks.likelihood import LikelihoodTask, likelihood, measured, nats_of
from benchbench.tasks.speed import Measurement
from benchbench.views.board import boards
from benchbench.views.leaderboard import leaderboard

EXACT = LikelihoodEstimate("", "exact", "none")
CPU = torch.device("cpu")


def images_of(levels: Tensor) -> Tensor:
    """Grey levels N×H×W to uint8 RGB."""
    return levels[:, None].to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


def data_of(train: Tensor, held_out: Tensor, grey: bool = True) -> Dataset:
    """A dataset of these images, uint8 RGB."""
    from benchbench.data.pipeline.assemble import assemble
    from benchbench.data.pipeline.cache import Decoded
    from benchbench.data.pipeline.fingerprint import pixel_digests

    parts = [Decoded(images.numpy(), pixel_digests(images), {}) for images in (train, held_out)]
    found = assemble("toy", parts, [None, None], source={"kind": "generated"})
    assert found.spec.grey == grey
    return found


class Uniform(nn.Module):
    """Every level alike: 8 bits a dimension. It draws nothing from `rng` and cannot be trained."""

    def __init__(self, dims: int, estimates: Sequence[LikelihoodEstimate] = (EXACT,)) -> None:
        super().__init__()
        self.dims, self.estimates = dims, estimates

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        return self.estimates

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        return torch.full((len(images),), self.dims * math.log(256), dtype=torch.float64)


def asked(n: int, seed: int = 0) -> Request:
    return Request([], [], {}, {}, n, seed)


def rows_of(
    model: nn.Module, data: Dataset, n: int, runtime: Runtime | None = None
) -> dict[str, Measurement]:
    result = LikelihoodTask().run(model, data, asked(n), runtime or Runtime())
    found = {
        number.found.metric: number.found
        for number in result.numbers
        if isinstance(number.found, Measurement)
    }
    assert {number.task for number in result.numbers} == {"likelihood"}
    return found


@pytest.mark.parametrize("grey", [True, False])
def test_uniform_levels_have_eight_bits(grey: bool) -> None:
    """log2 256, exactly, with an interval of no width; one channel of grey data, three of colour; and what run.json
    says."""
    g = torch.Generator().manual_seed(0)
    shape = (6, 1 if grey else 3, 4, 4)
    images = torch.randint(0, 256, shape, generator=g, dtype=torch.uint8).expand(6, 3, 4, 4).contiguous()
    data = data_of(images, images[:5] // 2, grey)
    dims = 16 if grey else 48
    found = rows_of(Uniform(dims), data, 5)["bits_per_dim"]
    assert found.estimate is not None
    assert (found.estimate.value, found.estimate.low, found.estimate.high) == pytest.approx(
        (8, 8, 8), abs=1e-12
    )
    assert (found.n_images, found.unit, found.higher_is_better) == (5, "bits", False)
    assert found.estimate.interval == "95% t over images"
    _, facts = likelihood(Uniform(dims), [EXACT], data, 5, 0, Runtime())
    assert facts == {
        "likelihood": {
            "dims": dims,
            "images": 5,
            "split": "held out",
            "estimates": {"bits_per_dim": {"relation": "exact", "dequantization": "none"}},
        }
    }


def test_independent_pixels_are_a_cross_entropy() -> None:
    """Counts by hand: two pixels, the first 7 in three of four images, the second always 9. With one pseudocount a
    level seen k times has -log2((k + 1)/260) bits; bits a dimension are the mean of both pixels."""
    train = images_of(torch.tensor([[[7, 9]], [[7, 9]], [[7, 9]], [[8, 9]]]))
    held_out = images_of(torch.tensor([[[7, 9]], [[8, 0]]]))
    model = IndependentPixels(IndependentPixels.Config(), ImageSpec(1, 2, True, 0))
    with pytest.raises(InputError, match="has counted nothing"):
        model.nats(held_out, "", ImageRng(0, range(2)))
    model.fit(train, held_out)
    found = model.nats(held_out, "", ImageRng(0, range(2))) / (2 * math.log(2))
    expected = [
        -(math.log2(4 / 260) + math.log2(5 / 260)) / 2,
        -(math.log2(2 / 260) + math.log2(1 / 260)) / 2,
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="no likelihood 'elbo'"):
        model.nats(held_out, "elbo", ImageRng(0, range(2)))


def test_independent_pixels_draw_what_they_count() -> None:
    """A pseudocount of next to nothing and levels 3 and 200 in shares of 1 and 3: of 4,000 pixels none has another
    level, and 3/4 ± four standard errors (0.027) are 200. Colour stays apart, grey is grey, batches change nothing."""
    levels = torch.tensor([3, 200, 200, 200], dtype=torch.uint8).view(4, 1, 1, 1)
    train = torch.cat([levels, 10 + levels // 2, levels], 1).expand(4, 3, 1, 10).contiguous()
    model = IndependentPixels(IndependentPixels.Config(pseudocount=1e-9), ImageSpec(1, 10, False, 0))
    model.fit(train, train)
    drawn = model.sample(400, ImageRng(0, range(400)))
    assert torch.equal(drawn[5:6], model.sample(1, ImageRng(0, [5])))
    assert set(drawn[:, 0].unique().tolist()) == {3, 200}
    assert set(drawn[:, 1].unique().tolist()) == {11, 110}
    assert float((drawn[:, 0] == 200).double().mean()) == pytest.approx(
        0.75, abs=4 * (0.75 * 0.25 / 4000) ** 0.5
    )
    assert not torch.equal(drawn[:, 0], drawn[:, 2])
    grey = IndependentPixels(IndependentPixels.Config(), ImageSpec(1, 10, True, 0))
    grey.fit(train, train)
    assert torch.equal(*(grey.sample(3, ImageRng(0, range(3)))[:, channel] for channel in (0, 2)))


class TwoModes(nn.Module):
    """Two images of 4×4, each with probability a half, and on each pixel a level from 0 to 3 more, all alike: the
    entropy is 1 + 16·2 bits. `truth` makes images, `nats` says what is known of them."""

    def __init__(self) -> None:
        super().__init__()
        self.modes = torch.stack([torch.full((4, 4), 20), torch.full((4, 4), 200)])

    def truth(self, n: int, seed: int) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        which = torch.randint(2, (n,), generator=g)
        return images_of(self.modes[which] + torch.randint(4, (n, 4, 4), generator=g))

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        return [EXACT]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        above = images[:, None, 0].long() - self.modes
        inside = ((above >= 0) & (above < 4)).flatten(2).all(2)
        logs = inside.double().log() - 16 * math.log(4) - math.log(2)
        return -logs.logsumexp(1)


def test_two_modes_have_their_entropy() -> None:
    """33 bits over 16 dimensions, of every image alike. Independent pixels that know the marginals, eight levels of
    equal weight at each pixel, have 3 bits: they do not know that pixels go together, which is 15/16 of a bit."""
    toy = TwoModes()
    train, held_out = toy.truth(4000, 0), toy.truth(300, 1)
    data = data_of(train, held_out)
    found = rows_of(toy, data, 300)["bits_per_dim"]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(33 / 16, abs=1e-12)
    pixels = IndependentPixels(IndependentPixels.Config(), data.spec)
    pixels.fit(train, held_out)
    apart = rows_of(pixels, data, 300)["bits_per_dim"].estimate
    assert apart is not None
    # Pseudocounts take log2(1 + 256/4000) = 0.0895 bits, the finite sample some thousandths.
    assert apart.value == pytest.approx(3 + math.log2(1 + 256 / 4000), abs=0.02)


class Noisy(Uniform):
    """What it says of an image depends on its noise and on its first level."""

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        return 30 + rng.normal().double() + images[:, 0, 0, 0]


def test_the_interval_covers_at_its_rate() -> None:
    """Nats of 40 images are independent and nearly normal, spread by the noise and by known levels; the t interval of
    their mean covers the mean over everything in 95% of 600 seeds, to three standard errors (2.7%)."""
    levels = torch.tensor([0, 1, 2, 3] * 10)
    estimate = LikelihoodEstimate("x", "upper bound", "none")
    hits = []
    for seed in range(600):
        drawn = torch.randint(4, (40,), generator=torch.Generator().manual_seed(seed))
        images = images_of(levels[drawn][:, None, None])
        nats = nats_of(Noisy(1), "x", images, torch.arange(40), seed, Runtime())
        found = measured(estimate, nats).estimate
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits.append(found.low <= 30 + 1.5 <= found.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.027)


def test_numbers_do_not_depend_on_batches_ranks_or_how_many_are_asked() -> None:
    """Eleven images in batches of 11, 4 and 1, and over 2, 3 and 12 ranks: equal nats, as each image has noise of its
    own by its number; six of the eleven have the same as among all."""
    images = images_of(torch.arange(11)[:, None, None])
    rows = torch.arange(11)

    def found(comm: Comm = ALONE, size: int = 64) -> list[float]:
        return nats_of(Noisy(1), "", images, rows, 3, Runtime(CPU, size, comm=comm)).tolist()

    whole = found()
    assert len(set(whole)) == 11
    assert found(size=4) == found(size=1) == whole
    for size in (2, 3, 12):
        assert on_ranks(size, found) == [whole] * size
    some = torch.tensor([1, 4, 5, 7, 9, 10])
    assert nats_of(Noisy(1), "", images, some, 3, Runtime()).tolist() == [whole[i] for i in some.tolist()]


def test_how_many_images() -> None:
    """All held-out ones; fewer are some of them, always the same; more are refused."""
    images = images_of(torch.arange(9)[:, None, None].expand(9, 4, 4))
    data, task = data_of(images, images + 100), LikelihoodTask()
    assert task.n_samples("m", data, None) == 9
    assert task.n_samples("m", data, 4) == 4
    with pytest.raises(InputError, match="toy has 9 held-out images; ask for --samples 9 or fewer"):
        task.n_samples("m", data, 10)
    few, more = (rows_of(Noisy(16), data, n)["bits_per_dim"] for n in (4, 9))
    assert (few.n_images, more.n_images) == (4, 9)
    assert few.estimate == rows_of(Noisy(16), data, 4)["bits_per_dim"].estimate


def broken(value: float) -> Tensor:
    bits = torch.full((5,), 2.0, dtype=torch.float64)
    bits[3] = value
    return bits


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_image_without_a_likelihood_fails_the_number(value: float) -> None:
    """One of five: no mean, never NaN, and the reason counts them."""
    found = measured(EXACT, broken(value))
    assert found.estimate is None
    assert found.reason is not None
    assert found.reason.startswith("the model gives 1 of 5 held-out images no finite likelihood")


def test_a_probability_is_at_most_one() -> None:
    """Negative bits of an exact probability are a mistake; of a density, or of one draw of a bound, they are not.
    Rounding below 1e-4 is no mistake, and is cut to the range."""
    assert measured(EXACT, broken(-0.1)).reason == (
        "the model calls an image more probable than certain, so what it states is no probability"
    )
    slight = measured(EXACT, torch.full((3,), -1e-6, dtype=torch.float64)).estimate
    assert slight is not None
    assert slight.value == 0
    for estimate in (
        LikelihoodEstimate("uniform", "exact", "uniform"),
        LikelihoodEstimate("elbo", "upper bound", "none"),
    ):
        found = measured(estimate, broken(-0.1))
        assert found.estimate is not None
        assert found.ends == (None, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (torch.zeros(3, 1), r"are \(3, 1\)"),
        (torch.zeros(3, dtype=torch.int64), r"are \(3,\)"),
        ([1.0], "are list"),
    ],
)
def test_answers_that_are_no_nats(answer: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of somebody else's that returns anything but one real number an image ends its cell."""
    monkeypatch.setattr(Uniform, "nats", lambda *_: answer)
    with pytest.raises(CellFailed, match=f"must be 3 real numbers, one an image, but {said}"):
        nats_of(Uniform(1), "", torch.zeros(3, 3, 2, 2, dtype=torch.uint8), torch.arange(3), 0, Runtime())


def test_generation_has_what_is_not_costly() -> None:
    """A part of its cells, and of their key, for models that have one; those without keep their key."""
    dear = LikelihoodEstimate("iwae64", "upper bound", "none", costly=True)
    generation, alone = Generation(), LikelihoodTask()
    without = ["generation", "reconstruction"]
    assert generation.parts(nn.Identity()) == without
    assert generation.parts(Uniform(1, [])) == without
    assert generation.parts(Uniform(1, [dear])) == without
    assert generation.parts(Uniform(1, [dear, EXACT])) == [*without, "likelihood"]
    assert alone.parts(Uniform(1, [dear])) == ["likelihood"]
    with pytest.raises(InputError, match="gives 8-bit images no probability"):
        alone.parts(Uniform(1, []))


# Through the command's own doors.


class Odd(nn.Module):
    """Registered as `odd`: half of the images are impossible, and nothing is drawn."""

    reference = "a test"
    control = True

    class Config(BaseModel):
        """None."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        return [EXACT]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        return torch.tensor([math.inf if i % 2 else 1.0 for i in rng.indices])


@pytest.fixture
def _odd(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Registry._entries
    own = EntryPoint("odd", f"{__name__}:Odd", MODELS.group)

    def with_own(self: Registry) -> dict[str, EntryPoint]:
        return entries(self) | ({"odd": own} if self.kind == "model" else {})

    monkeypatch.setattr(Registry, "_entries", with_own)


@pytest.mark.costly
def test_a_cell_of_generation_and_one_of_likelihood_state_the_same(tmp_path: Path) -> None:
    """Independent pixels on digits: image metrics and bits in one cell; asked for the likelihood alone another cell
    with the same number, which is also the closed form: two histograms of the 898 and 899 digits."""
    shared = {"device": "cpu", "extractors": ["cnn_digits"]}
    ((whole, _),) = run_cells(
        "independent-pixels", "digits", out=tmp_path, metrics=["fd"], samples=64, **shared
    )
    ((alone, _),) = run_cells("independent-pixels", "digits", out=tmp_path, task="likelihood", **shared)
    assert whole != alone
    both = load_results(whole).set_index("metric")
    assert both.loc["fd_cnn_digits", "status"] == "ok"
    row, own = both.loc["bits_per_dim"], load_results(alone).set_index("metric").loc["bits_per_dim"]
    for name in (
        "task",
        "value",
        "low",
        "high",
        "n_images",
        "unit",
        "headline",
        "higher_is_better",
        "minimum",
    ):
        assert row[name] == own[name]
    assert (row["task"], row["n_images"], row["unit"], row["headline"]) == ("likelihood", 899, "bits", True)
    said = read_run_json(alone / "run.json")["likelihood"]
    assert said == read_run_json(whole / "run.json")["likelihood"]
    assert (said["dims"], said["images"]) == (32 * 32, 899)

    from benchbench.data.builtin.digits import Digits

    digits = Digits().load()
    train, held_out = (split.images[:, 0].numpy() for split in (digits.train, digits.held_out))  # type: ignore[index]
    counts = np.stack([np.bincount(train.reshape(len(train), -1)[:, i], minlength=256) for i in range(1024)])
    seen = counts[np.arange(1024), held_out.reshape(len(held_out), -1)]
    expected = -np.log2((seen + 1) / (len(train) + 256)).mean()
    assert row["value"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.costly
@pytest.mark.usefixtures("_odd")
def test_an_impossible_image_is_a_failed_row(tmp_path: Path) -> None:
    """Status, reason and no value in the record; other rows stand."""
    ((path, _),) = run_cells("odd", "digits", out=tmp_path, device="cpu")
    frame = load_results(path).set_index("metric")
    row = frame.loc["bits_per_dim"]
    assert row["status"] == "failed"
    assert "449 of 899 held-out images no finite likelihood" in row["reason"]
    assert pd.isna(row["value"])
    assert frame.loc["parameters_training", "status"] == "ok"


@pytest.mark.costly
def test_what_has_no_likelihood_is_told(tmp_path: Path) -> None:
    """A VAE whose likelihood is none of 8-bit images, and metrics on images where none are made: one sentence each."""
    with pytest.raises(InputError, match="the model 'vae' cannot be asked for likelihood"):
        run_cells("vae", "digits", out=tmp_path, device="cpu", task="likelihood")
    ((path, _),) = run_cells(
        "independent-pixels",
        "digits",
        out=tmp_path,
        device="cpu",
        task="likelihood",
        metrics=["psnr"],
        samples=20,
    )
    frame = load_results(path).set_index("metric")
    assert "draws none" in frame.loc["psnr", "reason"]
    assert frame.loc["bits_per_dim", "n_images"] == 20


def bits(make_row: Callable[..., Row], model: str, name: str, value: float, seed: int) -> Row:
    cell = f"{abs(hash((model, name, seed))):016x}"[:16]
    facts = {"task": "likelihood", "unit": "bits", "n_images": 100, "n_reference": None, "extractor": None}
    return make_row(
        model=model, cell=cell, seed=seed, metric=name, value=value, low=value - 0.01, high=value + 0.01,
        headline=name == "bits_per_dim", resize=None, precision=None, scale="linear", **facts,
    )  # fmt: skip


def test_bounds_are_never_held_against_exact_values(make_row: Callable[..., Row]) -> None:
    """A bound that looks better than an exact value takes neither its place nor its rank: on a board each name is a
    column of its own, only the exact one is ranked, and `compare` of the two finds nothing that both have. Two models
    with exact values are compared by these."""
    rows = [
        bits(make_row, model, name, value + 0.001 * seed, seed)
        for seed in range(3)
        for model, name, value in (
            ("pixels", "bits_per_dim", 3.0),
            ("better", "bits_per_dim", 2.0),
            ("bound", "bits_per_dim_iwae64", 1.0),
            ("flow", "bits_per_dim_uniform", 1.5),
        )
    ]
    frame = to_frame(rows)
    (board,) = boards(frame)
    assert [heading.split()[0] for heading in board.headings] == [
        "bits_per_dim", "bits_per_dim_iwae64", "bits_per_dim_uniform",
    ]  # fmt: skip
    of = {
        name.split(" ")[0]: (entries, rank)
        for (name, entries), rank in zip(board.rows, board.ranks, strict=True)
    }
    assert [of[name][1] for name in ("better", "pixels", "bound", "flow")] == ["1", "2", "", ""]
    assert [[entry is not None for entry in of[name][0]] for name in ("bound", "flow", "better")] == [
        [False, True, False], [False, False, True], [True, False, False],
    ]  # fmt: skip
    assert [entry.rank for name in ("bound", "flow") for entry in of[name][0] if entry] == [
        0,
        0,
    ]  # no rival, no bold
    assert "**" in leaderboard(frame)

    def side(*models: str) -> pd.DataFrame:
        return frame[frame["model"].isin(models)]

    with pytest.raises(NothingComparable):
        compare(side("bound"), side("better"))
    with pytest.raises(NothingComparable):
        compare(side("flow"), side("bound"))
    (pair,) = compare(side("pixels"), side("better")).pairs
    assert [line.metric for line in pair.lines] == ["bits_per_dim"]


def test_the_task_by_its_name() -> None:
    """What the command finds, and what it loads: one kind of images."""
    task = LikelihoodTask()
    assert (task.row, task.reads_extractors, list(task.standard)) == ("likelihood", False, [])
    assert isinstance(task.load("digits", None, SILENT), Dataset)
    assert task.takes(IndependentPixels)
    assert not task.takes(nn.Identity)
