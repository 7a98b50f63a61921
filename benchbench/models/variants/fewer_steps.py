"""Fewer steps of an iterative sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchbench.core.bounds import MOST_STEPS
from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Technique


class FewerSteps(Technique):
    """The sampler takes so many steps: the same as --set sampling.steps=N, with the weights as they are. No student is
    distilled."""

    name: ClassVar[str] = "steps"
    takes: ClassVar[str] = "the number of steps"
    example: ClassVar[str] = "10"
    reference: ClassVar[str] = (
        "Song et al. 2021, Denoising Diffusion Implicit Models, arXiv:2010.02502, section 4.2"
    )

    def __init__(self, value: str = "") -> None:
        super().__init__(value)
        self.steps = int(value) if value.isascii() and value.isdigit() else 0
        if not 1 <= self.steps <= MOST_STEPS:
            raise InputError(f"{self.name}={value}: give a number of steps from 1 to {MOST_STEPS:,}")

    def settings(self) -> Mapping[str, Any]:
        """As `Technique.settings`."""
        return {"sampling.steps": self.steps}


class DistilledSteps(FewerSteps):
    """Another name of steps, for weights that were distilled to few of them (--weights); it distils none itself."""

    name: ClassVar[str] = "distilled-steps"
    reference: ClassVar[str] = (
        "Salimans & Ho 2022, Progressive Distillation for Fast Sampling of Diffusion Models, arXiv:2202.00512"
    )
    excludes: ClassVar[frozenset[str]] = frozenset({"steps"})
