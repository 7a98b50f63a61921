"""torch.compile."""

from __future__ import annotations

import shutil
from typing import ClassVar

import torch
from torch import nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import outermost

INDUCTOR = "inductor"
COMPILERS = ("c++", "g++", "clang++")


class Compiled(Technique):
    """Through torch.compile, each of the networks that answer; no rate has a part of the time it takes to compile."""

    name: ClassVar[str] = "compile"
    takes: ClassVar[str] = "a backend of torch.compile, inductor by default"
    reference: ClassVar[str] = "Ansel et al. 2024, PyTorch 2, ASPLOS"
    place: ClassVar[int] = 60

    def __init__(self, value: str = "") -> None:
        super().__init__(value)
        known = torch.compiler.list_backends(exclude_tags=())
        if value and value not in known:
            raise InputError(
                f"torch.compile has no backend {value!r} here; known: {', '.join(sorted(known))}"
            )

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`. A network keeps its class and its hooks: only what it computes is compiled."""
        backend = self.value or INDUCTOR
        if backend == INDUCTOR and device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
            raise InputError(
                f"torch.compile needs a C++ compiler on a processor, and none of {', '.join(COMPILERS)} is there; "
                "install one, or choose another variant"
            )
        parts = outermost(model, show)
        if not parts:
            raise InputError(
                "compile is for networks, and none is seen in this model's answer; choose another variant"
            )
        for part in parts.values():
            part.forward = torch.compile(part.forward, backend=backend)
