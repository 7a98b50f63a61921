"""Static quantisation to 8 bits, layer by layer, computed by torch's own kernels on the processor.

Weights are int8, one scale a filter where the kernel knows that (convolutions and linear layers), one a layer where it
does not (transposed convolutions); activations are uint8 with a scale and a zero point, from the ranges that were seen
while the model answered. Between layers stand floats, so any model can be quantised whatever it does there: what it
costs is rounding going in and coming out of each layer.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
arXiv:1712.05877, section 2.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import called, hooked, replace

KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
ENGINES = ("fbgemm", "qnnpack")  # not onednn, whose transposed convolutions come out wrong (torch 2.14)
LEVELS = 255
OUTSIDE = "its weights are 8-bit integers, which torch counts neither as parameters nor in operations"


class Int8(Technique):
    """Weights and activations of the layers that answer in 8 bits, static, by torch.ao's kernels. On processors."""

    name: ClassVar[str] = "int8"
    reference: ClassVar[str] = (
        "Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference, arXiv:1712.05877"
    )
    place: ClassVar[int] = 30
    precision: ClassVar[str] = "int8"
    excludes: ClassVar[frozenset[str]] = frozenset({"compile"})

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`; what the model is shown calibrates the ranges."""
        engine = next((own for own in ENGINES if own in torch.backends.quantized.supported_engines), None)
        if device.type != "cpu" or engine is None:
            raise InputError(
                "int8 is computed by torch's kernels for processors, and they are not at hand here; choose --device "
                "cpu on an x86 or ARM machine, or another variant"
            )
        layers = {name: layer for name, layer in called(model, show, KINDS).items() if _quantises(layer)}
        if not layers:
            raise InputError(
                "int8 is for convolutions and linear layers, and none is seen in this model's answer; choose another "
                "variant"
            )
        ranges = _ranges(model, set(layers), show)
        with _engine(engine):
            for name, layer in layers.items():
                replace(model, name, EightBit(layer, *ranges[name]))
        model.outside = OUTSIDE  # type: ignore[assignment]


class EightBit(nn.Module):
    """A layer in 8 bits, floats in and floats out.

    Args:
        layer: Conv2d, ConvTranspose2d or Linear, float32.
        inputs: The smallest and the largest number that it was given.
        outputs: Likewise that it made.
    """

    def __init__(self, layer: nn.Module, inputs: tuple[float, float], outputs: tuple[float, float]) -> None:
        super().__init__()
        self.scale, self.zero = affine(*inputs)
        # The bias stays what it is; models also ask a parameter where they are.
        bias = torch.empty(0) if layer.bias is None else layer.bias.detach().float()  # type: ignore[operator]
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.inner = _inner(layer, *affine(*outputs))

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        """float in, float32 out."""
        out: Tensor = self.inner(
            torch.quantize_per_tensor(x.float(), self.scale, self.zero, torch.quint8)
        ).dequantize()
        return out

    @property
    def weight(self) -> Tensor:
        """The weights as the layer multiplies by them, float32."""
        weight: Tensor = self.inner.weight().dequantize()
        return weight

    @property
    def nbytes(self) -> int:
        """What the layer keeps: a byte a weight, its scales, and the bias."""
        weight = self.inner.weight()
        scales = weight.q_per_channel_scales().nbytes if weight.qscheme() in _PER_CHANNEL else 8
        return int(weight.numel() + scales + self.bias.nbytes)


_PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_symmetric)


def affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of uint8 for numbers from `low` to `high` (Jacob et al. 2018, section 3.1): zero, which pads
    convolutions, is exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / LEVELS or 1.0
    return scale, round(-low / scale)


def _quantises(layer: nn.Module) -> bool:
    """Whether there is a kernel for it: padding other than with zeros is done elsewhere."""
    return isinstance(layer, nn.Linear) or getattr(layer, "padding_mode", "") == "zeros"


def _ranges(
    model: nn.Module, names: set[str], show: Show
) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """The smallest and largest numbers that went into and came out of each layer, over all its calls."""
    seen: dict[str, list[float]] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if name in names:
            now = [float(end) for tensor in (inputs[0], output) for end in tensor.aminmax()]
            before = seen.setdefault(name, now)
            seen[name] = [
                pick(own)
                for pick, own in zip((min, max, min, max), zip(before, now, strict=True), strict=True)
            ]

    with hooked(model, note):
        show(model)
    return {name: ((ends[0], ends[1]), (ends[2], ends[3])) for name, ends in seen.items()}


def _inner(layer: nn.Module, scale: float, zero: int) -> Any:
    """torch's quantised layer with these weights and this range of outputs."""
    import torch.ao.nn.quantized as quantized

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torchao is to take over
        made: Any
        if isinstance(layer, nn.Linear):
            made = quantized.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        else:
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            of = quantized.ConvTranspose2d if isinstance(layer, nn.ConvTranspose2d) else quantized.Conv2d
            more = {"output_padding": layer.output_padding} if isinstance(layer, nn.ConvTranspose2d) else {}
            made = of(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                dilation=layer.dilation,
                groups=layer.groups,
                bias=layer.bias is not None,
                **more,
            )
        weight, bias = (
            layer.weight.detach().float(),
            None if layer.bias is None else layer.bias.detach().float(),
        )
        made.set_weight_bias(_eight_bit(weight, each=not isinstance(layer, nn.ConvTranspose2d)), bias)
    made.scale, made.zero_point = scale, zero
    return made


def _eight_bit(weight: Tensor, *, each: bool) -> Tensor:
    """Symmetric int8 weights, a scale a filter where `each`, else one of all."""
    tiny = torch.finfo(torch.float32).tiny
    if not each:
        return torch.quantize_per_tensor(weight, max(float(weight.abs().max()), tiny) / 127, 0, torch.qint8)
    scales = weight.abs().flatten(1).amax(1).clamp_min(tiny).double() / 127
    return torch.quantize_per_channel(
        weight, scales, torch.zeros(len(scales), dtype=torch.int64), 0, torch.qint8
    )


@contextmanager
def _engine(name: str) -> Iterator[None]:
    """Weights are packed for these kernels inside."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
