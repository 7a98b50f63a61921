"""BibTeX: every name of ours has its paper, and only what stands in the table is printed."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchbench import __version__
from benchbench.core.registry import DATASETS, EXTRACTORS, METRICS, MODELS
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.citations import bibtex, references, uncited


def test_every_registered_name_has_its_paper() -> None:
    """A new model, metric, dataset or extractor is one word in references.bib."""
    for registry in (MODELS, METRICS, DATASETS, EXTRACTORS):
        ours = [name for name in registry.names() if registry.get(name).__module__.startswith("benchbench.")]
        assert uncited(ours) == []


def test_entries_are_well_formed() -> None:
    """Keys are unique, braces balance, every entry says who, what and when (by BibTeX's own rules)."""
    entries = references()
    assert len({entry.key for entry in entries}) == len(entries) > 30
    for entry in entries:
        assert entry.text.count("{") == entry.text.count("}")
        assert re.search(r"^  author = ", entry.text, re.MULTILINE), entry.key
        assert re.search(r"^  title = ", entry.text, re.MULTILINE), entry.key
        assert "benchbench =" not in entry.text
        assert entry.text.isascii()  # old BibTeX reads nothing else


def test_only_what_stands_in_the_table_is_cited(make_row: Callable[..., Row]) -> None:
    """A VAE on digits scored by the Fréchet distance on one network: four papers, after benchbench itself in the
    version that is installed; a stranger is a comment that stays one line whatever its name."""
    rows = [make_row(), make_row(model="my\nmodel", cell="b" * 16)]
    text = bibtex(to_frame(rows))
    keys = re.findall(r"@\w+\{(\w+),", text)
    assert keys == [
        "benchbench",
        "kingma2014vae",
        "heusel2017fid",
        "tan2019efficientnet",
        "alpaydin1998digits",
    ]
    assert f"Version {__version__}}}" in text
    assert "VERSION" not in text
    assert text.endswith("% my model: no entry is known; cite its authors\n")
    assert bibtex(to_frame(rows[::-1])) == text
