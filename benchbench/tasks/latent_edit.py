"""The latent-edit task: images of one class are made into another by their codes, and everything else should stay.

A model that finds codes of given images (`Invertible`): an autoencoder by its encoder, a flow or a diffusion model by
its equation backwards, a GAN by descent (`models.inversion`). `latent-edit:inversion` says how much of an image its
code has. Then the direction from a class to another is the difference of their mean codes over training images (Larsen
et al. 2016, attribute vectors). Held-out images are inverted, moved along it, and decoded. A row's task says by how
many such differences, `latent-edit:x1` by one; `latent-edit:x1-random` is the control, isotropic random directions of
the same lengths, which no class is in. Two codes are also joined by a line: `latent-edit:within` between images of one
class, `latent-edit:between` of two. Where a code means another image under another label, nothing is moved: it is found
under the class of the image and decoded under another (`latent-edit:relabel`); the control decodes the codes of other
images (`latent-edit:relabel-random`).

A conditional generator: the class of samples is changed under the same latent (`latent-edit:label`); the control asks
for the same classes under other latents (`latent-edit:label-random`), of which nothing should stay.

What became of the class says the classifier of the dataset's own classes; that the rest stays, the distance to what the
model makes of the unedited image. Neither means anything without the other: whoever answers with any image of the class
has all of the first, whoever does nothing all of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.bounds import MOST_STEPS
from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Conditional, Invertible
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.metrics.metric import Metric, Need
from benchbench.metrics.sets.modes import class_extractor
from benchbench.models.inversion.descent import Descent
from benchbench.models.inversion.inverter import inverter_of
from benchbench.tasks.base import Number, OneDataset, Request, TaskData, TaskResult, one
from benchbench.tasks.latent.by_codes import INVERSION, RELABEL, STATED, TASK, moved, relabelled
from benchbench.tasks.latent.by_labels import LABEL, sampled
from benchbench.tasks.latent.codes import BATCH
from benchbench.tasks.speed import measure_cost, measure_rates

CODES = f"{TASK}:codes"
MAX_IMAGES = 500
_NEEDS: frozenset[Need] = frozenset({"features", "logits", "moments", "sources", "truth"})


class LatentEdit(OneDataset):
    """Images made into another class by their codes or labels: whether they are, and whether the rest stays."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = ("conditional_accuracy", "content_distance", "psnr", "ssim")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {
        f"{TASK}:x{STATED:g}": ("conditional_accuracy",),
        RELABEL: ("conditional_accuracy",),
        LABEL: ("conditional_accuracy",),
    }

    class Options(BaseModel, extra="forbid", frozen=True):
        """How codes of images are found where they are costly; those of an encoder depend on none of it."""

        invert: bool = Field(
            default=True, description="find codes of images; without, a conditional generator's samples alone"
        )
        steps: int = Field(default=200, ge=1, le=MOST_STEPS, description="of descent to a latent")
        lr: float = Field(default=0.1, gt=0, le=1000, description="its rate at the beginning")
        starts: int = Field(default=2, ge=1, le=10_000, description="latents from which it begins")
        examples: int = Field(
            default=10, ge=1, le=1_000_000, description="training images a class that directions are made of"
        )

    options: Options

    def takes(self, model: type) -> bool:
        """One with codes, or one that can be asked for a class."""
        return any(
            all(hasattr(model, name) for name in names)
            for names in (("encode", "decode"), ("invert", "decode"))
        ) or (hasattr(model, "sample") and not hasattr(model, "fit"))

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Images without classes, and classes that no classifier knows."""
        own = one(data)
        labels = own.train.labels
        if labels is None or own.held_out.labels is None or len(labels.unique()) < 2:
            return (
                f"{TASK} changes the class of an image, and {data.name} has no labels of two classes; use a dataset "
                "with labels, digits for example"
            )
        if class_extractor(data.name, EXTRACTORS.names()) is None:
            return (
                f"{TASK} asks a classifier whether the class of an image changed, and there is none of {data.name}; "
                "train one as docs/extending.md shows, or use digits or mnist"
            )
        return None

    def parts(self, model: nn.Module) -> list[str]:
        """By codes, by labels, or both, and how costly codes are found; `InputError` for a model that has neither."""
        inverter, how = self._inverter(model), self.options
        found = []
        if inverter is not None:
            asked = dict(inverter.inversion)
            if inverter.costly and not inverter.relabels:
                asked["examples"] = how.examples
            words = "".join(f" {name}={fact}" for name, fact in sorted(asked.items()))
            found = [RELABEL if inverter.relabels else CODES, f"{INVERSION}{words}"]
        if _labelled(model):
            found.append(LABEL)
        if not found:
            raise InputError(
                f"this model has no codes of images and cannot be asked for a class, and {TASK} needs one of both; use "
                "vae, flow-matching or cgan, for example"
            )
        return found

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """All held-out images, at most 500."""
        have = len(one(data).held_out)
        if asked is not None and asked > have:
            raise InputError(
                f"{data.name} has {have} held-out images to edit; ask for --samples {have} or fewer"
            )
        return asked or min(have, MAX_IMAGES)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever compares sets of images, and metrics of translators."""
        if metric.needs_reference or metric.needs_held_out or not metric.needs <= _NEEDS:
            return (
                "an edited image is compared with what it was, and its class with the one that was asked for"
            )
        return None

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Edited images, what of them changed and what stayed."""
        own, inverter = one(data), self._inverter(model)
        parts = {}
        if inverter is not None and inverter.relabels:
            parts["relabel"] = relabelled(inverter, own, request, runtime)
        elif inverter is not None:
            parts["codes"] = moved(inverter, own, self.options.examples, request, runtime)
        if _labelled(model):
            assert isinstance(model, Conditional)
            parts["label"] = sampled(model, own, request, runtime)
        facts: dict[str, Any] = {"edit": ", ".join(parts)}
        for part in parts.values():
            facts |= part.facts
        first = next(iter(parts.values()))
        return TaskResult(
            [
                *(number for part in parts.values() for number in part.numbers),
                *_cost(first.edit, model, request.n_samples, runtime),
            ],
            [picture for part in parts.values() for picture in part.pictures],
            {"latent_edit": facts},
        )

    def _inverter(self, model: nn.Module) -> Invertible | None:
        how = self.options
        if not how.invert and not isinstance(model, Autoencoder):
            return None
        return inverter_of(model, Descent(how.steps, how.lr, how.starts))


def _labelled(model: nn.Module) -> bool:
    """Whether samples are asked for by class; those of an autoencoder are not, whose images have codes."""
    return isinstance(model, Conditional) and model.conditional and not isinstance(model, Autoencoder)


def _cost(edit: Callable[[int], Tensor], model: nn.Module, n: int, runtime: Runtime) -> list[Number]:
    """Of the first way of editing that the model has, from the image on where it begins with one."""
    device, size = runtime.device, min(n, BATCH)
    found = runtime.comm.first(
        lambda: [
            *measure_rates(edit, device=device, batch_size=size),
            *measure_cost(model, device=device, once=lambda: edit(1)),
        ]
    )
    return [Number(own, TASK) for own in found]
