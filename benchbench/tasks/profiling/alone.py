"""The memory that a model takes to answer, alone in a process: of a processor nobody else counts it.

The child imports, notes how much memory it holds, builds the model, loads its weights, changes it as its techniques
say, gives back what no answer needs, starts the kernel's peak anew and has the model answer once. What it took at most
beyond the imports is weights and maps of what answers, and nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchbench.core.children import python_command, python_environment
from benchbench.core.errors import MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.variants.technique import accelerated, rebuilt, techniques_of
from benchbench.tasks.profiling.stored import let_go
from benchbench.tasks.speed import own_peak_rss
from benchbench.training.weights import load_weights

_CPU = torch.device("cpu")
_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
PEAK_ANEW = "5"  # https://docs.kernel.org/filesystems/proc.html: resets the peak resident set
LONGEST = 600.0  # seconds


@dataclass(frozen=True)
class Asked:
    """A model as a child builds it. hyper, sampling: as in a recipe. weights: a file of ours; None for a model without.
    n: how many images it answers at once."""

    model: str
    hyper: dict[str, Any]
    sampling: dict[str, Any]
    spec: dict[str, Any]
    variant: str
    weights: str | None
    n: int = 1


def peak_alone(asked: Asked) -> float:
    """The memory of one answer in a process of its own.

    Args:
        asked: The model.

    Returns:
        MiB; the weights that answer are included, those that are only trained with and the interpreter with its
        libraries are not.

    Raises:
        MetricFailed: This system keeps no such count, or the child failed.
    """
    if not (_REFS.exists() and _STATUS.exists()):
        raise MetricFailed("only Linux tells a process how much memory it took at most since it asked")
    try:
        ended = subprocess.run(
            python_command(__name__),
            input=json.dumps(asdict(asked)),
            capture_output=True,
            text=True,
            env=python_environment(),
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MetricFailed(f"the process that measures it took more than {LONGEST:g} s") from error
    last = (ended.stdout.strip().splitlines() or [""])[-1]
    if ended.returncode:
        why = last or (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MetricFailed(f"the process that measures it failed: {why}")
    return float(json.loads(last)["mib"])


def spec_of(spec: ImageSpec) -> dict[str, Any]:
    """The spec as JSON has it, of data that are not degraded."""
    names = ("height", "width", "grey", "n_classes", "condition_dim")
    return {name: getattr(spec, name) for name in names}


def main() -> int:
    """The child: what standard input asks, one line of JSON."""
    asked = Asked(**json.load(sys.stdin))
    if any(own.name == "compile" for own in techniques_of(asked.variant)):
        _load_compiler(asked)
    before = _resident()
    model = _made(asked)
    let_go(model, lambda own: _answer(own, asked))
    gc.collect()
    _give_back()
    _REFS.write_text(PEAK_ANEW)
    with torch.inference_mode():
        _answer(model, asked)
    print(json.dumps({"mib": (own_peak_rss() - before) / 2**20}), flush=True)
    return 0


def _load_compiler(asked: Asked) -> None:
    """Compile a copy and forget it: a compiler takes ten times the memory of a small model, and what it leaves is no
    part of an answer. The second time it finds what it made."""
    _answer(_made(asked), asked)
    torch._dynamo.reset()
    gc.collect()
    _give_back()


def _give_back() -> None:
    """What was freed goes back to the system, where the C library can be asked (glibc keeps it else)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _made(asked: Asked) -> nn.Module:
    model = build_model(asked.model, asked.hyper, ImageSpec(**asked.spec), asked.sampling)
    techniques = techniques_of(asked.variant)

    def show(own: nn.Module) -> object:
        return _answer(own, asked)

    rebuilt(model, techniques, show, _CPU)
    if asked.weights is not None:
        load_weights(model, Path(asked.weights))
    model.eval().requires_grad_(False)
    return accelerated(model, techniques, show, _CPU)


def _answer(model: Any, asked: Asked) -> object:
    if hasattr(model, "sample"):
        return model.sample(asked.n, ImageRng(0, range(asked.n), _CPU))
    spec = asked.spec
    return model.classify(torch.zeros(asked.n, 3, spec["height"], spec["width"], dtype=torch.uint8))


def _resident() -> int:
    """Bytes that this process holds now."""
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
