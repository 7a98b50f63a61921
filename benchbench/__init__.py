"""benchbench: train, score and compare generative image models with numbers that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from benchbench import study
    from benchbench.core.processes import ranks
    from benchbench.metrics.pairs.paired import psnr, ssim
    from benchbench.metrics.sets.frechet import frechet_distance
    from benchbench.metrics.sets.inception_score import inception_score
    from benchbench.metrics.sets.kernel import kernel_distance
    from benchbench.metrics.sets.prdc import prdc
    from benchbench.metrics.sets.vendi import vendi_score
    from benchbench.models.given.family import generator
    from benchbench.runner.evaluate import evaluate
    from benchbench.runner.run import run
    from benchbench.runner.scorer import Scorer
    from benchbench.verbs import audit, plot
    from benchbench.verbs.check import check
    from benchbench.verbs.cite import cite
    from benchbench.verbs.compare import compare, plan
    from benchbench.verbs.completion import completion
    from benchbench.verbs.diff import diff
    from benchbench.verbs.doctor import doctor
    from benchbench.verbs.export import export
    from benchbench.verbs.fetch import fetch
    from benchbench.verbs.init import init
    from benchbench.verbs.job import job
    from benchbench.verbs.leaderboard import leaderboard
    from benchbench.verbs.listing import list_things
    from benchbench.verbs.load import load_results
    from benchbench.verbs.merge import merge
    from benchbench.verbs.migrate import migrate
    from benchbench.verbs.profile import profile
    from benchbench.verbs.report import report
    from benchbench.verbs.stats import stats
    from benchbench.verbs.suite import suite
    from benchbench.verbs.verify import verify

__all__ = [
    "Scorer",
    "__version__",
    "audit",
    "check",
    "cite",
    "compare",
    "completion",
    "diff",
    "doctor",
    "evaluate",
    "export",
    "fetch",
    "frechet_distance",
    "generator",
    "inception_score",
    "init",
    "job",
    "kernel_distance",
    "leaderboard",
    "list_things",
    "load_results",
    "merge",
    "migrate",
    "plan",
    "plot",
    "prdc",
    "profile",
    "psnr",
    "ranks",
    "report",
    "run",
    "ssim",
    "stats",
    "study",
    "suite",
    "vendi_score",
    "verify",
]

# Imported on first use: `import benchbench` and `benchbench --help` must not wait for torch.
_LAZY = {
    "Scorer": "benchbench.runner.scorer",
    "check": "benchbench.verbs.check",
    "cite": "benchbench.verbs.cite",
    "compare": "benchbench.verbs.compare",
    "completion": "benchbench.verbs.completion",
    "diff": "benchbench.verbs.diff",
    "doctor": "benchbench.verbs.doctor",
    "evaluate": "benchbench.runner.evaluate",
    "export": "benchbench.verbs.export",
    "fetch": "benchbench.verbs.fetch",
    "frechet_distance": "benchbench.metrics.sets.frechet",
    "generator": "benchbench.models.given.family",
    "inception_score": "benchbench.metrics.sets.inception_score",
    "init": "benchbench.verbs.init",
    "kernel_distance": "benchbench.metrics.sets.kernel",
    "leaderboard": "benchbench.verbs.leaderboard",
    "list_things": "benchbench.verbs.listing",
    "load_results": "benchbench.verbs.load",
    "merge": "benchbench.verbs.merge",
    "job": "benchbench.verbs.job",
    "migrate": "benchbench.verbs.migrate",
    "plan": "benchbench.verbs.compare",
    "prdc": "benchbench.metrics.sets.prdc",
    "profile": "benchbench.verbs.profile",
    "psnr": "benchbench.metrics.pairs.paired",
    "ranks": "benchbench.core.processes",
    "report": "benchbench.verbs.report",
    "run": "benchbench.runner.run",
    "ssim": "benchbench.metrics.pairs.paired",
    "stats": "benchbench.verbs.stats",
    "suite": "benchbench.verbs.suite",
    "vendi_score": "benchbench.metrics.sets.vendi",
    "verify": "benchbench.verbs.verify",
}

# Verbs of several kinds: functions in a module.
_MODULES = {
    "audit": "benchbench.verbs.audit",
    "plot": "benchbench.verbs.plot",
    "study": "benchbench.study",
}

# As the verb is called. Not in `__all__`: `from benchbench import *` must not take Python's own `list` away.
_ALIASES = {"list": "list_things"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    asked = _ALIASES.get(name, name)
    if asked in _MODULES:
        return import_module(_MODULES[asked])
    if asked in _LAZY:
        return getattr(import_module(_LAZY[asked]), asked)
    raise AttributeError(f"module 'benchbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ALIASES})
