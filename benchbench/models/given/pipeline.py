"""A pipeline of diffusers (the extra `diffusers`): unconditional, or told classes. Nothing is downloaded.

Every image has a `torch.Generator` of its own, as pipelines take them in a list. Steps and guidance are settings of
sampling; unset ones are the pipeline's own.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.bounds import MOST_STEPS
from benchbench.core.errors import InputError, because
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.seeds import ImageRng
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.where import Where

LABELS = "class_labels"
STEPS = "num_inference_steps"
GUIDANCE = "guidance_scale"
_LARGEST = 2**63 - 1


class PipelineSampling(BaseModel, extra="forbid", frozen=True):
    """How a pipeline draws.

    Attributes:
        steps: `num_inference_steps`; None for the pipeline's own.
        guidance: `guidance_scale`; None for the pipeline's own.
    """

    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS, description="num_inference_steps")
    guidance: float | None = Field(
        default=None, ge=0, le=1000, allow_inf_nan=False, description="guidance_scale"
    )


class Pipeline:
    """A pipeline as something that draws: of an `rng`, and labels or None.

    Attributes:
        sampling: How; set by whoever asks.
    """

    def __init__(self, pipeline: Any, title: str) -> None:
        self.pipeline, self.title = pipeline, title
        self.sampling = PipelineSampling()
        self.takes = inspect.signature(pipeline.__call__).parameters
        required = [name for name, one in self.takes.items() if one.default is one.empty and name != LABELS]
        if required or "generator" not in self.takes or not {"batch_size", LABELS} & {*self.takes}:
            what = ", ".join(required) or "no generator of random numbers or no number of images"
            raise InputError(
                f"{title} is a {type(pipeline).__name__}, which takes {what}; benchbench draws from pipelines that "
                "make images of nothing or of classes"
            )

    @property
    def conditional(self) -> bool:
        """Whether it is told classes."""
        return LABELS in self.takes

    def check(self) -> None:
        """`InputError` for a setting that this pipeline does not have, and for more steps than it can draw in."""
        for name, value in ((STEPS, self.sampling.steps), (GUIDANCE, self.sampling.guidance)):
            if value is not None and name not in self.takes:
                setting = "steps" if name == STEPS else "guidance"
                raise InputError(f"{self.title} has no {name}; leave sampling.{setting} out")
        self._check_steps()

    def _check_steps(self) -> None:
        """Most schedulers refuse more steps than they were trained in, which may be fewer than a pipeline's default."""
        own = self.takes.get(STEPS)
        steps = self.sampling.steps if own is None or self.sampling.steps is not None else own.default
        set_steps = getattr(getattr(self.pipeline, "scheduler", None), "set_timesteps", None)
        if set_steps is None or not isinstance(steps, int):
            return
        try:
            set_steps(steps)
        except Exception as error:  # of many kinds, all of its own
            raise InputError(
                f"{self.title} cannot draw in {steps} steps ({because(error)}); say in how many, with "
                "--set sampling.steps=N"
            ) from error

    def __call__(self, rng: ImageRng, labels: Tensor | None) -> Any:
        self.check()
        seeds = rng.integers(_LARGEST).tolist()
        # On the CPU, so that images start from the same noise on every device.
        given: dict[str, Any] = {"generator": [torch.Generator().manual_seed(seed) for seed in seeds]}
        if labels is not None:
            given[LABELS] = labels.tolist()
        if "batch_size" in self.takes:
            given["batch_size"] = len(rng)
        given |= {
            name: value
            for name, value in ((STEPS, self.sampling.steps), (GUIDANCE, self.sampling.guidance))
            if value is not None
        }
        return self.pipeline(**given, output_type="np", return_dict=False)[0]


def load_pipeline(where: Where) -> Loaded:
    """The pipeline in a folder or, of the hub, in this user's cache. `InputError` where it is in neither."""
    try:
        diffusers = importlib.import_module("diffusers")
    except ImportError as error:
        raise InputError("pipelines need diffusers: pip install diffusers") from error
    folder = _folder(where)
    try:
        with _silent(diffusers.utils.logging):
            found = diffusers.DiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # of many kinds, all of its own
        raise InputError(f"diffusers cannot read {where.title} ({because(error)})") from error
    found.set_progress_bar_config(disable=True)
    pipeline = Pipeline(found, where.title)
    parts = {name: part for name, part in found.components.items() if isinstance(part, nn.Module)}
    own = ", ".join(
        f"{name}={pipeline.takes[name].default}" for name in (STEPS, GUIDANCE) if name in pipeline.takes
    )
    return Loaded(
        title=where.title,
        call=pipeline,
        takes="rng",
        labels="required" if pipeline.conditional else "no",
        sha256=_sha256(folder),
        net=nn.ModuleDict(parts),
        one_hot=False,
        span=(0.0, 1.0),
        stored=True,
        notes=[
            f"a {type(found).__name__} of diffusers {diffusers.__version__} with a "
            f"{type(found.scheduler).__name__}; its own settings are {own or 'none'}"
        ],
    )


@contextmanager
def _silent(log: Any) -> Iterator[None]:
    """Inside, diffusers draws no bar and gives no hints; errors are raised all the same."""
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()


def _folder(where: Where) -> Path:
    """Where the pipeline lies on this disk."""
    if where.path.exists():
        return where.path
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(where.place, local_files_only=True))
    except Exception as error:  # not there, or no name of the hub
        raise InputError(
            f"there is no folder {where.place}, and the cache of the hub holds no pipeline of that name; nothing is "
            f"downloaded here: get it with hf download {where.place}, or give its folder"
        ) from error


def _sha256(folder: Path) -> str:
    """Of the pipeline's files by name: what its parts and their weights are, and nothing of their documentation."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".md", ".png", ".jpg"}
    ]
    own = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    return digest(own)
