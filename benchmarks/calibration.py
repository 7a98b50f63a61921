"""The calibration page: every metric's value beside what other packages say of the same inputs.

    python benchmarks/calibration.py [--out docs/calibration.md]

Prints the page, or writes it to --out. Nothing is downloaded; a minute of one core, most of it Inception-v3. A
package that is not installed has "not installed" in its rows. Exit code 1, and no page, where a package that is said to
agree does not, or one that is said to differ does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from calibration_rows import on_distances, on_networks, on_pairs, on_perception, on_supports
from calibration_rows.page import packages, write
from calibration_rows.row import Cells, Section, contradictions, installed, measure

from benchbench.core.files import atomic_write

SECTIONS = (
    on_distances.SECTION,
    on_supports.SECTION,
    on_pairs.SECTION,
    on_perception.SECTION,
    on_networks.SECTION,
)


def measured(sections: Sequence[Section]) -> Cells:
    cells: Cells = {}
    with redirect_stdout(sys.stderr):  # prdc prints there
        for row in (row for section in sections for row in section.rows):
            print(row.name)
            cells |= measure(row)
    return cells


def main(arguments: Sequence[str] | None = None, sections: Sequence[Section] = SECTIONS) -> int:
    parser = argparse.ArgumentParser(description="Our numbers beside other packages'.")
    parser.add_argument("--out", type=Path, help="write the page here, else it is printed")
    out = parser.parse_args(arguments).out
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        parser.error(f"{out} is a folder, or in none that is there; name a file to be written")
    cells = measured(sections)
    wrong = [said for section in sections for said in contradictions(section.rows, cells)]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    versions = {name: own for name in packages(sections) if (own := installed(name)) is not None}
    page = write(sections, cells, versions)
    if out is None:
        print(page, end="")
    else:
        atomic_write(out, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
