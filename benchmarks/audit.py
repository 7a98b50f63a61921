"""The page docs/audit.md: what the sanity suite says of our metrics, beside what its authors found.

    python benchmarks/audit.py docs [--repeats 10]

Asks every metric (`benchbench audit metrics`), keeps each check in docs/audit.csv and docs/audit_images.csv and writes
the tables of the page anew. With `--tables` it asks nothing and makes the tables of the files that are there. Five
minutes of one core a repeat, and one for the images of digits.

docs/audit_authors.csv is what the authors of the suite published with their code (MIT): the outputs of
plotting/print_pass_fail_tables.ipynb, of which tables 3 and 4 of the paper are summaries, for the metrics that we have
too and under our names of them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

import benchbench
from benchbench.core.files import atomic_path, atomic_write
from benchbench.views.audit import LETTERS, combined, markdown

ON = ["experiment", "case", "check", "metric"]
SIZES = ("uniform-hypercube-varying-syn-size", "sphere-torus")
"""Where the sides differ in size, and balanced metrics see as many of both; whatever else differs, the draws do."""
EXTRACTORS = ("cnn_digits", "cnn_mnist")
PAGE, CHECKS, IMAGES, AUTHORS = "audit.md", "audit.csv", "audit_images.csv", "audit_authors.csv"


def read(path: Path) -> pd.DataFrame:
    """A file of checks; the only case of an experiment is called ""."""
    return pd.read_csv(path, keep_default_na=False)


def beside(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Each check that both have, with both verdicts: `verdict` is ours and `authors` theirs."""
    return ours.merge(theirs.rename(columns={"verdict": "authors"}), on=ON)


def summary(both: pd.DataFrame) -> str:
    """Tables 3 and 4 of the paper for the metrics that both have, in Markdown: our letter and, where it is another
    one, theirs behind a stroke."""
    keys = ["title", "desideratum", "metric"]
    own, other = (
        both.groupby(keys, sort=False)[column].agg(combined).map(LETTERS) for column in ("verdict", "authors")
    )
    cells = own.where(own == other, own + " / " + other).unstack("metric")
    order = both[keys[:2]].drop_duplicates()
    cells = cells.reindex(pd.MultiIndex.from_frame(order))[list(both.metric.unique())].fillna("")
    head = ["", "", *(f"`{name}`" for name in cells.columns)]
    rows = [[*place, *row] for place, row in zip(cells.index, cells.to_numpy().tolist(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def differences(both: pd.DataFrame) -> str:
    """The checks whose verdicts differ, in Markdown."""
    head = ["metric", "experiment", "case", "check", "ours", "theirs", "what we see", "why"]
    other = both[both.verdict != both.authors].sort_values(["metric", "experiment"], kind="stable")
    other = other.assign(why=other.experiment.isin(SIZES).map({True: "sizes", False: "draws"}))
    columns = ["metric", "title", "case", "check", "verdict", "authors", "detail", "why"]
    rows = other[columns].to_numpy().tolist()
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def parts(folder: Path) -> Mapping[str, str]:
    """The pieces of the page that are made, by the names of their marks."""
    checks, images = read(folder / CHECKS), read(folder / IMAGES)
    both = beside(checks, read(folder / AUTHORS))
    same = int((both.verdict == both.authors).sum())
    return {
        "experiments": markdown(checks, single=False).strip(),
        "authors": f"{same} of {len(both)} checks agree.\n\n{summary(both)}",
        "differences": differences(both),
        "images": markdown(images, single=True).strip(),
    }


def filled(text: str, made: Mapping[str, str]) -> str:
    """The page with each piece between its marks."""
    for name, piece in made.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        text, n = marks.subn(lambda found, piece=piece: f"{found[1]}\n{piece}\n{found[2]}", text)  # type: ignore[misc]
        assert n == 1, f"the page has no marks of {name}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="that of the page, docs")
    parser.add_argument("--repeats", type=int, default=10, help="draws of every set")
    parser.add_argument("--tables", action="store_true", help="only the tables, of the files that are there")
    asked = parser.parse_args()
    if not asked.tables:
        found = {
            CHECKS: benchbench.audit.metrics(repeats=asked.repeats),
            IMAGES: benchbench.audit.metrics(dataset="digits", extractor=EXTRACTORS),
        }
        for name, checks in found.items():
            with atomic_path(asked.folder / name) as temporary:
                checks.to_csv(temporary, index=False)
    page = asked.folder / PAGE
    text = page.read_text(encoding="utf-8")
    if not asked.tables:
        text = re.sub(r"(audit\.py docs --repeats) \d+", rf"\1 {asked.repeats}", text)
    atomic_write(page, filled(text, parts(asked.folder)))


if __name__ == "__main__":
    main()
