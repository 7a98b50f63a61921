"""What is seen of a generator while it trains: the panel's numbers are those of plain functions on the samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.data.builtin.digits import Digits
from benchbench.data.dataset import Dataset
from benchbench.features.moments import Moments
from benchbench.features.networks.cnn import CNN
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.mode_collapse import class_kl
from benchbench.metrics.sets.prdc import prdc
from benchbench.models.controls import Collapsed, Memorizer
from benchbench.runner import extractors, monitor
from benchbench.runner.extractors import ExtractorLoader, ExtractorSet
from benchbench.runner.monitor import FEWEST, SEED, Known, Panel, choose_watcher
from benchbench.tasks.generation import generate
from benchbench.training.validation import validation_parts
from benchbench.training.watch.monitor import (
    CLASS_KL,
    COVERAGE,
    DISTANCE,
    DUPLICATES,
    MODES,
    REAL_DUPLICATES,
    RECALL,
)

CPU = torch.device("cpu")
N = 60


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return Digits().load()


@pytest.fixture(scope="module")
def train(digits: Dataset) -> Tensor:
    return digits.train.images[torch.arange(N) * 14]


@pytest.fixture
def panel(train: Tensor) -> Panel:
    return Panel(CNN.of("digits")(), train, None, device=CPU)


def twins(features: Tensor, threshold: float) -> float:
    """Brute force: the share of rows with another within the threshold."""
    distances = cdist(features.double().numpy(), features.double().numpy())
    np.fill_diagonal(distances, np.inf)
    return float((distances.min(1) <= threshold).mean())


def test_a_panel_is_the_plain_numbers_of_its_samples(digits: Dataset, train: Tensor, panel: Panel) -> None:
    """The draws of a memorizer of 20 of the 60 images under the panel's own seed, judged by hand. Fréchet by the
    features' singular values (60 images are fewer than 128 dimensions) where the panel goes through covariances: equal
    to 1e-6. KL by scipy less the bias of two finite samples, (m - 1)/2N + (sum of p/q - 1)/2M; duplicates by brute
    force over all distances in float64; recall and coverage by `prdc` on all 60."""
    model = Memorizer(Memorizer.Config(), digits.spec)
    model.fit(train[:20], train)
    found = panel.panel(model, 10)

    judge = CNN.of("digits")()
    fake = judge(torch.cat(list(generate(model, range(N), seed=SEED))))
    real = judge(train)
    assert found[DISTANCE] == pytest.approx(
        frechet_distance_from_features(fake.features, real.features), rel=1e-6
    )
    near = prdc(real.features, fake.features)
    assert (found[RECALL], found[COVERAGE]) == (near["recall"], near["coverage"])
    assert fake.logits is not None
    assert real.logits is not None
    counts = [logits.argmax(1).bincount(minlength=10).numpy() for logits in (fake.logits, real.logits)]
    assert found[MODES] == (counts[0] > 0).sum()
    p, q = (of / N for of in counts)
    bias = ((p > 0).sum() - 1) / (2 * N) + ((p[p > 0] / q[p > 0]).sum() - 1) / (2 * N)
    assert found[CLASS_KL] == pytest.approx(entropy(p, q) - bias, rel=1e-9)
    assert found[CLASS_KL] > 0.01
    x = real.features.double()
    threshold = 0.05 * float((2 * x.var(0).sum()).sqrt())
    assert found[DUPLICATES] == twins(fake.features, threshold) > 0.5
    assert found[REAL_DUPLICATES] == twins(real.features, threshold) == 0


def test_a_collapsed_generator_looks_collapsed(digits: Dataset, train: Tensor, panel: Panel) -> None:
    """One image for all: every sample a duplicate, one class, KL = log of one over its share q of the real images,
    less (1/q - 1)/2M for the M real ones that say so; no real image lies within a ball of width 0. The same at every
    step."""
    model = Collapsed(Collapsed.Config(modes=1), digits.spec)
    model.fit(train, train)
    found = panel.panel(model, 10)
    assert (found[DUPLICATES], found[MODES], found[RECALL]) == (1, 1, 0)
    shares = panel.known.shares
    assert shares is not None
    expected = [-float(share.log()) - float(1 / share - 1) / (2 * N) for share in shares]
    assert min(abs(found[CLASS_KL] - kl) for kl in expected) < 1e-12
    assert panel.panel(model, 20) == found


def test_a_class_that_no_real_image_has_leaves_kl_out(digits: Dataset, train: Tensor, panel: Panel) -> None:
    """Real images of some classes alone: KL is infinite for a generator of the others, so it has no column; the
    others have theirs."""
    assert panel.known.shares is not None
    seen = CNN.of("digits")()(train).logits
    assert seen is not None
    panel = Panel(CNN.of("digits")(), train[seen.argmax(1) < 5], None, device=CPU)
    model = Memorizer(Memorizer.Config(), digits.spec)
    model.fit(train[seen.argmax(1) >= 5], train)
    assert panel.panel(model, 10).keys() == {DISTANCE, RECALL, COVERAGE, DUPLICATES, REAL_DUPLICATES, MODES}


def test_kl_of_a_perfect_generator_is_unbiased() -> None:
    """2,000 samples and 10,000 real images of 100 equal classes: the plain KL is 99/2 · (1/2,000 + 1/10,000) = 0.0297
    in the mean, the corrected one 0 to first order. Over 200 draws (standard error of a mean below 0.0004) within
    0.002 before it is clipped at 0, which next-order terms of 1/N² · K leave room for."""
    draws = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(200):
        labels = torch.from_numpy(draws.integers(100, size=2000))
        shares = torch.from_numpy(draws.multinomial(10_000, [0.01] * 100) / 10_000)
        known = Known(10_000, Moments.zeros(1), torch.zeros(1), shares, 0.0, 0.0)
        plain.append(class_kl(labels, shares))
        corrected.append(plain[-1] - monitor._kl_bias(labels, known))
    assert np.mean(plain) == pytest.approx(0.0297, abs=0.002)
    assert np.mean(corrected) == pytest.approx(0, abs=0.002)


def test_weights_are_selected_by_the_validation_part(digits: Dataset, train: Tensor, panel: Panel) -> None:
    """Where weights are selected, the distance is that of the same samples to the 15 of 60 images that are set aside,
    by their features; all other numbers stay those against the whole split. run.json says to how many."""
    labels = digits.train.labels
    assert labels is not None
    labels = labels[torch.arange(N) * 14]
    selecting = Panel(CNN.of("digits")(), train, labels, device=CPU, selects=True)
    model = Memorizer(Memorizer.Config(), digits.spec)
    model.fit(train, train)
    found, watched = selecting.panel(model, 10), panel.panel(model, 10)
    judge = CNN.of("digits")()
    fake = judge(torch.cat(list(generate(model, range(N), seed=SEED))))
    held = judge(train[validation_parts(train, labels).validation])
    assert len(held.features) == 15
    expected = frechet_distance_from_features(fake.features, held.features)
    assert found.pop(DISTANCE) == pytest.approx(expected, rel=1e-6)
    watched.pop(DISTANCE)
    assert found == watched
    assert (selecting.describe()["distance_to"], selecting.describe()["n_reference"]) == (15, N)
    assert panel.describe()["distance_to"] == N


def test_too_few_images_to_hold_samples_against(train: Tensor) -> None:
    """Five images have no fifth neighbour."""
    with pytest.raises(
        InputError, match=r"at least 6 training images .* but there are 5; leave monitor_every at 0"
    ):
        Panel(CNN.of("digits")(), train[: FEWEST - 1], None, device=CPU)


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the extractors that load; all others are not at hand."""
    here: list[str] = []

    def load(name: str, device: torch.device, precision: str) -> object:
        if name not in here:
            raise MetricFailed(f"fetch {name} first", status="unavailable")
        judge = CNN.of("digits")(device)
        monkeypatch.setattr(judge, "name", name, raising=False)
        return judge

    monkeypatch.setattr(extractors, "load_extractor", load)
    return here


def test_who_looks(only_here: list[str]) -> None:
    """The dataset's own judge if it is at hand, else the first network that was asked for, loaded ones as they are;
    with none at all the sentence gives every reason."""
    nobody, load = ExtractorSet({}, {}), ExtractorLoader(CPU)
    only_here += ["first", "second"]
    assert choose_watcher("mnist", ["first", "second"], nobody, load, "float32").name == "first"
    only_here += ["cnn_mnist"]
    assert choose_watcher("mnist", ["first", "second"], nobody, load, "float32").name == "cnn_mnist"
    loaded = CNN.of("digits")()
    assert (
        choose_watcher("digits", ["first"], ExtractorSet({"cnn_digits": loaded}, {}), load, "float32")
        is loaded
    )
    only_here.clear()
    load = ExtractorLoader(CPU)
    with pytest.raises(
        InputError, match=r"there is none here \(cnn_mnist: fetch cnn_mnist first; first: fetch first"
    ):
        choose_watcher("mnist", ["first"], nobody, load, "float32")
