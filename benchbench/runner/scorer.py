"""Scores in a training loop of one's own: the reference seen once, the networks kept, the generator left as it was.

Pattern: what `evaluate` does with images, without a record: the same extractors, the same metrics on the same kind of
evidence. All that does not depend on the generator is done when the scorer is made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchbench.core.arrays import default_float32
from benchbench.core.comm import ALONE
from benchbench.core.device import resolve_device, synchronize
from benchbench.core.errors import InputError
from benchbench.core.precision import Precision
from benchbench.core.processes import all_processes
from benchbench.core.progress import SILENT, Progress
from benchbench.core.runtime import Runtime
from benchbench.data.sources.options import SourceOptions
from benchbench.features.frozen import full_float32
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import is_named
from benchbench.models.given.family import generator as as_generator
from benchbench.models.given.generator import GivenGenerator
from benchbench.runner.drawn import BATCH, Drawing, drawn
from benchbench.runner.evaluation import answered
from benchbench.runner.evaluation_plan import Resolved, choose_metrics, choose_readers, lacking
from benchbench.runner.extractors import ExtractorLoader, ExtractorSet, load_chosen, with_known_names
from benchbench.runner.sources import Reference, Samples, named, open_reference
from benchbench.runner.spec import EvaluationSpec
from benchbench.tasks.base import MAX_DEFAULT_SAMPLES
from benchbench.tasks.evidence import Sides, gather, reference
from benchbench.tasks.generation import labels_for


class Scorer:
    """Scores generators against one reference, as often as you like. Under torch.distributed every rank makes one and
    calls it: each draws its share of the images, and all get the same numbers.

    Args:
        reference: What `evaluate` takes: "cifar10:train", a folder, tensors, or an .npz of statistics.
        metrics: Names, "standard", "adm" or "all", in a list or with commas.
        samples: How many images are drawn a call; None for as many as the reference, at most 10,000.
        extractors: Networks that metrics read; None for those of `run` on the reference's dataset.
        precision: What the extractors compute in.
        seed: Of latents and labels: the same ones in every call, so that only the generator differs.
        size: Bring the reference to this side in pixels.
        device: Of the extractors; generators stay where they are.
        batch_size: Images at once; changes no number.
        alone: Whether to leave the other ranks of torch.distributed out of it; then one rank may call alone.
        progress: Who is told how far it is.

    Attributes:
        seconds: What all calls took together.
        history: What they returned.
        notes: What a reader of the numbers should know.

    Raises:
        InputError: The request cannot be carried out.

    >>> scorer = benchbench.Scorer("cifar10:train", metrics=["fd", "recall"], samples=5_000)  # doctest: +SKIP
    >>> scorer(generator, step)  # doctest: +SKIP
    {'step': 1000, 'fd_efficientnet_lite0': 83.1, 'recall_efficientnet_lite0': 0.21, 'seconds': 6.4}
    """

    def __init__(
        self,
        reference: Samples,
        metrics: str | Sequence[str] = "standard",
        *,
        samples: int | None = None,
        extractors: str | Sequence[str] | None = None,
        precision: Precision = "float32",
        seed: int = 0,
        size: int | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        alone: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        spec = EvaluationSpec.of(
            images=None,
            reference=named(reference),
            metrics=metrics,
            extractors=extractors,
            precision=precision,
            samples=samples,
            size=size,
            seed=seed,
        )
        self._spec = with_known_names(spec)
        comm = ALONE if alone else all_processes()
        self._runtime = Runtime(resolve_device(device), batch_size, progress, comm)
        self.seconds, self.history = 0.0, list[dict[str, float | int | None]]()
        self._last: tuple[object, GivenGenerator] | None = None
        with default_float32(), full_float32():
            self._reference: Reference = open_reference(
                named(reference) or reference, SourceOptions(size=size), progress
            )
            self._metrics, self._extractors, self.notes = self._chosen(Resolved(self._spec, "", reference))
            self._known = {
                metric.name: moments
                for metric in self._metrics
                if (moments := self._reference.told(metric, self._extractors.loaded)) is not None
            }
            self._real, self._held_out = self._seen()
        n = self._reference.n
        self.samples = samples or min(n or MAX_DEFAULT_SAMPLES, MAX_DEFAULT_SAMPLES)
        if self.samples < 2:
            raise InputError(f"samples={self.samples} is too few: a distribution needs at least 2 images")

    def __call__(self, generator: Drawing, step: int | None = None) -> dict[str, float | int | None]:
        """Draw images and score them. The generator is drawn from in eval mode, without gradients, in float32, and is
        left in the mode in which it was; random numbers that are drawn afterwards are those that would have been.

        Args:
            generator: What `benchbench.generator` takes or returns.
            step: Where the training is.

        Returns:
            The number of each metric by its name, None for one that could not be computed; the `step` where it was
            given; and the `seconds` that the call took.

        Raises:
            InputError: It makes no images that can be read.
        """
        start = time.perf_counter()
        with default_float32(), full_float32():
            found = self._scored(self._own(generator))
        synchronize(self._runtime.device)
        took = round(time.perf_counter() - start, 3)
        self.seconds += took
        row = {**({} if step is None else {"step": step}), **found, "seconds": took}
        self.history.append(row)
        return dict(row)

    def _scored(self, own: GivenGenerator) -> dict[str, float | None]:
        comm, dataset, seed = self._runtime.comm, self._reference.dataset, self._spec.seed
        device = own.home(self._runtime.device)
        comm.together(lambda: own.examine(device))
        real = None if dataset is None else dataset.train.labels
        asked = labels_for(own, real, seed, self.samples)
        mine = comm.shard(self.samples)
        batch = self._runtime.batch(BATCH)
        images = drawn(own, mine, seed=seed, device=device, labels=asked, batch_size=batch)
        sides, failures, _ = gather(
            images,
            len(mine),
            self._extractors.loaded,
            self._metrics,
            self._runtime,
            title="drawing and scoring samples",
        )
        sets = {"generated": sides, "reference": self._real, "held_out": self._held_out}
        stream = None if asked is None else self._reference.images
        kinds = None if stream is None else stream.kinds
        evidence = Evidence(
            sets,
            labels=asked,
            failures={**self._extractors.failures, **failures},
            reference_labels=None if kinds is None else kinds.labels,
        )
        outcomes = answered(self._metrics, evidence, self._known, self._runtime)
        for outcome in outcomes:
            if outcome.estimate is None:
                self._runtime.progress.note(f"{outcome.metric.name}: {outcome.reason}")
        return {
            outcome.metric.name: None if outcome.estimate is None else outcome.estimate.value
            for outcome in outcomes
        }

    def _own(self, thing: Drawing) -> GivenGenerator:
        """The generator as ours; how it is called is found once."""
        if self._last is None or self._last[0] is not thing:
            dataset = self._reference.dataset
            classes = 0 if dataset is None or dataset.train.labels is None else len(dataset.classes)
            self._last = thing, as_generator(thing, classes=classes)
        return self._last[1]

    def _chosen(self, asked: Resolved) -> tuple[list[Metric], ExtractorSet, list[str]]:
        """The metrics that these sides have, what they read, and what a reader should know."""
        load = ExtractorLoader(self._runtime.device)
        readers = choose_readers(self._spec, self._reference, load)
        metrics = []
        for metric in choose_metrics(asked, readers):
            why = lacking(metric, self._reference)
            if "truth" in metric.needs:
                why = "this compares pairs of images, and samples have no partners"
            if "classes" in metric.needs and not is_named(metric, self._spec.metrics):
                continue  # whether classes can be asked for is known with the generator
            if why is not None and is_named(metric, self._spec.metrics):
                raise InputError(f"{metric.name} cannot be had here: {why}")
            if why is None:
                metrics.append(metric)
        if not metrics:
            raise InputError("none of these metrics can be had of samples and this reference; name others")
        names = {metric.name for metric in metrics if is_named(metric, self._spec.metrics)}
        progress = self._runtime.progress
        kept, extractors = load_chosen(metrics, readers, names, load, self._spec.precision, progress)
        missing = [f"{name}: {failure.reason}" for name, failure in extractors.failures.items()]
        if not extractors.loaded:
            raise InputError(f"no network of these metrics is at hand: {'; '.join(missing)}")
        return kept, extractors, [*readers.notes, *self._reference.notes, *missing]

    def _seen(self) -> tuple[Sides, Sides]:
        """What the networks say of the reference, and of held-out images where a metric needs them."""
        loaded, images, held = self._extractors.loaded, self._reference.images, self._reference.held_out
        failures = dict(self._extractors.failures)
        of_images = [metric for metric in self._metrics if metric.name not in self._known]
        of_held = [metric for metric in self._metrics if metric.needs_held_out]
        readers = {name for metric in of_held for name in metric.readers}
        some = {name: own for name, own in loaded.items() if name in readers}
        real = {} if images is None else reference(images, loaded, of_images, self._runtime, failures)
        return real, {} if held is None else reference(held, some, of_held, self._runtime, failures)
