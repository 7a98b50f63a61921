"""What a rater reads before the first item: a template a kind, and what of it nobody has filled in yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchbench.core.paths import printable
from benchbench.study.kinds import KINDS

_ASKED = {
    "pairwise": "You will be shown two pictures at a time, and say which of them you prefer, by one question.",
    "real-or-fake": "You will be shown one picture at a time, and say whether it is real or was made by a computer. "
    "Both kinds are among them.",
    "closer-to-source": "You will be shown a picture and, below it, two others, and say which of these two is closer "
    "to the one above.",
    "triplet": "You will be shown three pictures at a time, of which one was made by a computer, and say which one.",
}
_TEMPLATE = """\
[TITLE OF THE STUDY]

{asked} Many of the pictures were made by computers. The study is about [PURPOSE].

It takes about [MINUTES] minutes. It is run by [RESEARCHER], [INSTITUTION], and was approved by [APPROVAL: BOARD AND \
NUMBER]. Questions go to [CONTACT].

In a few questions the answer is plain to see, by which we find who does not look; answers of whoever misses many of \
them are not counted.

Your answers, the time that each takes and when it was given are kept under a number that is made up for you. No name, \
no address and nothing about your device is kept with them. They are kept for [RETENTION].

Taking part is voluntary. You may stop at any time, and go on later in the same browser. Your number stands below \
every question and at the end: to have your answers removed, tell it to the contact above.

By starting you agree that your answers are used for research.
"""
_BLANK = re.compile(r"\[[A-Z][A-Z :,/-]*\]")


def template(kind: str) -> str:
    """The text for a kind of study, with words in [BRACKETS] where only whoever runs it knows what to say."""
    assert kind in KINDS
    return _TEMPLATE.format(asked=_ASKED[kind])


def blanks(text: str) -> list[str]:
    """The brackets that are left in a text, each once.

    >>> blanks("Ask [CONTACT] or [HER], not [him]; [CONTACT] knows.") == ["[CONTACT]", "[HER]"]
    True
    """
    return list(dict.fromkeys(_BLANK.findall(text)))


def unfinished(path: Path, left: Sequence[str]) -> str:
    """The sentence for who is about to show such a text to people."""
    return f"{printable(path)} still says {', '.join(left)}, as raters will read; write what is meant instead"
