"""How wide a text is in Times, as an estimate of what TeX will do, to know what fits on a line of a paper.

Widths are those of Adobe's metrics of Times-Roman (ptmr8a.afm), in thousandths of the size. Computer Modern, which is
what an article without a style has, is up to a tenth wider; its text is wider by more than that as well (469 pt).
"""

from __future__ import annotations

import re

# Of the characters from the blank to the tilde.
_TIMES = (
    *(250, 333, 408, 500, 500, 833, 778, 333, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500),
    *(500, 500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722),
    *(722, 333, 389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333),
    *(278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500),
    *(500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541),
)
_OTHER = 1000  # of a character beyond ASCII: an arrow, a letter of another script
_MATHS = {
    "$-$": 778,
    "{+": 778,  # a sign before an index
    "{-": 778,
    r"\uparrow": 500,
    r"\downarrow": 500,
    r"\infty": 1000,
    r"\pm": 778,
    r"\dagger": 444,
    r"\ast": 500,
    r"\times": 778,
    r"\,": 167,
}


def tex_width(tex: str, size: float) -> float:
    """The width of a piece of TeX in pt, at a font of `size` pt.

    Of macros only those that tables are written with are known. An index counts like what is on the line: mathematics
    has Computer Modern, whose smallest fonts are half as wide again as their size says.

    >>> round(tex_width("12.5", 10), 2), round(tex_width(r"FD $\\downarrow$", 10), 2)
    (17.5, 20.28)
    """
    text = re.sub(r"\\(bfseries|scriptsize) ?", "", tex)
    text = re.sub(r"\\text(backslash|asciitilde|asciicircum|less|greater|bar)\{\}", "=", text)
    text = re.sub(r"\\[&%]", "m", text)
    text = re.sub(r"\\[$#_{}]", "0", text)  # as wide as a figure
    text = re.sub(r"\\textsuperscript\{([^{}]*)\}", r"^{\1}", text)
    total = 0.0
    for pattern in (_ABOVE_EACH_OTHER, _INDEX):
        total += sum(max(map(_flat, match.groups())) for match in pattern.finditer(text))
        text = pattern.sub("", text)
    return (total + _flat(text)) * size / 1000


_PART = r"(\{[^{}]*\}|\\[a-zA-Z]+|.)"
_ABOVE_EACH_OTHER = re.compile(rf"\^{_PART}_{_PART}")
_INDEX = re.compile(rf"[\^_]{_PART}")


def _flat(text: str) -> float:
    """In thousandths, of a text without indices."""
    total = 0.0
    for macro, width in _MATHS.items():
        total += width * text.count(macro)
        text = text.replace(macro, "")
    text = re.sub(r"[${}]", "", text)
    return total + sum(_TIMES[ord(c) - 32] if 32 <= ord(c) < 127 else _OTHER for c in text)
