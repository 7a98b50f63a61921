"""benchbench: train, score and compare generative image models with numbers that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from benchbench.results.load import load_results
    from benchbench.runner.run import run

__all__ = ["__version__", "load_results", "run"]

# Imported on first use: `import benchbench` and `benchbench --help` must not wait for torch.
_LAZY = {"run": "benchbench.runner.run", "load_results": "benchbench.results.load"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'benchbench' has no attribute {name!r}")
