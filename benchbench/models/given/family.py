"""`generator:WHAT` as the name of a model: one class for each generator that somebody names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import validated
from benchbench.models.given import where as places
from benchbench.models.given.archives import load_export, load_torchscript
from benchbench.models.given.generator import GivenGenerator
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.onnx_file import load_onnx
from benchbench.models.given.pipeline import Pipeline, PipelineSampling, load_pipeline
from benchbench.models.given.python_file import from_object, load_python
from benchbench.models.given.settings import Distribution, Labels, Layout, Stated
from benchbench.models.given.where import PROGRAMS, Where

_LOADERS: Mapping[str, Callable[[Where], Loaded]] = {
    "export": load_export,
    "torchscript": load_torchscript,
    "onnx": load_onnx,
    "diffusers": load_pipeline,
}


class Given(GivenGenerator):
    """Any generator of yours: FILE.py:NAME, an archive (.pt2, .ts, .onnx) or diffusers:PATH.

    Attributes:
        where: What lies where, of a class that `of` made.
        program: Whether reading it may run what nobody asked for by name.
    """

    reference = ""
    takes = "path"
    Config = Stated
    where: ClassVar[Where]
    program: ClassVar[bool] = False

    def __init__(self, config: Stated, spec: ImageSpec) -> None:
        super().__init__(load(self.where, config), config, spec.n_classes)
        height, width = self.form.size
        if (height, width) != (spec.height, spec.width):
            way_out = f"use --size {height}" if height == width else "they must be of one size"
            raise InputError(
                f"{self.title} makes images of {width}×{height} pixels and the dataset has {spec.width}×{spec.height}; "
                f"{way_out}"
            )

    def describe(self) -> dict[str, Any]:
        """As `Examined.describe`; files by their names, wherever they lie."""
        name = f"{self.where.path.name}{self.where.function and f':{self.where.function}'}"
        return {"kind": self.where.kind, "name": name, **super().describe()}

    @classmethod
    def of(cls, what: str) -> type[Given]:
        """The class of a generator.

        Args:
            what: What stands behind the colon.

        Returns:
            A model like any other, whose constructor loads the generator.

        Raises:
            InputError: Nothing is there, or no generator is.
        """
        return _class(places.parse(what))

    @staticmethod
    def recorded(what: str) -> str:
        """What tables and folders call it."""
        return places.recorded(what)

    @staticmethod
    def from_folder(what: str, folder: Path) -> str:
        """What it is called from here, where it stands in a file in `folder`."""
        return places.from_folder(what, folder)


class GivenPipeline(Given):
    """A pipeline of diffusers.

    Attributes:
        Sampling: Steps and guidance.
    """

    Sampling = PipelineSampling

    @property
    def sampling(self) -> PipelineSampling:
        """How it draws."""
        assert isinstance(self._loaded.call, Pipeline)
        return self._loaded.call.sampling

    @sampling.setter
    def sampling(self, sampling: PipelineSampling) -> None:
        assert isinstance(self._loaded.call, Pipeline)
        self._loaded.call.sampling = sampling
        self._loaded.call.check()

    def _found_form(self) -> Any:
        """As of any generator, in two steps: what is tried is only how it is called."""
        pipeline = self._loaded.call
        assert isinstance(pipeline, Pipeline)
        steps = "num_inference_steps" in pipeline.takes
        pipeline.sampling = PipelineSampling(steps=2 if steps else None)
        try:
            return super()._found_form()
        finally:
            pipeline.sampling = PipelineSampling()


def load(where: Where, stated: Stated) -> Loaded:
    """What lies there, ready to be called. `InputError` where it cannot be."""
    if where.kind == "python":
        return load_python(where, stated.args)
    if stated.args:
        raise InputError(f"{where.title} is made already; leave args.{next(iter(stated.args))} out")
    return _LOADERS[where.kind](where)


def generator(
    thing: nn.Module | Callable[..., Any],
    *,
    latent: int | Sequence[int] | None = None,
    distribution: Distribution = "normal",
    range: Sequence[float] | None = None,
    layout: Layout | None = None,
    labels: Labels = "auto",
    classes: int = 0,
) -> GivenGenerator:
    """A module or a callable of yours as a generator, with what you know of it. `evaluate` and `Scorer` take one as
    they take the bare thing.

    Args:
        thing: What makes images of latents, of latents and labels, or of `(n, rng)` with an `rng` of ours.
        latent: The length of a latent vector, or the shape of one image's latents; None to find it out.
        distribution: Of latents: "normal", "uniform" on [-1, 1), or "sphere", normal ones of length √latent.
        range: What black and white are in its images, (-1, 1) for example; None to look.
        layout: "NCHW" or "NHWC"; None to look.
        labels: How it is told classes: "numbers", "one-hot", "none" for never; "auto" to find it out.
        classes: How many there are; 0 for none.

    Returns:
        The generator; `thing` is in it, on its device.

    Raises:
        InputError: It makes no images however it is called.

    >>> own = benchbench.generator(net, latent=128, range=(0, 1))  # doctest: +SKIP
    """
    if isinstance(thing, GivenGenerator):
        return thing
    if isinstance(thing, type) or not callable(thing):
        what = (
            f"the class {thing.__name__}"
            if isinstance(thing, type)
            else f"a thing of type {type(thing).__name__}"
        )
        raise InputError(
            f"{what} cannot be called for images; give a module, or a function of latents; benchbench.evaluate scores "
            "images that are there"
        )
    values = {
        "latent": latent if latent is None or isinstance(latent, int) else tuple(latent),
        "distribution": distribution,
        "range": range,
        "layout": layout,
        "labels": labels,
    }
    stated = validated(Stated, values, "setting of a generator")
    name = (
        type(thing).__name__ if isinstance(thing, nn.Module) else getattr(thing, "__name__", "the generator")
    )
    return GivenGenerator(from_object(thing, name), stated, classes)


@cache
def _class(where: Where) -> type[Given]:
    """One class a place, so that two cells of one generator share it. The code that identifies it is that of the class
    that it derives from; what its owner wrote is in its config, by sha256."""
    base = GivenPipeline if where.kind == "diffusers" else Given
    own = {"where": where, "program": where.kind in PROGRAMS, "__doc__": where.title}
    return type(
        base.__name__, (base,), own | {"__module__": base.__module__, "__qualname__": base.__qualname__}
    )
