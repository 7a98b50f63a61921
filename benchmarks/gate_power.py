"""How often `benchbench check` fails: for a model that did not change, and for one that became worse by so much.

    python benchmarks/gate_power.py            # writes docs/power.png and docs/power.csv
    python benchmarks/gate_power.py --runs 200

A branch is simulated as records hold it: a baseline of several models under three seeds, which scatter over seeds
by different amounts, and a candidate that ran one of them again under other seeds. Each run has a Fréchet distance
(log-normal over seeds) and eight more numbers of its images on their own scales; every run states an interval of
itself. What is asked is the exit code of the shipped gate. tests/results/test_gate_power.py holds the first line of
the table, the share of unchanged models that fail, to its level.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchbench.core.scales import Range, Scale, from_scale, to_scale
from benchbench.results.claims.findings import Report
from benchbench.results.claims.gate import judge
from benchbench.results.claims.gate_config import Gate, load_gate
from benchbench.results.claims.gate_match import Matched, Pair, Question
from benchbench.results.claims.numbers import Asked, Number, Numbers, Unit

LAYOUTS = (1, 3, 5, 10)  # seeds a side
CHANGES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # by which the Fréchet distance rises
CANDIDATE = "model0"
DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Kind:
    """One simulated metric. base: its typical value. seeds, images: standard deviations of a run on its scale, over
    seeds and by the images that were drawn."""

    name: str
    aspect: str
    higher: bool
    scale: Scale
    ends: Range
    base: float
    seeds: float
    images: float


# Spreads as in the published store: seeds move a Fréchet distance by 2 to 30%, images by 2%.
KINDS = (
    Kind("fd", "quality", False, "log", (0.0, None), 100.0, 0.15, 0.02),
    Kind("kd", "quality", False, "sqrt", (None, None), 0.2, 0.05, 0.01),
    Kind("precision", "quality", True, "arcsine", (0.0, 1.0), 0.4, 0.06, 0.02),
    Kind("density", "quality", True, "sqrt", (0.0, None), 0.2, 0.05, 0.01),
    Kind("recall", "diversity", True, "arcsine", (0.0, 1.0), 0.3, 0.07, 0.02),
    Kind("coverage", "diversity", True, "arcsine", (0.0, 1.0), 0.2, 0.05, 0.02),
    Kind("modes", "mode_collapse", True, "arcsine", (0.0, 10.0), 9.8, 0.02, 0.02),
    Kind("class_kl", "mode_collapse", False, "sqrt", (0.0, None), 0.1, 0.05, 0.02),
    Kind("conditional_accuracy", "quality", True, "arcsine", (0.0, 1.0), 0.9, 0.03, 0.01),
)
CONDITIONS = (("machine", "none"),)


def scored(
    rng: np.random.Generator, kind: Kind, seeds: Sequence[int], times: float, worse: float = 0.0
) -> Number:
    """A number of one model under `seeds`. times: how much more than usual the model scatters. worse: by which share of
    its base it is worse."""
    base = kind.base * (1 + worse) if not kind.higher else kind.base / (1 + worse)
    middle = float(to_scale(base, kind.scale, kind.ends))
    runs = middle + kind.seeds * times * rng.standard_normal(len(seeds))
    seen = runs + kind.images * rng.standard_normal(len(seeds))
    values = from_scale(seen, kind.scale, kind.ends)
    lows, highs = (from_scale(seen + sign * 1.96 * kind.images, kind.scale, kind.ends) for sign in (-1, 1))
    intervals = {
        seed: (min(float(low), float(x)), max(float(high), float(x)))
        for seed, low, x, high in zip(seeds, lows, values, highs, strict=True)
    }
    return Number(
        {seed: float(x) for seed, x in zip(seeds, values, strict=True)},
        intervals,
        kind.aspect,
        "",
        kind.higher,
        kind.scale,
        kind.ends,
        CONDITIONS,
        kind.name == "fd",
    )


def branch(rng: np.random.Generator, n_seeds: int, others: int, worse: float, same_seeds: bool) -> Matched:
    """A baseline of `others` models beside the candidate's, and the candidate's run of its own model."""
    baseline: Numbers = {}
    for place in range(others + 1):
        unit = Unit("data", f"model{place}", "")
        seeds = range(n_seeds if unit.model == CANDIDATE else 3)
        times = float(rng.choice([0.3, 0.6, 1.0, 1.5]))
        baseline[unit] = {Asked("generation", "", k.name): [scored(rng, k, seeds, times)] for k in KINDS}
        if unit.model == CANDIDATE:
            again = range(n_seeds) if same_seeds else range(100, 100 + n_seeds)
            candidate = {
                Asked("generation", "", k.name): [
                    scored(rng, k, again, times, worse if k.name == "fd" else 0.0)
                ]
                for k in KINDS
            }
    unit = Unit("data", CANDIDATE, "")
    pairs = [
        Pair(Question(*unit, *asked), before[0], candidate[asked][0])
        for asked, before in baseline[unit].items()
    ]
    return Matched(pairs, [], [baseline, {unit: candidate}])


def failed(found: Matched, gate: Gate) -> bool:
    """Whether the check exits with 1."""
    return Report(judge(found, gate), []).exit_code == 1


def shares(
    runs: int, changes: Sequence[float], others: int = 5, layouts: Sequence[int] = LAYOUTS
) -> Iterator[tuple[int, float, float]]:
    """(seeds a side, change, share of `runs` simulated branches that fail)."""
    gate = load_gate()
    for n_seeds in layouts:
        for worse in changes:
            rng = np.random.default_rng([n_seeds, round(1000 * worse)])
            fails = sum(failed(branch(rng, n_seeds, others, worse, bool(i % 2)), gate) for i in range(runs))
            yield n_seeds, worse, fails / runs


def main() -> None:
    """Simulate, write the table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="simulated branches a point")
    runs = parser.parse_args().runs
    table = pd.DataFrame(shares(runs, CHANGES), columns=["seeds", "change", "failed"])
    table.to_csv(DOCS / "power.csv", index=False)
    print(table.pivot(index="change", columns="seeds", values="failed").to_string())
    draw(table, DOCS / "power.png")


def draw(table: pd.DataFrame, path: Path) -> None:
    """The power curve: change against the share that fails, a line a number of seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for marker, (n_seeds, line) in zip("osD^", table.groupby("seeds"), strict=True):
        axes.plot(100 * line["change"], 100 * line["failed"], marker=marker, label=f"{n_seeds} a side")
    axes.axhline(5, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlabel("rise of the Fréchet distance, %, all else unchanged")
    axes.set_ylabel("checks that fail, %")
    axes.legend(title="seeds")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
