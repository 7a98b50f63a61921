"""Half precision: weights stored in 16 bits, products computed in them, everything else as torch's autocast has it.

Sources: Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740 (float16); Kalamkar et al. 2019, A Study
of BFLOAT16 for Deep Learning Training, arXiv:1905.12322.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import answers, called

KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
BORDER = (
    "sample",
    "sample_captions",
    "encode",
    "decode",
    "reconstruct",
    "invert",
    "latents",
    "styles",
    "paint",
    "nats",
    "examine",
    "translate",
    "translate_hinted",
    "cycle",
    "stylize",
    "restore",
    "inpaint",
    "edit",
    "undo",
    "classify",
    "image_codes",
    "caption_codes",
)
"""All that a model is asked for once it is trained (`core.protocols`)."""


class _Half(Technique):
    """What both formats share."""

    place: ClassVar[int] = 40
    dtype: ClassVar[torch.dtype]

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`: the layers that the answer calls store their weights so, and all that the model is
        asked for runs under autocast."""
        layers = called(model, show, KINDS)
        if not layers:
            raise InputError(
                f"{self.name} is for convolutions and linear layers, and none is seen in this model's answer; choose "
                "another variant"
            )
        for layer in layers.values():
            layer.to(self.dtype)
        for name in BORDER:
            if callable(method := getattr(model, name, None)):
                setattr(model, name, partial(_under, device.type, self.dtype, method))
        if not all(bool(torch.isfinite(own).all()) for own in answers(model, show)):
            raise InputError(
                f"{self.name}: numbers in this model grow beyond what the format holds; choose another variant"
            )


class BFloat16(_Half):
    """bfloat16: 8 bits of exponent as float32 has, 7 behind the point. Weights take half the memory."""

    name: ClassVar[str] = "bf16"
    reference: ClassVar[str] = (
        "Kalamkar et al. 2019, A Study of BFLOAT16 for Deep Learning Training, arXiv:1905.12322"
    )
    dtype: ClassVar[torch.dtype] = torch.bfloat16
    precision: ClassVar[str] = "bfloat16"
    excludes: ClassVar[frozenset[str]] = frozenset({"fp16", "int8"})


class Float16(_Half):
    """float16: 5 bits of exponent, so nothing above 65,504, and 10 behind the point. On CUDA devices."""

    name: ClassVar[str] = "fp16"
    reference: ClassVar[str] = "Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740"
    dtype: ClassVar[torch.dtype] = torch.float16
    precision: ClassVar[str] = "float16"
    excludes: ClassVar[frozenset[str]] = frozenset({"bf16", "int8"})

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`."""
        if device.type == "cpu":
            raise InputError("fp16 is for CUDA devices, processors emulate it; choose bf16, or --device cuda")
        super().apply(model, show, device)


def _under(device: str, dtype: torch.dtype, method: Any, *arguments: Any, **named: Any) -> Any:
    """What a method answers under autocast, floats as float32."""
    with torch.autocast(device, dtype):
        answer = method(*arguments, **named)
    return answer.float() if isinstance(answer, Tensor) and answer.is_floating_point() else answer
