"""Python processes that this one starts: the same benchbench, whatever lies in the working directory.

Python puts the working directory before everything else where it is told `-m` or `-c`, and a `torch.py` there would be
run in place of torch. So children are started with `-P`. What is on `PYTHONPATH` was put there on purpose and counts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_START = (
    "import importlib, sys, typing; root, module = sys.argv[1:3]; del sys.argv[1:3]; "
    # The package of the parent, wherever it is from; what else lies beside it comes where it always does.
    "sys.path.insert(0, root); import benchbench; sys.path.remove(root); "
    "sys.exit(importlib.import_module(module).main())"
)


def python_command(module: str) -> list[str]:
    """The command that runs `main` of a module of ours in a fresh interpreter; its exit code is what that returns."""
    return [sys.executable, "-P", "-c", _START, str(Path(__file__).parents[2]), module]


def python_environment(**changes: str) -> dict[str, str]:
    """This process's environment for such a child, which writes UTF-8 whatever the terminal of this one can show."""
    return {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace", **changes}
