"""What takes answers starts at once."""

from __future__ import annotations

import subprocess
import sys


def test_whoever_takes_answers_imports_no_torch() -> None:
    """By the contract of the room: a page is served, answers are added and looked at without torch."""
    names = (
        "study.answers",
        "study.handed_in",
        "study.standing",
        "verbs.study.status",
        "verbs.study.hand_in",
        "verbs.study.score",
        "verbs.study.plan",
        "verbs.study.export_answers",
    )
    code = "import sys, " + ", ".join(f"benchbench.{name}" for name in names)
    code += "; print('torch' in sys.modules, 'benchbench.data' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr
