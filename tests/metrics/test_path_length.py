"""Perceptual path length: the path, closed forms of generators whose steps are known, and torch-fidelity's number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.pairs.path_length import EPSILON, PPL, PPLW, PPLFull, step_ends, trimmed


def latents(n: int = 50, dim: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=rng), torch.randn(n, dim, generator=rng)


def test_straight_steps() -> None:
    """Closed form: ε (b − a) at every place. In float32 the latents themselves round by 6e-8 of their size."""
    a, b = (rows.double() for rows in latents())
    for t in (0.0, 0.4, 0.9):
        start, end = step_ends(a, b, torch.full((50,), t), epsilon=1e-3, interpolation="linear")
        torch.testing.assert_close(end - start, 1e-3 * (b - a), rtol=1e-9, atol=1e-13)
        torch.testing.assert_close(start, a + t * (b - a), rtol=1e-6, atol=1e-7)


def test_steps_along_the_arc() -> None:
    """Shoemake 1985: both ends are those given, vectors of one length keep it, and the angle grows evenly with t."""
    a, b = (rows.double() for rows in latents())
    zero, one = torch.zeros(50), torch.ones(50)
    assert torch.allclose(step_ends(a, b, zero, interpolation="spherical")[0], a, atol=1e-12)
    assert torch.allclose(step_ends(a, b, one, interpolation="spherical")[0], b, atol=1e-12)
    a, b = (3 * rows / rows.norm(dim=1, keepdim=True) for rows in (a, b))
    whole = (a * b / 9).sum(1).acos()
    start, end = step_ends(a, b, 0.25 * one.double(), epsilon=0.5, interpolation="spherical")
    torch.testing.assert_close(start.norm(dim=1), 3 * one.double(), rtol=1e-12, atol=0)
    for rows, share in ((start, 0.25), (end, 0.75)):
        torch.testing.assert_close((a * rows / 9).sum(1).acos(), share * whole, rtol=1e-9, atol=0)


def test_the_same_and_opposite_directions_are_joined_straight() -> None:
    """Where no arc is defined: a step from a to 2a and from a to −a, and from nothing to something."""
    a = torch.ones(3, 4, dtype=torch.float64)
    b = torch.stack([2 * a[0], -a[1], a[2]])
    a[2] = 0
    start, end = step_ends(a, b, torch.zeros(3), epsilon=0.5, interpolation="spherical")
    assert torch.isfinite(end).all()
    torch.testing.assert_close(end[:2], ((a + b) / 2)[:2])
    assert torch.equal(start, a)


def test_what_is_no_path() -> None:
    """Latents of two sizes, places for others, a step that goes nowhere."""
    a, b = latents()
    with pytest.raises(InputError, match="one shape; these are 50×6 and 50×5"):
        step_ends(a, b[:, :5], torch.zeros(50), interpolation="linear")
    with pytest.raises(InputError, match="50 paths need a place on each"):
        step_ends(a, b, torch.zeros(3), interpolation="linear")
    with pytest.raises(InputError, match="epsilon must be a number above 0"):
        step_ends(a, b, torch.zeros(50), epsilon=0, interpolation="linear")


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 102, 201, 2900, 2901])
def test_trimmed_as_by_percentiles(n: int) -> None:
    """Oracle: NumPy's percentiles 1 and 99, rounded down and up to values, as the authors' code has them."""
    values = np.random.default_rng(n).gamma(1.0, size=n)
    low, high = (np.percentile(values, q, method=way) for q, way in ((1, "lower"), (99, "higher")))
    expected = values[(low <= values) & (values <= high)]
    assert trimmed(torch.from_numpy(values)).tolist() == expected.tolist()


def of_values(metric: PPL, values: Tensor) -> Evidence:
    return Evidence(pairs={"path": PairEvidence({metric.name: values})})


def test_the_estimate_is_the_trimmed_mean() -> None:
    """1,000 paths, ten of which move wildly and ten not at all, which are left out; no interval of one."""
    rng = torch.Generator().manual_seed(0)
    values = torch.cat([torch.full((10,), 1e9), torch.zeros(10), 5 + torch.rand(980, generator=rng)]).double()
    found = PPL().compute(of_values(PPL(), values))
    kept = trimmed(values)
    assert found.value == pytest.approx(float(kept.mean()), rel=1e-12)
    assert 5 < found.value < 6 + 2e7  # at most one of each kind is left
    assert found.interval == "95% t over images"
    assert PPL().compute(of_values(PPL(), values[-1:])).interval is None
    with pytest.raises(MetricFailed, match="no pairs"):
        PPL().compute(of_values(PPL(), values[:0]))
    with pytest.raises(MetricFailed, match="asks a generator for images of latents"):
        PPL().compute(Evidence())
    with pytest.raises(MetricFailed, match="1 of 2 pairs have no finite ppl"):
        PPL().compute(of_values(PPL(), torch.tensor([1.0, math.nan]).double()))


def test_four_numbers_by_their_names() -> None:
    """Space, path and places are in the name."""
    assert (PPL.space, PPL.interpolation, PPL.everywhere) == ("z", "spherical", False)
    assert (PPLFull.space, PPLFull.interpolation, PPLFull.everywhere) == ("z", "spherical", True)
    assert (PPLW.space, PPLW.interpolation, PPLW.everywhere) == ("w", "linear", False)
    assert PPL().needs == {"path"}


class Toy(nn.Module):
    """Latents of 6 to float images 3×4×4, smoothly and not linearly."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(3)
        self.register_buffer("matrix", torch.randn(6, 48, generator=rng, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return (z.double() @ self.matrix).sin().reshape(-1, 3, 4, 4)


def squared(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().flatten(1).sum(1)


@pytest.mark.parametrize("interpolation", ["linear", "spherical"])
def test_is_torch_fidelitys_number(interpolation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its perceptual path length of a toy generator with the same distance, latents and step, trimmed likewise,
    beside ours. ε = 0.01, so that float32 latents, which both have, resolve the step to 1e-5."""
    from torch_fidelity import metric_ppl
    from torch_fidelity.generative_model_modulewrapper import GenerativeModelModuleWrapper

    n, epsilon, seed = 500, 0.01, 7
    monkeypatch.setattr(metric_ppl, "create_sample_similarity", lambda *_, **__: squared)
    percentile = np.percentile

    def under_its_old_name(values: Any, q: float, interpolation: str) -> Any:
        return percentile(values, q, method=interpolation)

    monkeypatch.setattr(metric_ppl.np, "percentile", under_its_old_name)
    mode = {"linear": "lerp", "spherical": "slerp_any"}[interpolation]
    theirs = metric_ppl.calculate_ppl(
        1,
        input1=GenerativeModelModuleWrapper(Toy(), 6, "normal", 0),
        input1_model_num_samples=n,
        ppl_epsilon=epsilon,
        ppl_z_interp_mode=mode,
        rng_seed=seed,
        batch_size=64,
        cuda=False,
        verbose=False,
    )
    monkeypatch.undo()
    rng = np.random.RandomState(seed)
    first, second = (torch.from_numpy(rng.randn(n, 6)).float() for _ in range(2))
    ends = step_ends(first, second, torch.zeros(n), epsilon=epsilon, interpolation=interpolation)  # type: ignore[arg-type]
    values = squared(*map(Toy(), ends)) / epsilon**2
    found = PPL().compute(of_values(PPL(), values))
    assert found.value == pytest.approx(theirs["perceptual_path_length_mean"], rel=1e-4)
    assert found.value > 1


def test_a_linear_generator_has_the_length_of_its_steps() -> None:
    """Closed form: G(z) = zA along straight lines has ‖(b − a)A‖² at every place, whatever ε is. 1e-9 of float64."""
    a, b = (rows.double() for rows in latents())
    matrix = torch.randn(6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, end = step_ends(a, b, torch.linspace(0, 1, 50), epsilon=EPSILON, interpolation="linear")
    values = ((end - start) @ matrix).square().sum(1) / EPSILON**2
    torch.testing.assert_close(values, ((b - a) @ matrix).square().sum(1), rtol=1e-7, atol=0)
