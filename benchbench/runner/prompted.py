"""Images that something else made of prompts, under the protocol of `text-to-image`: `evaluate --prompts`.

Line k of the file is the prompt of image k, in the order in which images are read: natural order of file names, "2.png"
before "10.png". Whoever made several images of a prompt repeats its line. They are read by the matcher of the dataset
that they are held against, and a prompt stands among that dataset's held-out captions and the other prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import digest
from benchbench.core.reading import read_bytes
from benchbench.core.registry import TASKS
from benchbench.core.runtime import Runtime
from benchbench.core.text_files import TextFault, as_text
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.features.extractor import Extractor
from benchbench.features.text.captions import encoder_facts
from benchbench.features.text.matcher import MatcherJudge
from benchbench.metrics.evidence import CaptionEvidence
from benchbench.metrics.metric import Metric
from benchbench.tasks.alignment import alignment, unavailable
from benchbench.tasks.base import Number
from benchbench.tasks.captioned import conditions_of
from benchbench.tasks.evidence import Failures, captions_told
from benchbench.tasks.text_to_image import TASK, TextToImage

STANDARD = tuple(name for name in TextToImage.standard if name not in ("input_diversity", "ssim"))
"""What the set `standard` stands for: images of others have no right answers, and one a line."""


def asked_prompts(task: str | None, options: Mapping[str, Any], file: Path | None) -> tuple[str, ...] | None:
    """The prompts of images, None where they have none; `InputError` where task and file do not go together."""
    if task is None or TASKS.spelled(task) != TASK:
        if file is not None:
            raise InputError(f"prompts are for images of captions; say --task {TASK} too")
        return None
    if file is None:
        raise InputError(
            f"--task {TASK} needs to know what the images were to show; name a text file with a line for each image, "
            "--prompts prompts.txt"
        )
    if options:
        raise InputError(f"the images are there already, so leave {', '.join(options)} out")
    return read_prompts(file)


def read_prompts(file: Path) -> tuple[str, ...]:
    """The lines of a text file; `InputError` for a file that is none, has none, or has an empty one."""
    try:
        text = as_text(read_bytes(file, "the prompts"))
    except TextFault as fault:
        raise InputError(f"the file of prompts {file} {fault}; write one prompt a line, as UTF-8") from fault
    # Lines as editors count them: `splitlines` ends some at a page break or a separator inside of a prompt, too.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    prompts = tuple(line.strip() for line in lines)
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise InputError(f"line {number} of {file} is empty; line k is the prompt of image k")
    return prompts


class Prompted:
    """Prompts beside their images: reads these as they come by, and gives the numbers.

    Args:
        prompts: One an image.
        samples: The images.
        dataset: That they are held against; its held-out captions are what prompts stand among.
        runtime: Where the matcher computes, and who is told.

    Raises:
        InputError: There are more or fewer prompts than images, the reference is no dataset or one without captions,
            or the encoder of captions is not at hand.
    """

    def __init__(
        self, prompts: Sequence[str], samples: ImageStream, dataset: Dataset | None, runtime: Runtime
    ) -> None:
        if len(prompts) != samples.n:
            raise InputError(
                f"there are {len(prompts)} prompts and {samples.n} images; line k is the prompt of image k, so give "
                "each image one"
            )
        if dataset is None:
            raise InputError(
                "whether images show their prompts says the matcher of a dataset, and the reference is none; use "
                "--reference openmoji-captions:test, for example"
            )
        if dataset.held_out.captions is None:
            raise InputError(
                f"{dataset.name} has no captions, so it can have no matcher that says whether images show their "
                "prompts; use --reference openmoji-captions:test, for example"
            )
        self.prompts = prompts
        own = set(dataset.held_out.captions)
        others = sorted(set(prompts) - own)
        self.pool = [*sorted(own), *others]  # as a run has them, where prompts are captions
        place = {caption: number for number, caption in enumerate(self.pool)}
        self.own = torch.tensor([place[prompt] for prompt in prompts])
        self.failure: MetricFailed | None = None
        self.judge: MatcherJudge | None = None
        try:
            self.judge = MatcherJudge(dataset.name, runtime.device)
            parts = [conditions_of(some, runtime.progress) for some in (sorted(own), others) if some]
            self.conditions = torch.cat(parts)
        except MetricFailed as failure:
            self.failure = failure
        self._codes: list[Tensor] = []

    @property
    def identity(self) -> str:
        """Of the prompts, of what they stand among, and of what reads both."""
        judge = None if self.judge is None else self.judge.weights_sha256
        return digest([TASK, TextToImage.version, self.pool, self.own.tolist(), encoder_facts(), judge])

    def facts(self) -> dict[str, Any]:
        """What a record says beside the numbers, as that of a run of the task does."""
        return {
            "prompts": len(set(self.prompts)),
            "captions_in_all": len(self.pool),
            "encoder": encoder_facts(),
            "matcher": None if self.judge is None else self.judge.describe(),
        }

    def reading(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same batches, read by the matcher as they come by."""
        self._codes.clear()
        for images in batches:
            if self.judge is not None:
                self._codes.append(self.judge.images(images))
            yield images

    def told(
        self, extractors: Mapping[str, Extractor], metrics: Sequence[Metric], failures: Failures
    ) -> CaptionEvidence:
        """What extractors say of the prompts; see `tasks.evidence.captions_told`."""
        different = sorted(set(self.prompts))
        place = {prompt: number for number, prompt in enumerate(different)}
        own = torch.tensor([place[prompt] for prompt in self.prompts])
        return captions_told(different, own, extractors, metrics, failures)

    def numbers(self, comm: Comm) -> list[Number]:
        """How well the images show their prompts, once all were read, each on one of the ranks."""
        if self.judge is None:
            assert self.failure is not None
            return [Number(found, TASK) for found in unavailable(self.failure)]
        codes = comm.rows(torch.cat([torch.empty(0), *self._codes]))
        texts = self.judge.captions(self.conditions)
        return [Number(found, TASK) for found in alignment(codes, texts, self.own, self.own)]
