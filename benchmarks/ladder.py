"""The metric ladder: every metric against every edit at five strengths.

    python benchmarks/ladder.py docs/ladder.csv [DATASET ...]

Real images are edited in thirteen ways (`data/edits`), each at five strengths, and scored as a generator's: sets
against other real images, pairs against themselves unedited. What is measured already is read from the table, which is
written anew after each edit: stopped and started again, the script goes on, and a metric that is new is measured alone.
At the end the pictures and the page's tables are made of it.

A metric's move is scaled to its own range: 0 is what it says of unedited images, 1 or −1 the farthest from that which
it says of any edit at any strength. PSNR has no value where images are equal; its range begins at one grey level in
every pixel.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ordering import Look
from PIL import Image
from torch import Tensor

from benchbench.core.files import atomic_path
from benchbench.core.seeds import permutation
from benchbench.data.builtin.openmoji import alpha, emoji_files, render, svg_text
from benchbench.data.catalogue import load_domains
from benchbench.data.edits.edit import EDITS, NEEDS_ALPHA, apply
from benchbench.features.extractor import Extractor, load_extractor
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import Metric, Need
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.select import score, select_metrics

EXTRACTOR = "efficientnet_lite0"
SIDE = 176  # MS-SSIM needs 161
N = 75
NONE = "none"
ONE_LEVEL = 20 * math.log10(255)  # PSNR of images that differ by one grey level everywhere
READS: frozenset[Need] = frozenset({"moments", "features", "logits", "truth", "style", "sources"})
SEEN = 0.5
"""Of its range: so far a metric that over-reacts is moved by the mildest strength."""
STILL = 0.05
"""Of its range: no farther a metric moves under an edit to which it is invariant."""


@dataclass(frozen=True)
class Real:
    """What is edited, what it is held against, and what memorization is held against, uint8 N×3×H×W each. alpha: of
    what is edited, uint8 N×1×H×W, where it has one."""

    name: str
    edited: Tensor
    reference: Tensor
    held_out: Tensor
    alpha: Tensor | None = None


def photographs(n: int = N, side: int = SIDE) -> Real:
    """Square crops of five photographs of scikit-image; neighbours overlap and may lie on two sides."""
    crops = load_domains("photographs", size=side).a.train.images
    assert isinstance(crops, Tensor)
    rows = torch.from_numpy(permutation(0, len(crops)))
    return Real("photographs", *(crops[rows[start : start + n]] for start in (0, n, 2 * n)))


def openmoji(n: int = N, side: int = SIDE) -> Real:
    """Emoji over white, drawn at this size, with their alpha."""
    files = emoji_files()
    some = [files[i] for i in permutation(0, len(files))[: 3 * n]]
    drawn = torch.from_numpy(render([svg_text(file) for file in some], side))
    return Real("openmoji", *drawn.split(n), alpha=torch.from_numpy(alpha(some[:n], side)))


LOADED = {"photographs": photographs, "openmoji": openmoji}


def metrics_of(extractor: str) -> list[Metric]:
    """All that are defined on an extractor and read sets of images or pairs of them; what stands beside another comes
    with it."""
    return [metric for metric in select_metrics(["all"], [extractor]) if metric.needs <= READS]


class Ladder:
    """Real images and what is asked of them edited.

    extractor: reads every edited image once. metrics: those that are computed.
    """

    def __init__(self, real: Real, extractor: Extractor, metrics: Sequence[Metric]) -> None:
        self.real, self.extractor, self.metrics = real, extractor, metrics
        name = extractor.name
        self._sets = {
            role: Look(images, extractor).side(name)
            for role, images in (
                ("reference", real.reference),
                ("held_out", real.held_out),
                ("sources", real.edited),
            )
        }

    def edits(self) -> Iterator[str]:
        """The names of those that these images can be given."""
        return (name for name in EDITS if self.real.alpha is not None or name not in NEEDS_ALPHA)

    def lacking(self, rows: pd.DataFrame) -> list[Metric]:
        """The metrics of which these rows have none."""
        known = set(rows.metric) if len(rows) else set()
        return [metric for metric in self.metrics if metric.output.name not in known]

    def rows(self, edit: str, strength: float, metrics: Sequence[Metric]) -> list[dict[str, object]]:
        """What these metrics say of the images after an edit, `NONE` for none."""
        real = self.real
        images = real.edited if edit == NONE else apply(real.edited, edit, strength, alpha=real.alpha)
        sets = dict(self._sets)
        if any(metric.uses_extractor for metric in metrics):
            sets["generated"] = Look(images, self.extractor).side(self.extractor.name)
        evidence = Evidence(sets, {role: self._pairs(images, role, metrics) for role in ("truth", "style")})
        rows = []
        for outcome in score(metrics, evidence):
            if not outcome.metric.output.gated:
                continue
            found, metric = outcome.estimate, outcome.metric
            rows.append({
                "dataset": real.name, "extractor": self.extractor.name, "n_images": len(images),
                "edit": edit, "strength": strength, "metric": metric.output.name,
                "higher_is_better": metric.output.higher_is_better,
                "value": found and found.value, "low": found and found.low, "high": found and found.high,
                "reason": outcome.reason,
            })  # fmt: skip
        return rows

    def _pairs(self, images: Tensor, role: str, metrics: Sequence[Metric]) -> PairEvidence:
        reader = PairReader(
            {m.name: m.of_pairs for m in metrics if isinstance(m, PairedMetric) and m.role == role}
        )
        for some, before in zip(images.split(8), self.real.edited.split(8), strict=True):
            reader.update(some, before)
        return reader.compute()


def measure(ladder: Ladder, path: Path) -> None:
    """Add to the table what it lacks of these images and metrics, edit by edit."""
    steps = {NONE: (0.0,), **{name: EDITS[name].strengths for name in ladder.edits()}}
    group = ["dataset", "edit", "strength"]
    for edit, strengths in steps.items():
        table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=[*group, "metric"])
        own = table[(table.dataset == ladder.real.name) & (table.edit == edit)]
        new = []
        for strength in strengths:
            if missing := ladder.lacking(own[own.strength == strength]):
                new += ladder.rows(edit, strength, missing)
        if not new:
            continue
        whole = pd.concat(
            [table, pd.DataFrame(new)] if len(table) else [pd.DataFrame(new)], ignore_index=True
        )
        place = whole.groupby(group, sort=False).ngroup()
        whole = (
            whole.assign(place=place).sort_values(["place", "metric"], kind="stable").drop(columns="place")
        )
        with atomic_path(path) as temporary:
            whole.to_csv(temporary, index=False, float_format="%.6g")
        print(f"{ladder.real.name} {edit}", flush=True)


def moves(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How far each edit at each strength moves each metric, of its range: rows metrics, columns (edit, strength).

    Above 0 is worse; of a metric whose best value lies in between, larger than unedited. NaN where there is no value.
    Metrics without any value, and those that no edit moves, are left out.
    """
    own = table[table.dataset == dataset]
    values = own.pivot(index="metric", columns=["edit", "strength"], values="value").astype(float)
    better = own.drop_duplicates("metric").set_index("metric").higher_is_better
    sign = better.map(lambda higher: -1.0 if str(higher) == "True" else 1.0)
    unedited = values[(NONE, 0.0)].copy()
    unedited[[name for name in values.index if name.startswith("psnr")]] = ONE_LEVEL
    edits = [(name, strength) for name in EDITS for strength in EDITS[name].strengths]
    harm = values.sub(unedited, axis=0).mul(sign.reindex(values.index), axis=0)
    harm = harm[[column for column in edits if column in harm.columns]]
    psnr = harm.index.str.startswith("psnr")
    harm[psnr] = harm[psnr].clip(lower=0)
    reach = harm.abs().max(axis=1)
    return harm[reach > 0].div(reach[reach > 0], axis=0)


def invariant(moved: pd.DataFrame) -> set[tuple[str, str]]:
    """(metric, edit) where no strength moves the metric by more than `STILL` of its range."""
    return {
        (metric, edit)
        for metric in moved.index
        for edit in moved.columns.unique("edit")
        if (moved.loc[metric, edit].abs() <= STILL).all()
    }


def over_reacts(moved: pd.DataFrame) -> set[tuple[str, str]]:
    """(metric, edit) where the mildest strength moves the metric by `SEEN` of its range or more."""
    mildest = {edit: EDITS[edit].strengths[0] for edit in moved.columns.unique("edit")}
    return {
        (metric, edit)
        for metric in moved.index
        for edit, strength in mildest.items()
        if moved.loc[metric, (edit, strength)] >= SEEN
    }


def wrong_way(moved: pd.DataFrame) -> set[tuple[str, str]]:
    """(metric, edit) where the strongest edit makes the metric better by more than `STILL` of its range."""
    strongest = {edit: EDITS[edit].strengths[-1] for edit in moved.columns.unique("edit")}
    return {
        (metric, edit)
        for metric in moved.index
        for edit, strength in strongest.items()
        if moved.loc[metric, (edit, strength)] < -STILL
    }


def unmeasured(table: pd.DataFrame) -> dict[str, str]:
    """Metrics without any value, and why."""
    own = table.groupby("metric").filter(lambda rows: rows.value.isna().all())
    return dict(own.groupby("metric").reason.first())


def markdown(moved: pd.DataFrame) -> str:
    """The page's table: of each metric and edit the moves at the mildest and at the strongest strength, in percent."""
    edits = list(moved.columns.unique("edit"))
    lines = [f"| metric | {' | '.join(edits)} |", f"|---|{'--:|' * len(edits)}"]
    for metric in moved.index:
        ends = [moved.loc[metric, edit].iloc[[0, -1]] for edit in edits]
        lines.append(f"| {metric} | {' | '.join(map(_cell, ends))} |")
    return "\n".join(lines)


def _cell(ends: pd.Series) -> str:
    return " ".join("·" if np.isnan(end) else f"{100 * end:.0f}".replace("-0", "0") for end in ends)


def examples() -> dict[str, dict[str, Tensor]]:
    """One image unedited and at the five strengths of each edit, uint8 3×H×W: a photograph, and an emoji where an
    object must be known."""
    photograph, emoji = load_domains("photographs", size=SIDE).a.held_out.images, openmoji(4)
    assert isinstance(photograph, Tensor)
    shown = {}
    for name, edit in EDITS.items():
        images, opaque = (emoji.edited, emoji.alpha) if name in NEEDS_ALPHA else (photograph, None)
        made = [apply(images, name, strength, alpha=opaque)[0] for strength in edit.strengths]
        shown[name] = {"unedited": images[0], **{f"{i + 1}": image for i, image in enumerate(made)}}
    return shown


def main() -> None:
    from ladder_plot import plot
    from ordering_plot import sheet

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="the table, for example docs/ladder.csv")
    parser.add_argument("dataset", nargs="*", help=f"of {', '.join(LOADED)}; by default all")
    arguments = parser.parse_args()
    extractor = load_extractor(EXTRACTOR)
    for name in arguments.dataset or LOADED:
        measure(Ladder(LOADED[name](), extractor, metrics_of(EXTRACTOR)), arguments.path)
    edits = arguments.path.with_name("edits.png")
    sheet(examples(), edits)
    with Image.open(edits) as picture:  # a third of the bytes, and nobody sees it
        picture.convert("RGB").quantize(256).save(edits, optimize=True)
    table = pd.read_csv(arguments.path)
    for name in table.dataset.unique():
        moved = moves(table, name)
        plot(moved, name, arguments.path.with_name(f"{arguments.path.stem}-{name}.png"))
        print(f"\n{name}\n{markdown(moved)}")


if __name__ == "__main__":
    main()
