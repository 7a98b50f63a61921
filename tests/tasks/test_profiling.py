"""What a profile measures, on clocks, devices and counters whose answers are known."""

from __future__ import annotations

import shutil
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from benchbench.core.errors import MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.variants.technique import accelerated, techniques_of
from benchbench.tasks.profiling import clock, curve, energy, roofline, training_rate
from benchbench.tasks.profiling.alone import Asked, peak_alone, spec_of
from benchbench.tasks.profiling.curve import batch_curve
from benchbench.tasks.profiling.energy import energy_per_image
from benchbench.tasks.profiling.roofline import bytes_moved, copy_rate, product_rate
from benchbench.tasks.profiling.stored import let_go, stored_bytes
from benchbench.tasks.profiling.to_quality import time_to_quality
from benchbench.tasks.profiling.training_rate import training_rates
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.watch.monitor import DISTANCE

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SPEC = ImageSpec(8, 8, True, 0)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock on which nothing takes time but what is added to its one number."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def taking(now: list[float], seconds: Iterator[float]) -> Callable[[], None]:
    """Work that takes these seconds, one a call."""

    def work() -> None:
        now[0] += next(seconds)

    return work


def test_the_first_call_does_not_count(ticking: list[float]) -> None:
    """A warm-up of 100 s, then the repeats as they are."""
    times = clock.repeated(taking(ticking, iter([100.0, 1.0, 2.0, 3.0, 4.0])), 4, CPU, budget=60)
    assert times == [1.0, 2.0, 3.0, 4.0]


def test_what_is_slow_is_repeated_less_and_never_fewer_than_three_times(ticking: list[float]) -> None:
    """A budget of 20 s affords 5 of 4 s each, and of 10 s each three are made all the same."""
    assert len(clock.repeated(taking(ticking, iter([4.0] * 99)), 50, CPU, budget=20)) == 5
    assert len(clock.repeated(taking(ticking, iter([10.0] * 99)), 50, CPU, budget=20)) == 3


def test_on_cuda_the_device_says_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events around the work, whose difference is in milliseconds; the host's clock is not asked."""
    order: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: object) -> None:
            order.append(f"record on {stream}")

        def synchronize(self) -> None:
            order.append("wait")

        def elapsed_time(self, other: Event) -> float:
            return 250.0

    monkeypatch.setattr("torch.cuda.Event", Event)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: "the stream")
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: order.append("empty"))
    assert clock.seconds_of(lambda: order.append("work"), CUDA) == 0.25
    assert order == ["empty", "record on the stream", "work", "record on the stream", "wait"]


def test_the_curve_doubles_until_memory_ends(ticking: list[float]) -> None:
    """A device that holds 5 images, a second a batch: rates 1, 2 and 4, and out of memory at 8 is no error."""

    def make(n: int) -> None:
        ticking[0] += 1
        if n > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    found = batch_curve(make, CPU)
    assert {n: rate.value for n, rate in found.rates.items()} == {1: 1.0, 2: 2.0, 4: 4.0}
    assert found.best == 4
    assert found.end == "out of memory at 8 images"


def test_the_curve_ends_at_its_cap_and_where_a_batch_takes_too_long(ticking: list[float]) -> None:
    """On a processor at 256 images unless somebody says otherwise; a batch of 4 images of 3 s each is beyond 10 s."""

    def quick(n: int) -> None:
        ticking[0] += 1e-3 * n

    def slow(n: int) -> None:
        ticking[0] += 3.0 * n

    whole = batch_curve(quick, CPU)
    assert list(whole.rates) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert whole.end == "no more than 256 images at once are tried on a processor"
    assert list(batch_curve(quick, CPU, most=3).rates) == [1, 2]
    assert list(batch_curve(slow, CPU).rates) == [1, 2, 4]
    assert batch_curve(slow, CPU).end == "a batch of 4 takes more than 10 s"


def test_no_memory_for_one_image_is_an_empty_curve_and_other_errors_are_errors() -> None:
    """What is wrong with a model is not taken for the end of memory."""

    def none(n: int) -> None:
        raise MemoryError

    def wrong(n: int) -> None:
        raise RuntimeError("sizes differ")

    assert batch_curve(none, CPU).rates == {}
    with pytest.raises(RuntimeError, match="sizes differ"):
        batch_curve(wrong, CPU)


def test_rates_of_the_machine_are_operations_and_bytes_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """2·n³ operations of a product, and every byte read and written, by the best of the seconds (here 0.5 s)."""
    seconds = iter([9.0, 3.0, 0.5, 2.0, 1.0, 1.0] * 2)

    def known(work: Callable[[], object], device: torch.device) -> float:
        work()
        return next(seconds)

    monkeypatch.setattr(roofline, "seconds_of", known)
    assert product_rate(CPU, "bfloat16", side=4) == 2 * 4**3 / 0.5
    assert copy_rate(CPU, size=1000) == 2 * 1000 / 0.5


def test_bytes_that_operations_move() -> None:
    """A product of two 4×4 float32 matrices reads and writes three of 64 bytes; a view moves nothing; a matrix of one
    number that is expanded to 16 is read as 4 bytes, and their sum is written as 64."""
    a, b, one = torch.ones(4, 4), torch.ones(4, 4), torch.ones(1)
    assert bytes_moved(lambda: a @ b) == 3 * 64
    assert bytes_moved(lambda: a.view(2, 8)) == 0
    assert bytes_moved(lambda: a + one.expand(4, 4)) == 64 + 4 + 64


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch, ticking: list[float]) -> types.SimpleNamespace:
    """A driver whose device takes 100 W, whatever is done."""
    fake = types.SimpleNamespace(
        NVMLError=type("NVMLError", (Exception,), {}),
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1e5 * ticking[0],  # mJ
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(
        "torch.cuda.get_device_properties", lambda device: types.SimpleNamespace(uuid="123"), raising=False
    )
    monkeypatch.setattr(energy, "synchronize", lambda device: None)
    return fake


def test_energy_is_that_of_the_whole_device_by_images(
    nvml: types.SimpleNamespace, ticking: list[float]
) -> None:
    """100 W over batches of 4 images that take half a second are 12.5 J an image; over at least 2 s."""
    made = []

    def make(n: int) -> None:
        made.append(n)
        ticking[0] += 0.5

    assert energy_per_image(make, 4, CUDA) == pytest.approx(12.5)
    assert made == [4, 4, 4, 4]


def test_where_nobody_counts_energy_that_is_said(
    nvml: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor; a driver that does not count; a package that is not installed, with the way to get it."""

    def refuse(handle: object) -> float:
        raise nvml.NVMLError("Not Supported")

    with pytest.raises(MetricFailed, match="nobody counts the energy of cpu"):
        energy_per_image(print, 1, CPU)
    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    with pytest.raises(MetricFailed, match=r"counts no energy of this device \(Not Supported\)"):
        energy_per_image(print, 1, CUDA)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MetricFailed, match="pip install nvidia-ml-py"):
        energy_per_image(print, 1, CUDA)


def training(*scans: tuple[int, float | None]) -> TrainingResult:
    """One of 200 steps in 50 s."""
    curves = [{"step": float(step), **({} if d is None else {DISTANCE: d})} for step, d in scans]
    return TrainingResult(curves, 1.0, 200, 50.0, False, 1.0)


def test_time_to_quality_is_the_first_scan_that_reaches_it() -> None:
    """A quarter of a second a step: 80 at step 100 after 90 at step 50 is 25 s, and no less than 12.5; what comes
    later, and rows without a scan, do not count."""
    run = training((25, None), (50, 90.0), (75, None), (100, 80.0), (150, 200.0), (200, 10.0))
    found = time_to_quality(run, 80)
    assert (found.low, found.value, found.high) == (12.5, 25.0, 25.0)
    assert time_to_quality(run, 95).low == 0


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (None, "nothing was trained"),
        (training((100, None)), "nobody looked while it was trained"),
        (training((100, 7.0), (200, 6.5)), r"never fell to 5 in 200 steps; the lowest was 6\.5"),
        (training((100, float("nan"))), "nobody looked"),
    ],
)
def test_why_there_is_no_time_to_quality(run: TrainingResult | None, why: str) -> None:
    """In one sentence."""
    with pytest.raises(MetricFailed, match=why):
        time_to_quality(run, 5)


def tiny(n: int = 40) -> TrainingData:
    images = torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8).expand(-1, 3, -1, -1).contiguous()
    return TrainingData(images, None, images[:4])


def test_a_step_of_training_is_timed_by_the_steps_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 steps after 3; a WGAN's critic draws 5 batches and the generator's step none of its own, so images are 5
    batches of 16 a step, whatever the clock says."""
    model = build_model("wgan-gp", {"width": 2, "latent": 2}, SPEC)
    config = TrainingConfig(batch_size=16, epochs=3, monitor_every=5, patience=0)
    steps, images = training_rates(model, tiny(), config, seed=0, device=CPU)
    assert steps.interval == images.interval == "range of 20 steps"
    per_step = build_model("wgan-gp", {"width": 2, "latent": 2}, SPEC).config.n_dis  # type: ignore[union-attr]
    assert images.value / steps.value == pytest.approx(16 * per_step)
    assert steps.low is not None
    assert steps.high is not None
    assert 0 < steps.low <= steps.value <= steps.high


def test_a_training_that_is_slow_ends_when_the_budget_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no budget at all the fewest steps that make a range are taken; fewer images than a batch are all that a step
    draws."""
    monkeypatch.setattr(training_rate, "BUDGET", 0.0)
    model = build_model("vae", {"width": 2, "depth": 1, "hidden": 4, "latent": 2}, SPEC)
    config = TrainingConfig(batch_size=64)
    steps, images = training_rates(model, tiny(), config, seed=0, device=CPU)
    assert steps.interval == f"range of {training_rate.FEWEST + 1} steps"
    assert images.value / steps.value == pytest.approx(40)


def test_bytes_of_weights_are_those_that_an_answer_needs() -> None:
    """A decoder's parameters at 4 bytes, the encoder's not; in int8 a byte a weight, a scale a filter at 8 bytes or one
    a transposed convolution, and biases at 4."""
    model = build_model("vae", {"width": 4, "depth": 1, "hidden": 8, "latent": 2}, SPEC).eval()
    parameters = sum(p.numel() for p in model.decoder.parameters())  # type: ignore[union-attr]

    def show(own: Any) -> object:
        return own.sample(2, ImageRng(0, range(2), CPU))

    assert stored_bytes(model, show) == 4 * parameters
    layers = [own for own in model.decoder.modules() if hasattr(own, "weight")]  # type: ignore[union-attr]
    expected = 0
    for layer in layers:
        scales = 8 if isinstance(layer, nn.ConvTranspose2d) else 8 * layer.weight.shape[0]  # type: ignore[union-attr,operator]
        expected += layer.weight.numel() + scales + 4 * layer.bias.numel()  # type: ignore[union-attr,operator]
    assert stored_bytes(accelerated(model, techniques_of("int8"), show, CPU), show) == expected


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None or sys.platform != "linux", reason="no compiler, or no count")
def test_a_compiler_is_no_part_of_what_it_compiled() -> None:
    """A network of 23 MiB took 211 with the compiler among them, and 33 without: less than two and a half times what it
    takes uncompiled, measured in the same minute."""
    made: Any = {"width": 8, "latent": 8}, {}, spec_of(SPEC)
    plain, compiled = (peak_alone(Asked("dcgan", *made, variant, None)) for variant in ("", "compile"))
    assert compiled < 2.5 * plain


@pytest.mark.costly
def test_a_compiled_network_has_the_same_weights() -> None:
    """Its modules are not called by name any more, and are counted all the same."""
    model = build_model("vae", {"width": 4, "depth": 1, "hidden": 8, "latent": 2}, SPEC).eval()

    def show(own: Any) -> object:
        return own.sample(2, ImageRng(0, range(2), CPU))

    compiled = accelerated(model, techniques_of("compile=eager"), show, CPU)
    assert stored_bytes(compiled, show) == stored_bytes(model, show) > 0


@pytest.mark.costly
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts it")
def test_memory_alone_holds_the_weights_that_answer_and_not_the_interpreter() -> None:
    """An MLP whose decoder has 40 MiB of weights and whose encoder as many: at least the decoder's, since they are read
    and lie in memory, and less than both, let alone the hundreds of MiB of torch or a copy made meanwhile. What the
    libraries touch for the first time when they compute is within that."""
    hyper = {"width": 2048, "depth": 2, "latent": 2}
    spec = ImageSpec(32, 32, False, 0)
    model = build_model("vae-mlp", hyper, spec)
    needed = sum(p.nbytes for p in model.decoder.parameters()) / 2**20  # type: ignore[union-attr]
    everything = sum(p.nbytes for p in model.parameters()) / 2**20
    assert everything > 1.9 * needed
    found = peak_alone(Asked("vae-mlp", hyper, {}, spec_of(spec), "", None))
    assert needed * 0.95 < found < 1.6 * needed


def test_what_no_answer_needs_is_let_go() -> None:
    """The encoder's bytes, each of its parameters at four; images are the same afterwards."""
    model = build_model("vae-mlp", {"width": 8, "depth": 1, "latent": 2}, SPEC).eval()
    rest = sum(p.nbytes for p in model.encoder.parameters())  # type: ignore[union-attr]

    def show(own: Any) -> Any:
        return own.sample(2, ImageRng(0, range(2), CPU))

    before = show(model)
    assert let_go(model, show) == rest > 0
    assert torch.equal(show(model), before)
    assert all(p.numel() == 0 for p in model.encoder.parameters())  # type: ignore[union-attr]
    assert let_go(model, show) == 0


@pytest.mark.costly
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts it")
def test_a_child_that_fails_says_why() -> None:
    """Its last words become the reason of the row."""
    with pytest.raises(MetricFailed, match=r"the process that measures it failed: .*unknown model"):
        peak_alone(Asked("nothing", {}, {}, spec_of(SPEC), "", None))


def test_elsewhere_nobody_counts_memory_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No file of the kernel's, no number."""
    monkeypatch.setattr("benchbench.tasks.profiling.alone._REFS", tmp_path / "none")
    with pytest.raises(MetricFailed, match="only Linux"):
        peak_alone(Asked("vae", {}, {}, spec_of(SPEC), "", None))


def test_a_cap_of_the_curve_is_where_people_look() -> None:
    """The docs and `--help` say 256 and 65,536."""
    assert (curve.MOST_ON_CPU, curve.MOST) == (256, 65_536)
