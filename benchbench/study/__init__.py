"""The human study: people asked beside the metrics, without being told which model made what.

`benchbench study` from Python. The verbs stand in a room above, which nothing here imports before one is asked for: a
package of this name would hide an entry of `benchbench` itself, so that what is called `benchbench.study.create` is
named here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbench.verbs.study.create import create
    from benchbench.verbs.study.export_answers import export_answers
    from benchbench.verbs.study.export_html import export_html
    from benchbench.verbs.study.hand_in import import_answers
    from benchbench.verbs.study.plan import plan
    from benchbench.verbs.study.score import score
    from benchbench.verbs.study.serve import serve
    from benchbench.verbs.study.status import status

__all__ = ["create", "export_answers", "export_html", "import_answers", "plan", "score", "serve", "status"]

_LAZY = {
    "create": "benchbench.verbs.study.create",
    "export_answers": "benchbench.verbs.study.export_answers",
    "export_html": "benchbench.verbs.study.export_html",
    "import_answers": "benchbench.verbs.study.hand_in",
    "plan": "benchbench.verbs.study.plan",
    "score": "benchbench.verbs.study.score",
    "serve": "benchbench.verbs.study.serve",
    "status": "benchbench.verbs.study.status",
}

# As the verb is called, where that is no name in Python.
_ALIASES = {"export-answers": "export_answers", "export-html": "export_html", "import": "import_answers"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    asked = _ALIASES.get(name, name)
    if asked in _LAZY:
        return getattr(import_module(_LAZY[asked]), asked)
    raise AttributeError(f"module 'benchbench.study' has no attribute {name!r}")
