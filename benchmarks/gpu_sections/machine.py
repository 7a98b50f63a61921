"""What the machine is, what its matrix units can do, and the proof that no TF32 gets into a float32 number."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbench.core.device import describe_machine
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, full_float32
from benchbench.tasks.profiling.roofline import computing
from gpu_sections.child import Bench, SkippedError
from gpu_sections.tools import device_of, needs_cuda, peak

STEP = 1 + 2.0**-12  # TF32 has 10 bits after the point and rounds this to 1
SIDE = 1024


class Probe(nn.Module):
    """A product and a convolution that are exact in float32 and off by 2⁻¹² in TF32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv.weight)
        self.conv.weight.data[:, :, 1, 1] = STEP * torch.eye(64)
        self.register_buffer("matrix", STEP * torch.eye(SIDE))

    def forward(self, signs: Tensor) -> tuple[Tensor, Tensor]:
        """signs: ±1, SIDE×SIDE. How far the product and the convolution are off."""
        product = self.get_buffer("matrix") @ signs
        convolved = self.conv(signs.view(4, 64, -1, 64))
        return tuple(  # type: ignore[return-value]
            (out.abs() - STEP).abs().max() for out in (product, convolved)
        )


class ProbeExtractor(FrozenExtractor):
    """An extractor whose features are the errors of `Probe`: what it computes under is what every extractor does."""

    name, dim, n_logits, resize, batch_size = "probe", 2, 0, "none", 1

    def forward(self, images: Tensor) -> Features:
        signs = torch.ones(SIDE, SIDE, device=self.device)
        return Features(torch.stack(self.network(signs))[None], None)


def machine(bench: Bench) -> None:
    """Describe, measure the peaks, prove."""
    device = device_of(bench)
    about = describe_machine(device)
    bench.measure("cores of the processor", float(about["cores"] or 0), "", note=str(about["processor"]))
    note = f"torch {torch.__version__}, {about['threads']} threads, load {about['load_1min']}"
    bench.measure("memory of the machine", float(about["memory_gib"]), "GiB", note=note)
    with bench.item("memory of the device"):
        needs_cuda(device)
        free, total = torch.cuda.mem_get_info(device)
        note = f"{about['device_name']}, CUDA {torch.version.cuda}"
        bench.measure("memory of the device", total / 2**30, "GiB", note=f"{free / 2**30:.1f} free; {note}")
    for precision in ("float32", "TF32", "bfloat16", "float64"):
        with bench.item(f"matrix product in {precision}"):
            if precision == "TF32":
                _has_tf32(device)
            rate = peak(device, precision, bench.small)
            bench.measure(f"matrix product in {precision}", rate / 1e12, "TFLOP/s")
    prove(bench, device)


def prove(bench: Bench, device: torch.device) -> None:
    """TF32 switched on outside, off inside an extractor; and the probe can see it where it is on."""
    what = ("product", "convolution")
    with bench.item("no TF32 inside an extractor"):
        extractor = ProbeExtractor(Probe(), device, "", "")
        images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
        with computing("TF32"):
            errors = extractor(images).features[0].tolist()
        _has_tf32(device)  # what follows would be true of any processor
        for name, error in zip(what, errors, strict=True):
            bench.check(f"no TF32 inside an extractor, {name}", error, 0.0, "1 + 2⁻¹² comes out exact")
    with bench.item("TF32 is seen where it is allowed"):
        _has_tf32(device)
        probe = Probe().to(device)
        with torch.inference_mode():
            with computing("TF32"):
                seen = [float(error) for error in probe(torch.ones(SIDE, SIDE, device=device))]
            with full_float32():
                gone = [float(error) for error in probe(torch.ones(SIDE, SIDE, device=device))]
        for name, error, without in zip(what, seen, gone, strict=True):
            note = f"error {error:.3g} with TF32 allowed, {without:.3g} without"
            bench.holds(f"TF32 is seen where it is allowed, {name}", error > 1e-4 and without == 0, note)


def _has_tf32(device: torch.device) -> None:
    needs_cuda(device)
    if torch.cuda.get_device_capability(device) < (8, 0):
        raise SkippedError("this device has no TF32")
