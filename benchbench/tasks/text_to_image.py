"""The text-to-image task: a generator is told held-out captions, and its images are held against them.

Whether an image shows its caption says the matcher of the dataset: R-precision and the rank of the own caption
(`tasks.alignment`); and CLIP, where it is at hand (`metrics.pairs.captions`). How good images are says the distance to
the held-out images, which the captions belong to; how they differ where the caption is the same, the diversity of
several images of one prompt; how near they come to the one picture that the caption was written for, SSIM and its like,
which a good image need not be high in.

Image i belongs to prompt i // per_prompt; prompts are the captions of held-out images in an order of the seed's.

Landmarks are asked without a word: `real` answers with the image that the caption belongs to, `noise` and other
controls draw what they draw, which is chance under the matcher.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import check_images
from benchbench.core.protocols import Generator, TextConditional
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, image_rngs, permutation
from benchbench.data.pipeline.image_source import size_of, take
from benchbench.features.text.matcher import MatcherJudge
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import OF_EXTRACTORS, Metric, Need
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.select import Outcome, score
from benchbench.metrics.sets.modes import ConditionalAccuracy
from benchbench.models.controls import Real
from benchbench.tasks.alignment import R_PRECISION, alignment, unavailable
from benchbench.tasks.base import NO_HELD_OUT, Number, Request, TaskData, TaskResult
from benchbench.tasks.captioned import Captioned, OfCaptions, captioned, held_out_codes, pool_of
from benchbench.tasks.evidence import captions_told, gather, paired, placed, readers_of, reference, variants
from benchbench.tasks.pictures import Columns, Picture, Section, SingleImages, how_many_single
from benchbench.tasks.speed import Measurement, measure_cost, measure_rates

TASK = "text-to-image"
BATCH = 128
MAX_PROMPTS = 500
PER_PROMPT = 4
VARIED = 64  # prompts of which several images are compared
SHOWN = 16  # prompts in the picture
_NEEDS: frozenset[Need] = OF_EXTRACTORS | {"truth", "variants", "captions"}


class TextToImageOptions(BaseModel, extra="forbid", frozen=True):
    """How it is asked."""

    per_prompt: int = Field(default=PER_PROMPT, ge=1, le=64, description="images of each caption")


class TextToImage(OfCaptions):
    """Images of held-out captions: whether they show them, how good and how various they are."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = ("clip_score", "fd", "kd", "input_diversity", "ssim")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {TASK: (R_PRECISION, "fd")}
    Options: ClassVar[type[BaseModel]] = TextToImageOptions
    judged = True

    @property
    def variant(self) -> str:
        """How many images of each caption, where that is another number than the default."""
        asked: int = self.options.per_prompt
        return "" if asked == PER_PROMPT else f"{asked}each"

    def takes(self, model: type) -> bool:
        """A generator that is told captions, or a landmark."""
        return hasattr(model, "sample_captions") or all(hasattr(model, name) for name in ("sample", "fit"))

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """Four, or as many as the options say, of each held-out caption, of at most 500."""
        have, each = len(captioned(data).held_out), self.options.per_prompt
        if asked is None:
            return int(min(have, MAX_PROMPTS) * each)
        if asked % each or asked > have * each:
            raise InputError(
                f"{TASK} makes {each} images of each caption, and {captioned(data).name} has {have} held-out ones; ask "
                f"for a multiple of {each} up to --samples {have * each}, or say --task-option per_prompt=…"
            )
        return asked

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """What needs classes, other images or other pairs than there are here."""
        if metric.needs_held_out:
            return NO_HELD_OUT
        if isinstance(metric, ConditionalAccuracy) or "classes" in metric.needs:
            return "here captions are asked for and no classes"
        if metric.needs - _NEEDS:
            return "here a generator makes images of captions, and nothing else is made of images"
        if "variants" in metric.needs and self.options.per_prompt < 2:
            return "this compares several images of one caption, and one of each is made"
        return None

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Images of captions, scored; what they cost; the images for its pictures."""
        assert isinstance(model, Generator)
        asked = _Asked(model, captioned(data), request, self.options.per_prompt, runtime)
        return asked.result(self.row)


class _Asked:
    """One model, and the captions that it is told. rows: the held-out image whose caption image i is of; own: the
    number of that caption among `prompts`."""

    def __init__(
        self, model: Generator, data: Captioned, request: Request, each: int, runtime: Runtime
    ) -> None:
        self.model, self.data, self.request, self.each, self.runtime = model, data, request, each, runtime
        chosen = permutation(request.seed, len(data.held_out))[: request.n_samples // each]
        self.rows = torch.from_numpy(chosen).repeat_interleave(each)
        self.own = torch.arange(len(chosen)).repeat_interleave(each)
        self.truth, words = data.dataset.held_out.images, data.dataset.held_out.captions
        assert words is not None
        self.prompts = [words[row] for row in chosen.tolist()]

    def drawn(self, rng: ImageRng) -> Tensor:
        """Images by their numbers, uint8 RGB on the device."""
        rows, model = self.rows[rng.indices], self.model
        with torch.inference_mode():
            if isinstance(model, TextConditional):
                images = model.sample_captions(self.data.held_out[rows].to(self.runtime.device), rng)
            elif isinstance(model, Real):
                images = model.pool[rows.to(model.pool.device)]
            else:
                images = model.sample(len(rng), rng)
        return check_images(images, "generated images", len(rng))

    def batches(
        self, shard: range, reader: PairReader, read: list[Tensor], judge: MatcherJudge | None
    ) -> Iterator[Tensor]:
        """The images of these numbers, compared with the right ones and read by the judge as they come by."""
        runtime = self.runtime
        for rng in image_rngs(self.request.seed, shard, runtime.batch(BATCH), runtime.device):
            images = self.drawn(rng)
            reader.update(images, take(self.truth, self.rows[rng.indices]).to(images.device))
            if judge is not None:
                read.append(judge.images(images))
            yield images

    def result(self, task: str) -> TaskResult:
        """Everything."""
        request, runtime, n = self.request, self.runtime, self.request.n_samples
        judge, failure = self._judge()
        reader = PairReader({m.name: m.of_pairs for m in request.metrics if isinstance(m, PairedMetric)})
        read = [torch.empty(0)]
        shard = runtime.comm.shard(n)
        varied, single = min(VARIED * self.each, n), how_many_single(*size_of(self.truth))
        generated, failed, kept = gather(
            self.batches(shard, reader, read, judge),
            len(shard),
            request.extractors,
            request.metrics,
            runtime,
            title="drawing and scoring images of captions",
            keep=max(varied, single),
        )
        everything = {**request.failures, **failed}
        several = readers_of(request.extractors, request.metrics, "variants", everything)
        told = captions_told(self.prompts, self.own, request.extractors, request.metrics, everything)
        by_prompt = kept[:varied].unflatten(0, (-1, self.each))
        evidence = Evidence(
            {
                "generated": generated,
                "reference": reference(self.truth, request.extractors, request.metrics, runtime, everything),
                "variants": variants(by_prompt, several, everything, runtime) if several else {},
            },
            {"truth": paired(reader, runtime.comm)},
            captions=told,
            failures=everything,
        )
        outcomes = score(request.metrics, placed(evidence, runtime), runtime.comm)
        codes = runtime.comm.rows(torch.cat(read))
        found, audit = unavailable(failure) if failure else [], None
        if judge is not None:
            found, audit = self._aligned(judge, codes)
        numbers = [
            *(self._number(outcome, task) for outcome in (*outcomes, *request.unmet)),
            *(Number(own, task) for own in (*found, *self._cost())),
        ]
        return TaskResult(
            numbers, self._pictures(by_prompt, kept[:single]), {"text_to_image": self._facts(judge, audit)}
        )

    def _number(self, outcome: Outcome, task: str) -> Number:
        """With what went into it."""
        n, needs = self.request.n_samples, outcome.metric.needs
        if "variants" in needs:
            return Number(outcome, task, min(VARIED * self.each, n))
        return Number(outcome, task, n, None if "truth" in needs else len(self.truth))

    def _judge(self) -> tuple[MatcherJudge | None, MetricFailed | None]:
        try:
            judge = MatcherJudge(self.data.name, self.runtime.device)
        except MetricFailed as failure:
            return None, failure
        if judge.weights_sha256 != self.data.judge:
            raise InputError(
                "the weights of the matcher were changed while they were in use; run the same command again"
            )
        return judge, None

    def _aligned(
        self, judge: MatcherJudge, codes: Tensor
    ) -> tuple[list[Measurement], dict[str, float | None]]:
        """The numbers of the images, and what the judge makes of the right ones."""
        captions, own = pool_of(self.data)
        texts = judge.captions(captions)
        right = held_out_codes(judge.images, self.data, BATCH, self.runtime)
        audit = alignment(right, texts, own, torch.arange(len(right)))
        facts = {found.metric: None if found.estimate is None else found.estimate.value for found in audit}
        return alignment(codes, texts, own[self.rows], self.rows), facts

    def _facts(self, judge: MatcherJudge | None, audit: dict[str, float | None] | None) -> dict[str, Any]:
        return {
            "prompts": len(self.prompts),
            "per_prompt": self.each,
            "captions_in_all": len(self.data.captions()),
            "matcher": None if judge is None else judge.describe(),
            "matcher_on_real_images": audit,
            "shown": self.prompts[:SHOWN],
        }

    def _pictures(self, by_prompt: Tensor, single: Tensor) -> list[Picture]:
        n = min(SHOWN, len(by_prompt))
        columns = [("held out", take(self.truth, self.rows[:: self.each][:n]))]
        columns += [(f"image {k + 1}", by_prompt[:n, k]) for k in range(min(self.each, 8))]
        made = len(self.rows)
        return [
            Columns(
                "prompts", [Section("", columns)], "images of captions, beside the one that each belongs to"
            ),
            SingleImages(
                "samples",
                f"the first {len(single):,} of {made:,} images of captions, one by one and lossless",
                single,
            ),
        ]

    def _cost(self) -> list[Measurement]:
        device, model = self.runtime.device, self.model
        assert isinstance(model, nn.Module)

        def make(n: int) -> Tensor:
            return self.drawn(ImageRng(self.request.seed, range(n), device))

        n = min(BATCH, len(self.rows))
        return self.runtime.comm.first(
            lambda: [
                *measure_rates(make, device=device, batch_size=n),
                *measure_cost(model, device=device, once=lambda: make(1)),
            ]
        )
