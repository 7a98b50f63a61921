"""What the names of image files say: in which order the files come, and which files of two sides belong together.

Order: numbers in names count as numbers (2.png before 10.png), so that files that somebody numbered come in the order
in which an array of the same images has them. No library: the standard one sorts text alone.

Partners: files of the same name. Where these are not equal on both
sides, suffixes (.png, .jpg), case, zeros before a number, and the words by which programs tell outputs from targets
(`ROLES`: 1_fake_B.png and 1_real_B.png, 1/fake.png and 1/real.png) are no part of a name. Nothing else is: what has no
partner is refused. Where every name on both sides is a number, in shards or not (seed0001.png, 000000/000001.png), it
is the number that counts. Letters with accents are the same in both of their Unicode forms, since macOS writes one of
them.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

ROLES = frozenset(
    re.findall(
        r"\w+",
        """a b fake real rec recon reconstructed reconstruction idt cycle generated generation gen synthesized
        synthesised sample samples output outputs out result results pred preds prediction predicted
        restored edited stylized stylised translated enhanced deblurred denoised upscaled colorized
        colourised target targets ground gt truth groundtruth reference ref original orig label labels input
        inputs source src hr sr lr hq lq blur blurred blurry sharp clean noisy hazy clear degraded img image
        x2 x3 x4 x8 srx2 srx3 srx4 srx8 x2sr x3sr x4sr x8sr""",
    )
)
"""Words at the beginning or the end of a file's name that say which side of a pair it is, as pix2pix, CycleGAN, SPADE
and the tools of super-resolution and restoration write them."""

_DIGITS = re.compile(r"(\d+)")
_SEED = re.compile(r"(?:\d{5,}/)?(?:seed|img|image|sample)?[-_]?(\d+)(?:\.\w+)?", re.IGNORECASE)
"""Files that are named by a seed or a number alone, in numbered shards or not, as StyleGAN and EDM write samples."""
_WORDS = re.compile(r"[-_. ]+")


def natural(name: str) -> str:
    """The key by which files are sorted: numbers in a relative POSIX name count as numbers, folder by folder.

    One text, for a million names have a million keys: \x01 begins a part (a folder, the file's stem, its suffix) and
    \x00 ends all of them, so that what ends comes before what goes on.

    >>> sorted(["b/1.png", "a10.png", "a2.png", "a02.png"], key=natural)
    ['a02.png', 'a2.png', 'a10.png', 'b/1.png']
    """
    folders, slash, file = name.rpartition("/")
    stem, suffix = posixpath.splitext(file)
    return f"{_folders(folders) if slash else ''}\x01{_runs(stem)}\x01{_runs(suffix)}\x00{name}"


@lru_cache(2**12)
def _folders(names: str) -> str:
    return "".join(f"\x01{_runs(part)}" for part in names.split("/"))


def _runs(text: str) -> str:
    """Text and numbers in turn, text first; \x00 ends a text, and a number is led by its length, for it may have
    thousands of digits."""
    runs = _DIGITS.split(text)
    for i in range(1, len(runs), 2):
        digits = _decimal(runs[i])
        runs[i] = f"\x00{chr(len(digits) + 2)}{digits}"
    return "".join(runs) + "\x00"


def _decimal(digits: str) -> str:
    """A number in any script, without zeros before it."""
    plain = digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)
    return plain.lstrip("0")


def in_order(names: Iterable[str]) -> list[str]:
    """Relative POSIX names in the order in which their images come."""
    return sorted(names, key=natural)


def below_shared(names: Sequence[str]) -> list[str]:
    """Names below the deepest folder they share, so that an archive with a folder around all pairs up too."""
    shared = shared_folder(names)
    return [PurePosixPath(name).relative_to(shared).as_posix() for name in names]


def shared_folder(names: Sequence[str]) -> str:
    """The deepest folder that all share, "" for that from which the names begin."""
    return posixpath.commonpath([posixpath.dirname(name) for name in names])


class Partners(NamedTuple):
    """Which files belong together. rows: (i, j) of all i for which file j of the other side is the partner, ascending.
    loosely: whether suffixes and more had to be left out of their names."""

    rows: list[tuple[int, int]]
    loosely: bool


def partners(a: Sequence[str], b: Sequence[str]) -> Partners:
    """The partners of files by their relative POSIX names; by the strictest rule under which every file of `a` has one,
    else by the strictest under which most have. What two files of one side would be called has no partner.

    >>> partners(["1_fake_B.png", "10_fake_B.png"], ["10_real_B.jpg", "1_real_B.jpg"])
    Partners(rows=[(0, 1), (1, 0)], loosely=True)
    """
    if not a or not b:
        return Partners([], False)
    best = Partners([], False)
    for loosely, called in _RULES:
        found = Partners(_equal(called(a), called(b)), loosely)
        if len(found.rows) > len(best.rows):
            best = found
        if len(best.rows) == len(a):
            break
    return best


def _equal(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """(i, j) of all i for which `b[j]` equals `a[i]`; what occurs twice on one side has no partner."""
    once = [{name for name, times in Counter(names).items() if times == 1} for names in (a, b)]
    rows = {name: j for j, name in enumerate(b) if name in once[1]}
    return [(i, rows[name]) for i, name in enumerate(a) if name in once[0] and name in rows]


def _without_suffix(names: Sequence[str]) -> list[str]:
    return [posixpath.splitext(name)[0] for name in names]


def _without_roles(names: Sequence[str]) -> list[str]:
    return [_bare(name) for name in _without_suffix(names)]


def _seeds(names: Sequence[str]) -> list[str]:
    """The number of each name, where every one has one and is named by it alone; nothing that pairs up otherwise.

    >>> _seeds(["000000/000012.png", "001000/001000.png"]), _seeds(["seed0012.png"]), _seeds(["cat12.png"])
    (['12', '1000'], ['12'], ['cat12.png'])
    """
    found = [_SEED.fullmatch(name) for name in names]
    if not all(found):
        return list(names)
    return [_decimal(match[1]) or "0" for match in found if match is not None]


_RULES: Sequence[tuple[bool, Callable[[Sequence[str]], Sequence[str]]]] = (
    (False, list),
    (True, _without_suffix),
    (True, _without_roles),
    (True, _seeds),
)


def _bare(name: str) -> str:
    """A name without suffix in lower case, its numbers without zeros before them, and without the words of `ROLES`
    before and behind; one that has nothing else is that of its folder, and without a folder keeps its first word.

    >>> [_bare(name) for name in ("IMG_007_fake_B", "0801x4", "cat/1_rec_A", "7/output", "7-outputs", "a b")]
    ['7', '801', 'cat/1', '7/', '7', 'a']
    """
    folders, slash, file = unicodedata.normalize("NFC", name).casefold().rpartition("/")
    file = re.sub(r"(?<=\d)x(?=[2348]$)", "_x", file)  # 0801x4, as DIV2K has it
    words = [word for word in _WORDS.split(file) if word]
    least = 0 if slash else 1
    while len(words) > least and words[-1] in ROLES:
        words.pop()
    while len(words) > least and words[0] in ROLES:
        words.pop(0)
    bare = f"{folders}{slash}{'_'.join(words)}"
    return _DIGITS.sub(lambda number: _decimal(number[0]) or "0", bare)
