"""benchbench: train, score and compare generative image models with numbers that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from benchbench.metrics.pairs.paired import psnr, ssim
    from benchbench.metrics.sets.frechet import frechet_distance
    from benchbench.metrics.sets.inception_score import inception_score
    from benchbench.metrics.sets.kernel import kernel_distance
    from benchbench.metrics.sets.prdc import prdc
    from benchbench.metrics.sets.vendi import vendi_score
    from benchbench.results.load import load_results
    from benchbench.runner.evaluate import evaluate
    from benchbench.runner.run import run

__all__ = [
    "__version__",
    "evaluate",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "load_results",
    "prdc",
    "psnr",
    "run",
    "ssim",
    "vendi_score",
]

# Imported on first use: `import benchbench` and `benchbench --help` must not wait for torch.
_LAZY = {
    "evaluate": "benchbench.runner.evaluate",
    "frechet_distance": "benchbench.metrics.sets.frechet",
    "inception_score": "benchbench.metrics.sets.inception_score",
    "kernel_distance": "benchbench.metrics.sets.kernel",
    "load_results": "benchbench.results.load",
    "prdc": "benchbench.metrics.sets.prdc",
    "psnr": "benchbench.metrics.pairs.paired",
    "run": "benchbench.runner.run",
    "ssim": "benchbench.metrics.pairs.paired",
    "vendi_score": "benchbench.metrics.sets.vendi",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'benchbench' has no attribute {name!r}")
