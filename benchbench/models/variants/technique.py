"""What a technique is, how several are written together, and a model with them.

Pattern: a technique changes a copy of a model in place, at one of three times: a setting of drawing (`settings`), the
layers before they are trained (`before_training`), or the trained model. What it touches is not assumed, it is watched
while the model answers (`watching`); a model that has nothing for it is refused in an `InputError`. Whoever asks hands
in `show`, which has the model answer as it is going to be asked, on images or random numbers that are not scored.

Scope: a technique knows no files, no records and no metric. That quality is measured again is the runner's business.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from benchbench.core.errors import InputError, because, out_of_memory
from benchbench.core.protocols import Examined
from benchbench.core.registry import VARIANTS

TOGETHER = "+"  # between techniques that one model has at once: "fused+int8"

Show = Callable[[nn.Module], object]
"""Has a model answer once, as it is going to be asked."""


class Technique:
    """One technique. The first line of the docstring is what `benchbench list variants` shows.

    Attributes:
        name: Under which it is registered.
        takes: What stands behind `=`, in words; "" where nothing does.
        example: What stands there where somebody asks for every variant; "" for nothing.
        place: Several are done in this order, whatever the order they are written in.
        before_training: Whether it changes layers that are trained then; else a trained model is changed.
        excludes: Names of techniques that it cannot stand beside.
        precision: In which the layers compute that it changes; "" where it changes none's.

    Args:
        value: What stands behind `=`; "" for nothing.

    Raises:
        InputError: `value` has no meaning here.
    """

    name: ClassVar[str]
    takes: ClassVar[str] = ""
    example: ClassVar[str] = ""
    place: ClassVar[int] = 0
    before_training: ClassVar[bool] = False
    excludes: ClassVar[frozenset[str]] = frozenset()
    precision: ClassVar[str] = ""

    def __init__(self, value: str = "") -> None:
        if value and not self.takes:
            raise InputError(f"the variant {self.name} takes nothing behind it; leave ={value} out")
        self.value = value

    @property
    def text(self) -> str:
        """As one types it: "pruned=0.5"."""
        return f"{self.name}={self.value}" if self.value else self.name

    def settings(self) -> Mapping[str, Any]:
        """Settings that it stands for, as after `--set`.

        Returns:
            Values by name. A technique that has any changes neither layers nor weights.
        """
        return {}

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """Change a model in place.

        Args:
            model: In eval mode on `device`; a copy that nobody else has.
            show: `show(model)` has it answer.
            device: Where it computes.

        Raises:
            InputError: The model has nothing for it, or the device cannot compute so.
        """


def techniques_of(text: str) -> tuple[Technique, ...]:
    """The techniques that are meant.

    Args:
        text: Names with `+` between, each with `=` and a value where it takes one; "" for none.

    Returns:
        The techniques in the order in which they are done.

    Raises:
        InputError: A name is unknown, empty or there twice, a value has no meaning, or two exclude each other.

    >>> ", ".join(technique.text for technique in techniques_of("int8+fused"))
    'fused, int8'
    """
    if not text:
        return ()
    found: dict[str, Technique] = {}
    for part in text.split(TOGETHER):
        name, equals, value = (piece.strip() for piece in part.strip().partition("="))
        if not name or (equals and not value):
            raise InputError(f"the variant {text!r} must look like int8, pruned=0.5 or fused+int8")
        technique: Technique = VARIANTS.get(VARIANTS.spelled(name))(_as_written(value))
        if technique.name in found:
            raise InputError(f"the variant {text!r} names {name} twice; leave one of them out")
        found[technique.name] = technique
    for technique in found.values():
        if others := technique.excludes & found.keys():
            raise InputError(
                f"{technique.name} and {min(others)} exclude each other; choose one of them as a variant"
            )
    return tuple(sorted(found.values(), key=lambda own: (own.place, own.name)))


def _as_written(value: str) -> str:
    """What stands behind `=`, a number in one way: 0.5, .5 and 0.50 are one variant, under one key."""
    try:
        number = float(value)
    except ValueError:
        return value
    short = f"{number:.12g}"
    return short if float(short) == number else repr(number)


def written(techniques: Sequence[Technique]) -> str:
    """What tables and keys call them: those that change a model, as one types them.

    Args:
        techniques: As `techniques_of` returns them.

    Returns:
        "fused+int8"; "" where none changes a model.
    """
    return TOGETHER.join(technique.text for technique in techniques if not technique.settings())


def rebuilt(model: nn.Module, techniques: Sequence[Technique], show: Show, device: torch.device) -> None:
    """Change layers of a model that is going to be trained, in place.

    Args:
        model: Just built, on `device`.
        techniques: Those that change it then do; new weights come from torch's global generator.
        show: Has it answer.
        device: Where it computes.

    Raises:
        InputError: A technique has nothing to change.
    """
    for technique in techniques:
        if technique.before_training:
            if next(model.parameters(), None) is None:
                raise InputError(
                    f"{technique.text} changes layers, and this model has none; leave the variant out"
                )
            was = model.training
            model.eval()
            _applied(technique, model, show, device)
            model.train(was)


def accelerated(
    model: nn.Module, techniques: Sequence[Technique], show: Show, device: torch.device
) -> nn.Module:
    """A copy of a trained model with techniques.

    Args:
        model: On `device`; it is left as it is.
        techniques: Those that change a trained model do.
        show: Has it answer.
        device: Where it computes.

    Returns:
        The copy in eval mode; the model itself where no technique changes it.

    Raises:
        InputError: The model has nothing for a technique, or the device cannot compute so.
    """
    own = [own for own in techniques if not own.before_training and not own.settings()]
    if not own:
        return model
    if isinstance(model, Examined):
        raise InputError(
            f"{own[0].name} changes layers, and those of a generator of your own are out of sight; leave the "
            "variant out"
        )
    changed = copy.deepcopy(model).eval()
    _settle(changed)
    changed.requires_grad_(False)
    for technique in own:
        _applied(technique, changed, show, device)
    return changed


def _settle(model: nn.Module) -> None:
    """Weights that are made anew at every call, of others and a norm of theirs (spectral norm, weight norm), become
    what they are: else no technique would see their layers for what they are."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            whole = {name: getattr(module, name).detach().clone() for name in module.parametrizations}  # type: ignore[union-attr]
            # Not torch's remove_parametrizations: it takes the property off a class that copies share.
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            for name, value in whole.items():
                module.register_parameter(name, nn.Parameter(value))


def _applied(technique: Technique, model: nn.Module, show: Show, device: torch.device) -> None:
    """One technique, and an answer afterwards: what a technique breaks is told before anybody waits for it."""
    try:
        with torch.no_grad():
            technique.apply(model, show, device)
            show(model)
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:
        if (full := out_of_memory(error)) is not None:
            raise InputError(f"{technique.text}: {full}") from error
        raise InputError(
            f"{technique.text} is not possible for this model: {because(error)}; choose another variant"
        ) from error
