"""Translation: held-out images of one domain become images of the other, in every direction the model has.

The rows of a direction compare with those of other models in that direction and with nothing else. The reference of
distribution metrics is the held-out split of the target domain, as the field has it for CycleGAN; where the held-out
images are paired, each output is also held against its right answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.progress import Progress
from benchbench.core.protocols import Cyclic, Direction, Translator
from benchbench.core.seeds import permutation
from benchbench.data.domains import Domains
from benchbench.features.extract import extract
from benchbench.metrics.cycle import CYCLE
from benchbench.metrics.metric import Evidence, Metric, Need, PairEvidence
from benchbench.metrics.paired import PairedMetric, PairReader
from benchbench.metrics.select import score
from benchbench.results.record import Row
from benchbench.runner.evidence import gather, placed, reference, sources
from benchbench.runner.pictures import Pictured, TranslationPanel
from benchbench.runner.plan import Plan
from benchbench.runner.rows import Counts, measurement_rows, metric_rows
from benchbench.runner.scored import Scored, training_rows
from benchbench.tasks.speed import measure_cost, measure_rates
from benchbench.tasks.translation import (
    CYCLES,
    TASK,
    TRANSLATION_BATCH,
    PerImage,
    compare,
    compared,
    cycle,
    cycle_errors,
    output_rng,
    translate,
)
from benchbench.training.state import TrainingResult

VARIANT_SOURCES = 64  # images that are translated several times for `input_diversity`
VARIANTS = 8  # times
SHOWN = 24  # lines of a panel of translations.png
SHOWN_VARIANTS = 4


def evaluate_translation(
    plan: Plan,
    model: nn.Module,
    training: TrainingResult | None,
    *,
    device: torch.device,
    batch_size: int | None,
    progress: Progress,
) -> Scored:
    """Every number of the cell, direction by direction, and the images that go into its picture."""
    assert isinstance(model, Translator)
    rows: list[Row] = []
    panels = []
    for direction in model.directions:
        way = _Way(plan, model, direction, device, batch_size, progress)
        rows += way.rows()
        panels.append(way.panel())
    return Scored([*rows, *training_rows(plan, training)], Pictured(translations=panels))


class _Way:
    """One direction of one model: what is translated, and what comes out."""

    def __init__(
        self,
        plan: Plan,
        model: Translator,
        direction: Direction,
        device: torch.device,
        batch_size: int | None,
        progress: Progress,
    ) -> None:
        data: Domains = plan.two_domains
        self.plan, self.model, self.direction = plan, model, direction
        self.device, self.batch_size, self.progress = device, batch_size, progress
        self.source, self.target = (data.a, data.b) if direction == "AtoB" else (data.b, data.a)
        self.label = 1 if direction == "AtoB" else 0  # of the target domain, in `Domains.pooled`
        # Files are in the order of their names: fewer than all are a choice among all.
        have = len(self.source.held_out)
        chosen = torch.from_numpy(permutation(plan.seed, have)[: plan.n_samples]).sort().values
        self.sources = self.source.held_out.images[chosen]
        self.targets = self.target.held_out.images
        self.truth = self.targets[chosen] if data.paired_held_out else None
        self.metrics = plan.metrics

    def rows(self) -> list[Row]:
        """All numbers of this direction."""
        plan, judges, options = self.plan, self.plan.judges.extractors, self._options()
        reader = PairReader(self._per_image(role="pairs", hints=0))
        outputs = self.outputs()
        generated, failures, _ = gather(
            outputs if self.truth is None else compared(outputs, self.truth, reader),
            len(self.sources),
            judges,
            self.metrics,
            title=f"translating {self.source.name} to {self.target.name}",
            **options,
        )
        evidence = Evidence(
            generated,
            reference(self.targets, judges, self.metrics, **options),
            self._pairs(reader.result()),
            {**plan.judges.failures, **failures},
            asked=torch.full((len(self.sources),), self.label),
            sources=sources(self.sources, judges, self.metrics, **options),
            variants=self._variants(),
        )
        with self.progress.stage("computing metrics", len(self.metrics), "metric") as stage:
            outcomes = score(self.metrics, placed(evidence, self.device, self.progress))
            stage.advance(len(self.metrics))
        n = min(TRANSLATION_BATCH, len(self.sources))
        cost = measure_cost(self.model, device=self.device, once=lambda: self._first(1))  # type: ignore[arg-type]
        speed = measure_rates(self._first, device=self.device, batch_size=n)
        return [
            *metric_rows(plan, [*outcomes, *plan.lacking], self.counts),
            *measurement_rows(plan, TASK, [*speed, *cost], self.direction),
        ]

    def counts(self, metric: Metric) -> Counts:
        """What went into a number."""
        n = len(self.sources)
        if "identity" in metric.needs:
            n = len(self.targets)
        elif "variants" in metric.needs:
            n = min(n, VARIANT_SOURCES)
        return Counts(TASK, n, len(self.targets), self.direction)

    def some(self, n: int) -> Tensor:
        """The places of `n` sources that stand for all, or of as many as there are."""
        return torch.from_numpy(permutation(0, len(self.sources))[:n])

    def outputs(self, which: Tensor | None = None, *, repeat: int = 0, hints: int = 0) -> Iterator[Tensor]:
        """The outputs of the sources in these places, of all by default, in batches."""
        return self._translated(self.sources, which=which, repeat=repeat, truth=self.truth, hints=hints)

    def panel(self) -> TranslationPanel:
        """Some sources beside what became of them."""
        which = self.some(SHOWN)
        columns = [(self.source.name, self.sources[which])]
        outputs = [_whole(self.outputs(which, repeat=repeat)) for repeat in range(SHOWN_VARIANTS)]
        if all(torch.equal(outputs[0], other) for other in outputs):
            columns.append(("output", outputs[0]))
        else:
            columns += [(f"output {number}", images) for number, images in enumerate(outputs, start=1)]
        columns += [(f"{hints} hints", _whole(self.outputs(which, hints=hints))) for hints in self._hints()]
        if isinstance(self.model, Cyclic):
            back = cycle(
                self.model,
                self.sources[which],
                self.direction,
                CYCLES[CYCLE],
                seed=self.plan.seed,
                device=self.device,
            )
            columns.append(("back", _whole(back)))
        if self.truth is not None:
            columns.append(("truth", self.truth[which]))
        return TranslationPanel(f"{self.source.name} to {self.target.name}", columns)

    def _translated(self, images: Tensor, **options: Any) -> Iterator[Tensor]:
        batch_size = self.batch_size or TRANSLATION_BATCH
        return translate(
            self.model,
            images,
            self.direction,
            seed=self.plan.seed,
            device=self.device,
            batch_size=batch_size,
            **options,
        )

    def _options(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "progress": self.progress}

    def _first(self, n: int) -> Tensor:
        """The first `n` sources, translated at once."""
        rng = output_rng(self.plan.seed, range(n), self.device)
        return self.model.translate(self.sources[:n].to(self.device), self.direction, rng)

    def _hints(self) -> Sequence[int]:
        return sorted({metric.hints for metric in self.metrics if isinstance(metric, PairedMetric)} - {0})

    def _per_image(self, role: Need, hints: int) -> PerImage:
        return {
            metric.name: metric.of_pairs
            for metric in self.metrics
            if isinstance(metric, PairedMetric) and (metric.role, metric.hints) == (role, hints)
        }

    def _pairs(self, with_truth: PairEvidence) -> PairEvidence:
        """What pairs of images say beside the outputs and their right answers, joined with it."""
        parts = [with_truth]
        for hints in self._hints():
            assert self.truth is not None
            per_image = self._per_image("pairs", hints)
            made = self.outputs(hints=hints)
            parts.append(compare(made, self.truth, per_image, f"with {hints} hints", self.progress))
        if of_identity := self._per_image("identity", 0):
            same = self._translated(self.targets)
            parts.append(
                compare(same, self.targets, of_identity, "translating the target domain", self.progress)
            )
        if any("cycle" in metric.needs for metric in self.metrics):
            assert isinstance(self.model, Cyclic)
            parts.append(
                cycle_errors(
                    self.model,
                    self.sources,
                    self.direction,
                    seed=self.plan.seed,
                    device=self.device,
                    batch_size=self.batch_size or TRANSLATION_BATCH,
                    progress=self.progress,
                )
            )
        values = chain.from_iterable(part.values.items() for part in parts)
        failures = chain.from_iterable(part.failures.items() for part in parts)
        return PairEvidence(dict(values), dict(failures))

    def _variants(self) -> dict[str, Tensor]:
        """Features, N×k×D, of `VARIANTS` outputs of each of the first sources."""
        readers = {metric.extractor for metric in self.metrics if "variants" in metric.needs}
        judges = {name: judge for name, judge in self.plan.judges.extractors.items() if name in readers}
        if not judges:
            return {}
        which = self.some(VARIANT_SOURCES)
        outputs = torch.cat([_whole(self.outputs(which, repeat=repeat)) for repeat in range(VARIANTS)])
        # Equal outputs are looked at once: features of an image differ in the last digits by its place in a batch.
        images, place = torch.unique(outputs, dim=0, return_inverse=True)
        found = {}
        for name, judge in judges.items():
            seen = extract(
                images,
                judge,
                need_features=True,
                need_logits=False,
                batch_size=self.batch_size,
                progress=self.progress,
                title=f"{name} on several outputs of one source",
            )
            assert seen.features is not None
            found[name] = seen.features[place].reshape(VARIANTS, len(which), -1).transpose(0, 1)
        return found


def _whole(batches: Iterator[Tensor]) -> Tensor:
    return torch.cat([batch.cpu() for batch in batches])
