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
    from benchbench.models.given.family import generator
    from benchbench.results.load import load_results
    from benchbench.runner.evaluate import evaluate
    from benchbench.runner.run import run
    from benchbench.runner.scorer import Scorer
    from benchbench.verbs.check import check
    from benchbench.verbs.cite import cite
    from benchbench.verbs.compare import compare, plan
    from benchbench.verbs.doctor import doctor
    from benchbench.verbs.job import job
    from benchbench.verbs.leaderboard import leaderboard
    from benchbench.verbs.listing import list_things
    from benchbench.verbs.migrate import migrate
    from benchbench.verbs.report import report
    from benchbench.verbs.stats import stats
    from benchbench.verbs.suite import suite

__all__ = [
    "Scorer",
    "__version__",
    "check",
    "cite",
    "compare",
    "doctor",
    "evaluate",
    "frechet_distance",
    "generator",
    "inception_score",
    "job",
    "kernel_distance",
    "leaderboard",
    "list_things",
    "load_results",
    "migrate",
    "plan",
    "prdc",
    "psnr",
    "report",
    "run",
    "ssim",
    "stats",
    "suite",
    "vendi_score",
]

# Imported on first use: `import benchbench` and `benchbench --help` must not wait for torch.
_LAZY = {
    "Scorer": "benchbench.runner.scorer",
    "check": "benchbench.verbs.check",
    "cite": "benchbench.verbs.cite",
    "compare": "benchbench.verbs.compare",
    "doctor": "benchbench.verbs.doctor",
    "evaluate": "benchbench.runner.evaluate",
    "frechet_distance": "benchbench.metrics.sets.frechet",
    "generator": "benchbench.models.given.family",
    "inception_score": "benchbench.metrics.sets.inception_score",
    "kernel_distance": "benchbench.metrics.sets.kernel",
    "leaderboard": "benchbench.verbs.leaderboard",
    "list_things": "benchbench.verbs.listing",
    "load_results": "benchbench.results.load",
    "job": "benchbench.verbs.job",
    "migrate": "benchbench.verbs.migrate",
    "plan": "benchbench.verbs.compare",
    "prdc": "benchbench.metrics.sets.prdc",
    "psnr": "benchbench.metrics.pairs.paired",
    "report": "benchbench.verbs.report",
    "run": "benchbench.runner.run",
    "ssim": "benchbench.metrics.pairs.paired",
    "stats": "benchbench.verbs.stats",
    "suite": "benchbench.verbs.suite",
    "vendi_score": "benchbench.metrics.sets.vendi",
}

# As the verb is called. Not in `__all__`: `from benchbench import *` must not take Python's own `list` away.
_ALIASES = {"list": "list_things"}


def __getattr__(name: str) -> Any:
    asked = _ALIASES.get(name, name)
    if asked in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[asked]), asked)
    raise AttributeError(f"module 'benchbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ALIASES})
