"""From a name and hyper-parameters to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from torch import nn

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.protocols import ImageSpec, Sampled
from benchbench.core.registry import MODELS
from benchbench.core.validation import first_fault

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def validated(config_class: type[ConfigT], values: Mapping[str, Any], what: str) -> ConfigT:
    """`config_class(**values)`; an unknown key or a bad value is an `InputError` of one sentence.

    what: the kind of setting for the message, for example "hyper-parameter of vae".
    """
    for key in values:
        if key not in config_class.model_fields:
            raise unknown_name(what, key, config_class.model_fields)
    try:
        return config_class(**values)
    except ValidationError as error:
        fault = first_fault(error)
        subject = f"{what} {fault.where}={fault.given!r}" if fault.where else what
        raise InputError(f"{subject}: {fault.reason}") from error


def configure(name: str, overrides: Mapping[str, Any]) -> BaseModel:
    """The config of the model `name` with `overrides` over its defaults; `InputError` names what is wrong."""
    config_class: type[BaseModel] = MODELS.get(name).Config
    return validated(config_class, overrides, f"hyper-parameter of {name}")


class NoSampling(BaseModel, extra="forbid", frozen=True):
    """Of a model that draws in one way only."""


def configure_sampling(name: str, overrides: Mapping[str, Any]) -> BaseModel:
    """How the model `name` draws, `overrides` over its defaults; `InputError` names what is wrong."""
    return validated(sampling_class(name), overrides, f"sampling setting of {name}")


def sampling_class(name: str) -> type[BaseModel]:
    """The settings that only drawing depends on, of the model `name` (`core.protocols.Sampled`)."""
    found: type[BaseModel] = getattr(MODELS.get(name), "Sampling", NoSampling)
    return found


def build_model(
    name: str, overrides: Mapping[str, Any], spec: ImageSpec, sampling: Mapping[str, Any] | None = None
) -> nn.Module:
    """The untrained model `name` for images as `spec` says, drawing as `sampling` says.

    Initial weights come from torch's global generator: `torch.manual_seed` before this call fixes them.
    Raises `InputError` for an unknown name, an unknown or impossible setting, or images it cannot do.
    """
    drawn = configure_sampling(name, sampling or {})
    model: nn.Module = MODELS.get(name)(configure(name, overrides), spec)
    if isinstance(model, Sampled):
        model.sampling = drawn
    return model
