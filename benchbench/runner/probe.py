"""The untrained model of a request: what a plan looks at, and refuses before anything is trained."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Fittable, Trainable
from benchbench.models.build import build_model, draw_as
from benchbench.models.variants.technique import Technique, accelerated, rebuilt, written
from benchbench.runner.shown import FEW, showing
from benchbench.tasks.base import TaskData
from benchbench.training.recipe import Recipe

_CPU = torch.device("cpu")


def built(recipe: Recipe, data: TaskData, techniques: Sequence[Technique]) -> nn.Module:
    """The model of a recipe on the CPU, its layers as techniques have them."""
    model = build_model(recipe.model, recipe.hyper, data.spec, recipe.sampling)
    if any(own.before_training for own in techniques):
        rebuilt(model, techniques, showing(recipe.model, model, data, FEW, _CPU), _CPU)
    return model


class Probes:
    """The untrained models of several requests, one after the other.

    That of the request before is looked at again where this one builds the same: a sweep over settings of training or
    of drawing asks for one model a thousand times. No more than one is held.
    """

    def __init__(self) -> None:
        self._probe: nn.Module | None = None
        self._recipe: Recipe | None = None
        self._data: TaskData | None = None
        self._more: tuple[object, ...] = ()

    def of(
        self, recipe: Recipe, data: TaskData, techniques: Sequence[Technique], weights: Path | None
    ) -> nn.Module:
        """The model of a recipe, drawing as that says.

        Args:
            recipe: Of the model.
            data: What it is built for.
            techniques: What is done to it.
            weights: Where its weights will be loaded from; None where nobody loads any.

        Returns:
            The model, for looking only: the next call may return the same.

        Raises:
            InputError: It cannot be built, cannot draw so, or nobody says what its weights are.
        """
        more = (recipe.model, [own.text for own in techniques], weights)
        before = self._recipe
        if (
            self._probe is not None
            and before is not None
            and before.hyper == recipe.hyper
            and self._data is data
            and self._more == more
        ):
            draw_as(self._probe, recipe.model, recipe.sampling)
            return self._probe
        self._probe = None  # the next one may need its memory
        probe = built(recipe, data, techniques)
        _check_start(recipe, probe, data, weights)
        self._probe, self._recipe, self._data, self._more = probe, recipe, data, more
        return probe


def check_techniques(
    recipe: Recipe, probe: nn.Module, data: TaskData, techniques: Sequence[Technique], device: torch.device
) -> None:
    """`InputError` where the model has nothing for a technique: seen on a copy, before anything is trained."""
    if written(techniques):
        show = showing(recipe.model, probe, data, FEW, device)
        accelerated(copy.deepcopy(probe).to(device), techniques, show, device)


def no_weights(model: str) -> InputError:
    """For weights that are given to a model without any."""
    return InputError(f"the model {model!r} has no weights to load; leave --weights out")


def _check_start(recipe: Recipe, probe: nn.Module, data: TaskData, weights: Path | None) -> None:
    """`InputError` for weights that are given to a model without any, and where nobody says what those of a model are
    that cannot be trained: a constructor that draws them at random makes noise, and no number says so."""
    if weights is not None:
        if not probe.state_dict():
            raise no_weights(recipe.model)
        return
    if isinstance(probe, Trainable | Fittable) or getattr(probe, "control", False):
        return
    if getattr(probe, "stored", False):
        return
    starts = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build_model(recipe.model, recipe.hyper, data.spec)
            starts.append(dict(model.named_parameters()))
    drawn = [name for name in starts[0] if not torch.equal(starts[0][name], starts[1][name])]
    if drawn:
        raise InputError(
            f"the model {recipe.model!r} cannot be trained here and starts from random weights ({drawn[0]}, …): give "
            "those that it was trained to with --weights, or load them in its constructor; a class that is meant to "
            "stay random says control = True"
        )
