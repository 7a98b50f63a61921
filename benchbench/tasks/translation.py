"""The translation task: held-out images of one domain become images of the other.

Each output is held against its right answer, where the dataset knows it, and all of them against the held-out images of
the domain they should belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.protocols import Cyclic, Direction, Hinted, Translator
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import permutation
from benchbench.data.domains import Domains
from benchbench.data.pipeline.image_source import in_memory, take
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import OF_EXTRACTORS, Metric, Need
from benchbench.metrics.pairs.captions import NO_CAPTIONS
from benchbench.metrics.pairs.cycle import CYCLE
from benchbench.metrics.pairs.hole import NO_HOLES
from benchbench.metrics.pairs.paired import PairedMetric, PairReader, PerImage
from benchbench.metrics.select import TRANSLATION, Outcome, score
from benchbench.metrics.sets.modes import ConditionalAccuracy, class_extractor
from benchbench.tasks.base import (
    NO_HELD_OUT,
    Number,
    Request,
    TaskData,
    TaskResult,
    TwoDomains,
    two,
)
from benchbench.tasks.evidence import (
    Failures,
    Sides,
    gather,
    paired,
    placed,
    readers_of,
    reference,
    sources,
    variants,
)
from benchbench.tasks.paths import NO_LATENT
from benchbench.tasks.pictures import Columns, Section
from benchbench.tasks.speed import measure_cost, measure_rates
from benchbench.tasks.translate import (
    CYCLES,
    TRANSLATION_BATCH,
    Translating,
    compare,
    compared,
    output_rng,
    whole,
)
from benchbench.training.batches import Other
from benchbench.training.data import TrainingData

TASK = "translation"
VARIANT_SOURCES = 64  # images that are translated several times for `input_diversity`
VARIANTS = 8  # times
SHOWN = 24  # lines of a section of the picture
SHOWN_VARIANTS = 4
_NEEDS: frozenset[Need] = OF_EXTRACTORS | {"identity", "sources", "variants"}


class Translation(TwoDomains):
    """Held-out images of one domain become images of the other, in every direction that the model has.

    The numbers of a direction compare with those of other models in that direction and with nothing else. The reference
    of distribution metrics is the held-out split of the target domain, as the field has it for CycleGAN; where the
    held-out images are paired, each output is also held against its right answer.
    """

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = TRANSLATION
    # A right answer says more than a distribution, which translations can match without keeping what they show.
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {TASK: ("ssim", "fd")}

    def takes(self, model: type) -> bool:
        """A model that translates."""
        return hasattr(model, "translate")

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Contents and styles; and images that are no pairs where the model learns from pairs."""
        own = two(data)
        if own.styles:
            return (
                f"{own.name} holds contents and styles, and the model {model!r} turns one domain into another; use nst "
                "or fast-style"
            )
        if getattr(MODELS.get(model), "paired", False) and not own.paired_train:
            return (
                f"the model {model!r} learns from pairs but the training images of {own.name} are not paired "
                f"({len(own.a.train)} in {own.a.name}, {len(own.b.train)} in {own.b.name}; partners have the same file "
                "name, but for a final _A or _B); use a model for unpaired images, for example cyclegan"
            )
        return None

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """What the model or the domains lack for it."""
        own, missing = two(data), metric.needs - _NEEDS
        if metric.needs_held_out:
            return NO_HELD_OUT
        if missing & {"truth", "hints"} and not own.paired_held_out:
            return "this needs right answers, and the held-out images of the two domains are not paired"
        if "hints" in missing and not isinstance(model, Hinted):
            return "this model takes no colour hints"
        if "cycle" in missing and not isinstance(model, Cyclic):
            return "this needs a model of both directions"
        if "hole" in missing:
            return NO_HOLES
        if "captions" in missing:
            return NO_CAPTIONS
        if "classes" in missing:
            return "a translation is asked to be of one domain, and there is no class beside"
        if "path" in missing:
            return NO_LATENT
        if "style" in missing:
            return "this needs a style that was asked for; see benchbench run --model nst"
        # Only an extractor of these very domains knows the class that was asked for.
        extractor = class_extractor(own.name, [metric.extractor or ""])
        if isinstance(metric, ConditionalAccuracy) and metric.extractor != extractor:
            return f"this needs a classifier of the two domains of {own.name}"
        return None

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """Domain A, and B beside it: row by row where they are pairs and the model may know it."""
        own = two(data)
        assert isinstance(model, Translator)
        other = Other(own.b.train.images, own.b.held_out.images, aligned=model.paired)
        return TrainingData(own.a.train.images, own.a.train.labels, own.a.held_out.images, other)

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Direction by direction."""
        assert isinstance(model, Translator)
        numbers: list[Number] = []
        sections = []
        for direction in model.directions:
            way = _Direction(model, two(data), direction, request, runtime)
            numbers += way.numbers()
            sections.append(way.section())
        return TaskResult(numbers, [Columns("translations", sections, "translations beside their sources")])


class _Direction:
    """One direction of one model: what is translated, and what comes out."""

    def __init__(
        self, model: Translator, data: Domains, direction: Direction, request: Request, runtime: Runtime
    ) -> None:
        self.model, self.direction, self.request, self.runtime = model, direction, request, runtime
        self.source, self.target = (data.a, data.b) if direction == "AtoB" else (data.b, data.a)
        self.label = 1 if direction == "AtoB" else 0  # of the target domain, in `Domains.pooled`
        # Files are in the order of their names: fewer than all are a choice among all.
        have = len(self.source.held_out)
        chosen = torch.from_numpy(permutation(request.seed, have)[: request.n_samples]).sort().values
        self.sources = take(self.source.held_out.images, chosen)
        self.targets = in_memory(self.target.held_out.images)
        self.truth = self.targets[chosen] if data.paired_held_out else None
        self.metrics = request.metrics
        self.at_work = Translating(model, direction, request.seed, runtime)

    def numbers(self) -> list[Number]:
        """All numbers of this direction."""
        request, extractors, runtime = self.request, self.request.extractors, self.runtime
        reader = PairReader(self._per_image(role="truth", hints=0))
        mine = self._mine(self.sources)
        outputs = self.at_work.outputs(self.sources, mine)
        generated, failures, _ = gather(
            outputs if self.truth is None else compared(outputs, self.truth[mine], reader),
            len(mine),
            extractors,
            self.metrics,
            runtime,
            title=f"translating {self.source.name} to {self.target.name}",
        )
        everything = {**request.failures, **failures}
        evidence = Evidence(
            {
                "generated": generated,
                "reference": reference(self.targets, extractors, self.metrics, runtime, everything),
                "sources": sources(self.sources, extractors, self.metrics, runtime, everything),
                "variants": self._variants(everything),
            },
            self._pairs(paired(reader, runtime.comm)),
            torch.full((len(self.sources),), self.label),
            everything,
        )
        with runtime.progress.stage("computing metrics", len(self.metrics), "metric") as stage:
            outcomes = score(self.metrics, placed(evidence, runtime), runtime.comm)
            stage.advance(len(self.metrics))
        n = min(TRANSLATION_BATCH, len(self.sources))
        speed = runtime.comm.first(
            lambda: [
                *measure_rates(self._first, device=runtime.device, batch_size=n),
                *measure_cost(self.model, device=runtime.device, once=lambda: self._first(1)),  # type: ignore[arg-type]
            ]
        )
        return [
            *(self._number(outcome) for outcome in (*outcomes, *request.unmet)),
            *(Number(found, TASK, direction=self.direction) for found in speed),
        ]

    def _number(self, outcome: Outcome) -> Number:
        """With what went into it."""
        n = len(self.sources)
        if "identity" in outcome.metric.needs:
            n = len(self.targets)
        elif "variants" in outcome.metric.needs:
            n = min(n, VARIANT_SOURCES)
        return Number(outcome, TASK, n, len(self.targets), self.direction)

    def some(self, n: int) -> Tensor:
        """The places of `n` sources that stand for all, or of as many as there are."""
        return torch.from_numpy(permutation(0, len(self.sources))[:n])

    def _mine(self, images: Tensor) -> Tensor:
        """The places of the images that this rank takes."""
        return torch.tensor(self.runtime.comm.shard(len(images)), dtype=torch.int64)

    def _hinted(self, places: Tensor, hints: int) -> Iterator[Tensor]:
        """The outputs of the sources in these places, where the model may see so many points of their right answers."""
        assert self.truth is not None
        return self.at_work.hinted(self.sources, places, self.truth, hints)

    def section(self) -> Section:
        """Some sources beside what became of them."""
        which = self.some(SHOWN)
        columns = [(self.source.name, self.sources[which])]
        outputs = [
            whole(self.at_work.outputs(self.sources, which, repeat)) for repeat in range(SHOWN_VARIANTS)
        ]
        if all(torch.equal(outputs[0], other) for other in outputs):
            columns.append(("output", outputs[0]))
        else:
            columns += [(f"output {number}", images) for number, images in enumerate(outputs, start=1)]
        columns += [(f"{hints} hints", whole(self._hinted(which, hints))) for hints in self._hints()]
        if isinstance(self.model, Cyclic):
            shown = self.sources[which]
            back = self.at_work.cycled(shown, torch.arange(len(shown)), CYCLES[CYCLE])
            columns.append(("back", whole(back)))
        if self.truth is not None:
            columns.append(("truth", self.truth[which]))
        return Section(f"{self.source.name} to {self.target.name}", columns)

    def _first(self, n: int) -> Tensor:
        """The first `n` sources, translated at once."""
        rng = output_rng(self.request.seed, range(n), self.runtime.device)
        return self.model.translate(self.sources[:n].to(self.runtime.device), self.direction, rng)

    def _hints(self) -> Sequence[int]:
        return sorted({metric.hints for metric in self.metrics if isinstance(metric, PairedMetric)} - {0})

    def _per_image(self, role: Need, hints: int) -> PerImage:
        return {
            metric.name: metric.of_pairs
            for metric in self.metrics
            if isinstance(metric, PairedMetric) and (metric.role, metric.hints) == (role, hints)
        }

    def _pairs(self, with_truth: PairEvidence) -> dict[str, PairEvidence]:
        """What pairs of images say, by role: beside the outputs and their right answers those made with hints, what the
        target domain becomes and what comes back."""
        found, mine, runtime = {"truth": with_truth}, self._mine(self.sources), self.runtime
        for hints in self._hints():
            assert self.truth is not None
            per_image = self._per_image("truth", hints)
            made = self._hinted(mine, hints)
            found["truth"] |= compare(made, self.truth[mine], per_image, f"with {hints} hints", runtime)
        if of_identity := self._per_image("identity", 0):
            places = self._mine(self.targets)
            same = self.at_work.outputs(self.targets, places)
            title = "translating the target domain"
            found["identity"] = compare(same, self.targets[places], of_identity, title, runtime)
        if any("cycle" in metric.needs for metric in self.metrics):
            found["cycle"] = self.at_work.cycle_errors(self.sources, mine)
        return found

    def _variants(self, failures: Failures) -> Sides:
        """Features, N×k×D, of `VARIANTS` outputs of each of the first sources; an extractor that fails on them joins
        `failures`."""
        extractors = readers_of(self.request.extractors, self.metrics, "variants", failures)
        if not extractors:
            return {}
        which = self.some(VARIANT_SOURCES)
        outputs = [whole(self.at_work.outputs(self.sources, which, repeat)) for repeat in range(VARIANTS)]
        return variants(torch.stack(outputs, 1), extractors, failures, self.runtime)
