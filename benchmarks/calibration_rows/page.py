"""The page: written of rows and cells, and cells read back of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from calibration_rows.row import Cell, Cells, Key, Other, Row, Section, key

HEAD = """# Our numbers beside others'

Made by `python benchmarks/calibration.py --out docs/calibration.md`; a test makes the numbers again and holds the page
to them. Each row is one call of another package on inputs that need no download. "Same to" is how far it may be from
ours, relative to ours, and the test holds it to that on all digits; a percentage is how far one of another convention
is. `call()` is the call as it comes.

Packages of the page; where another version is installed the test says so and passes its rows over:

| package | version |
|---|---|
"""
COLUMNS = """| metric | on | ours | package | call | says | difference | convention |
|---|---|--:|---|---|--:|---|---|
"""
FROZEN = "frozen numbers of the authors' code, the definition in SciPy"
ELSEWHERE = (
    (
        "`fld`, `fld_gap`",
        "github.com/marcojira/fld states no licence, so it is not run here; on no index of packages",
        "frozen numbers of a run of the authors' code, SciPy's densities",
        "tests/parity/test_feature_likelihood.py",
    ),
    (
        "`sym_precision`, `sym_recall`",
        "github.com/mahyarkoy/emergent_asymmetry_pr, MIT; on no index of packages",
        FROZEN,
        "tests/parity/test_symmetric_pr.py",
    ),
    (
        "`p_precision`, `p_recall`",
        "github.com/kdst-team/Probablistic_precision_recall, MIT; on no index of packages",
        FROZEN,
        "tests/parity/test_probabilistic_pr.py",
    ),
    (
        "`clipped_density`, `clipped_coverage`",
        "the authors' code is share-alike and was neither read nor run",
        "the closed form of the paper",
        "tests/metrics/test_clipped.py",
    ),
    (
        "`ppl`, `ppl_full`, `ppl_w`, `ppl_w_full`",
        "torch-fidelity's asks NumPy's `percentile` for an argument that it no longer has",
        "torch-fidelity's number of a toy generator, that argument under its new name",
        "tests/metrics/test_path_length.py",
    ),
    (
        "`sfid`, `is_adm`, `precision_adm`, `recall_adm`",
        "ADM's evaluator needs TensorFlow 1",
        "its definition in NumPy on torch-fidelity's network",
        "tests/parity/test_adm.py",
    ),
    (
        "`niqe`",
        "the authors' is MATLAB code; none of the packages above has it",
        "the method step by step in NumPy and SciPy",
        "tests/metrics/test_niqe.py",
    ),
)
"""Metrics without a package that runs here: which, why, and what holds them where."""


def shown(value: float) -> str:
    """Six digits."""
    return f"{value:.6g}"


def difference(other: Other, cell: Cell) -> str:
    if isinstance(cell.theirs, str):
        return ""
    if other.same is not None:
        return f"same to {other.same:.0e}".replace("e-0", "e-")
    percent = 100 * cell.apart()
    return (f"{percent:+.2g}%" if abs(percent) < 10 else f"{percent:+.0f}%").replace("-", "−")


def line(row: Row, other: Other, cell: Cell) -> str:
    said = cell.theirs if isinstance(cell.theirs, str) else shown(cell.theirs)
    rounded = Cell(float(shown(cell.ours)), cell.theirs if isinstance(cell.theirs, str) else float(said))
    texts = (
        f"`{row.metric}`",
        row.on,
        shown(cell.ours),
        other.package,
        f"`{other.call}`",
        said,
        difference(other, rounded),
        other.why,
    )
    if any("|" in text for text in texts):
        raise ValueError(f"a cell of {row.name} holds a bar, which would end it: {texts}")
    return f"| {' | '.join(texts)} |\n"


def write(sections: Sequence[Section], cells: Mapping[Key, Cell], versions: Mapping[str, str]) -> str:
    """The whole page; `versions` by package, those that are not installed left out."""
    parts = [HEAD, *(f"| {package} | {own} |\n" for package, own in sorted(versions.items()))]
    for section in sections:
        parts += [f"\n## {section.title}\n\n{section.about}\n\n", COLUMNS]
        parts += [line(row, other, cells[key(row, other)]) for row in section.rows for other in row.others]
    parts += [
        "\n## Without a package that runs here\n\n| metric | reference | held by | in |\n|---|---|---|---|\n"
    ]
    parts += [f"| {names} | {why} | {by} | `{path}` |\n" for names, why, by, path in ELSEWHERE]
    return "".join(parts)


def read(text: str) -> tuple[Cells, dict[str, str]]:
    """Cells, with six digits, and versions."""
    cells: Cells = {}
    versions: dict[str, str] = {}
    for texts in (found.strip("| ").split(" | ") for found in text.splitlines() if found.startswith("| ")):
        if len(texts) == 2 and texts[0] != "package":
            versions[texts[0]] = texts[1]
        if len(texts) == 8 and texts[0] != "metric":
            metric, on, ours, package, call, said = texts[:6]
            number = re.fullmatch(r"-?[\d.]+(e[+-]\d+)?|nan|-?inf", said)
            theirs = float(said) if number else said
            cells[metric.strip("`"), on, package, call.strip("`")] = Cell(float(ours), theirs)
    return cells, versions


def packages(sections: Iterable[Section]) -> list[str]:
    return sorted({other.package for section in sections for row in section.rows for other in row.others})
