"""The speed protocol: how fast, how large, how dear.

Rates are medians over repeats after a warm-up, with their range; the machine and how busy others kept it are in the
record beside them, since a rate means nothing without them. Throughput is measured at a stated batch size, latency
on one image. A sampler that takes minutes is repeated less often and on smaller batches; the rows say how. What takes
part in making an image is not assumed, it is watched while one is made.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from benchbench.core.busy import Busy
from benchbench.core.device import synchronize
from benchbench.core.protocols import Generator
from benchbench.core.scales import Range, Scale
from benchbench.core.seeds import ImageRng
from benchbench.metrics.metric import Aspect, Estimate
from benchbench.tasks.profiling.clock import repeated, seconds_of

REPEATS = 5
LATENCY_REPEATS = 50
BUDGET = 20.0  # seconds that a batch may take, and all repeats together where the fewest allow it
SHORTEST = 0.5  # seconds over which other programs are watched: the kernel counts in hundredths


@dataclass(frozen=True)
class Measurement:
    """One number that is no metric on evidence, with what its row in the record says.

    Attributes:
        metric: Its name in the record.
        aspect: "throughput" for rates and latencies, "cost" for sizes and counts; of what a task counts itself one of
            the others, for example "quality".
        unit: "images/s", "ms", "MiB", …; "" for a count.
        higher_is_better: None for what is no property of a model, such as the load of the machine.
        estimate: The number, with its range where it was repeated; None where there is none.
        n_images: On how many images it was measured, a batch or one; None where on none.
        scale: On which its spread is even; rates and sizes scatter in proportion.
        ends: The smallest and the largest value it can take; None for an end that is open.
        version: Raised when the same name comes to mean another quantity.
        reason: Why there is no number, in one sentence; None where there is one.
    """

    metric: str
    aspect: Aspect
    unit: str
    higher_is_better: bool | None
    estimate: Estimate | None
    n_images: int | None = None
    scale: Scale = "log"
    ends: Range = (0.0, None)
    version: int = 1
    reason: str | None = None


def measure_sampling(
    model: Generator, *, device: torch.device, batch_size: int, seed: int = 0
) -> list[Measurement]:
    """`measure_rates` of samples. Includes drawing the latents and quantising, as a user pays for them."""
    return measure_rates(
        lambda n: model.sample(n, ImageRng(seed, range(n), device)), device=device, batch_size=batch_size
    )


def measure_rates(
    make: Callable[[int], object], *, device: torch.device, batch_size: int
) -> list[Measurement]:
    """How fast images are made: medians and ranges over repeats after a warm-up.

    Where a batch would take longer than 20 seconds, it is the largest by doubling that does not; where all repeats
    would, there are fewer of them, at least three. The rows say both.

    Args:
        make: Makes so many images and hands them out as uint8; writing files is not counted.
        device: Where; its queue is waited for before a clock is read.
        batch_size: How many images a batch.

    Returns:
        Images/s at this batch size (of five repeats), the latency of one image in ms (p50 and p95 of fifty), and how
        many cores other programs kept busy meanwhile.
    """

    def sample(n: int) -> None:
        with torch.inference_mode():
            make(n)

    busy, started = Busy(), time.perf_counter()
    singles = repeated(lambda: sample(1), LATENCY_REPEATS, device, budget=BUDGET)
    n = _batch_in_budget(sample, batch_size, statistics.median(singles), device)
    rates = [n / seconds for seconds in repeated(lambda: sample(n), REPEATS, device, budget=BUDGET)]
    latencies = [1e3 * seconds for seconds in singles]
    while time.perf_counter() - started < SHORTEST:
        sample(batch_size)
    others, seconds = busy.others()
    p50, p95 = np.percentile(latencies, [50, 95])
    rate = Estimate(statistics.median(rates), min(rates), max(rates), f"range of {len(rates)} repeats")
    latency = Estimate(float(p50), min(latencies), max(latencies), f"range of {len(latencies)} repeats")
    return [
        Measurement("sampling_rate", "throughput", "images/s", True, rate, n),
        Measurement("latency_p50", "throughput", "ms", False, latency, 1),
        Measurement("latency_p95", "throughput", "ms", False, Estimate(float(p95)), 1),
        busy_row(others / seconds),
    ]


def _batch_in_budget(
    sample: Callable[[int], None], batch_size: int, seconds_of_one: float, device: torch.device
) -> int:
    """`batch_size`, or what of it takes `BUDGET` seconds at most: found by doubling, since the images of a batch do not
    take the time of as many single ones."""
    if seconds_of_one * batch_size <= BUDGET:
        return batch_size
    n = 1
    while n < batch_size:
        larger = min(2 * n, batch_size)
        if seconds_of(lambda: sample(larger), device) > BUDGET:  # noqa: B023  called at once
            break
        n = larger
    return n


def busy_row(cores: float) -> Measurement:
    """`machine_busy`: how many cores programs other than this one kept busy while it was timed, the mean."""
    return Measurement("machine_busy", "cost", "cores", None, Estimate(cores))


def measure_cost(
    model: nn.Module, *, device: torch.device, once: Callable[[], object] | None = None
) -> list[Measurement]:
    """What the model takes, and how busy the machine was.

    Args:
        model: On `device`.
        device: Where it computes.
        once: Makes one image, where that is not `model.sample`.

    Returns:
        Parameters that are read to make one image, and all of them (a discriminator and an encoder are only trained
        with); how often a network is evaluated for it (a model whose network is no part of it states that as
        `evaluations_per_image`); the floating-point operations of it (2 a multiply-add; convolutions and matrix
        products, counted by torch's FlopCounterMode); the peak memory in MiB, on CUDA that of one image and the
        weights, elsewhere the largest resident set of the process; the machine's load over the last minute. Of a model
        whose network is out of sight (`outside` says why) neither parameters nor operations.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a third of a second to import

    def sample() -> object:
        return model.sample(1, ImageRng(0, [0], device))  # type: ignore[operator]

    work = once or sample
    counter, used = FlopCounterMode(display=False), _Used(model)
    with torch.no_grad(), counter, used, _Evaluations(model) as evaluations:
        work()
    everything = float(sum(p.numel() for p in model.parameters()))
    hidden = getattr(model, "outside", "") or None

    def seen(number: float) -> Estimate | None:
        return None if hidden else Estimate(number)

    return [
        Measurement("parameters_sampling", "cost", "", False, seen(float(used.numel())), 1, reason=hidden),
        Measurement("parameters_training", "cost", "", False, seen(everything), reason=hidden),
        Measurement("network_evaluations", "cost", "", False, Estimate(evaluations.of_one_image()), 1),
        Measurement(
            "flops_per_image", "cost", "FLOP", False, seen(float(counter.get_total_flops())), 1, reason=hidden
        ),
        _peak_memory(model, work, device),
        Measurement("machine_load", "cost", "runnable processes", None, Estimate(psutil.getloadavg()[0])),
    ]


class _Evaluations:
    """Counts how often a network is evaluated while one image is made: the rows that the most used of the modules
    which nothing else calls is given. 1 for a GAN or a decoder, the steps of an iterative sampler, twice as many where
    each is evaluated with and without a condition, 0 for a control row. A model whose network is no part of it states
    the number as `evaluations_per_image`."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._rows: Counter[str] = Counter()
        self._depth = 0
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> _Evaluations:
        for name, module in self.model.named_modules():
            if name and any(True for _ in module.parameters()):
                self._hooks += [
                    module.register_forward_pre_hook(partial(self._begins, name)),
                    module.register_forward_hook(self._ends, always_call=True),
                ]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _begins(self, name: str, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        first = arguments[0] if arguments else None
        if not self._depth:
            self._rows[name] += len(first) if isinstance(first, Tensor) and first.ndim else 1
        self._depth += 1

    def _ends(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        self._depth -= 1

    def of_one_image(self) -> float:
        """The number, once one image was made."""
        stated = getattr(self.model, "evaluations_per_image", None)
        return float(max(self._rows.values(), default=0) if stated is None else stated)


class _Used(TorchDispatchMode):
    """Sees which parameters of a model any operation reads. Hooks on modules would miss a parameter that is no
    module's weight, and count one whose module only passes by."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # By storage: an operation may be handed a view, or a detached alias.
        self._sizes: Counter[int] = Counter()
        for parameter in model.parameters():
            self._sizes[_storage(parameter)] += parameter.numel()
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in tree_leaves((args, kwargs or {})):
            if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
                self._seen.add(_storage(leaf))
        return func(*args, **(kwargs or {}))

    def numel(self) -> int:
        """Numbers in the parameters seen."""
        return sum(size for storage, size in self._sizes.items() if storage in self._seen)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _peak_memory(model: nn.Module, work: Callable[[], object], device: torch.device) -> Measurement:
    """On CUDA what the allocator had handed out at the peak of one `work()` beyond what was there before, and the
    weights: the same whether they were trained or loaded, and whatever extractors lie beside them. Elsewhere nobody
    counts allocations, so it is the largest resident set of this process so far, interpreter, data and extractors
    included. Two quantities, two names."""
    if device.type == "cuda":
        weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        with torch.no_grad():
            work()
        synchronize(device)
        peak, name = torch.cuda.max_memory_allocated(device) - before + weights, "peak_memory_cuda"
        return Measurement(name, "cost", "MiB", False, Estimate(peak / 2**20), 1, version=2)
    return Measurement("peak_memory_rss", "cost", "MiB", False, Estimate(own_peak_rss() / 2**20), version=2)


def own_peak_rss() -> int:
    """The largest resident set of this process so far, bytes.

    Linux keeps `ru_maxrss` when a process becomes another program: a child of a large process would report its
    parent's. VmHWM starts anew there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024  # kibibytes, whatever their name
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
