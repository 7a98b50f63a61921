"""The documentation and the code say the same: every metric is on its page, every link leads somewhere."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest

from benchbench import __version__
from benchbench.core.registry import EXTRACTORS, METRICS
from benchbench.features.extractor import traits_of
from benchbench.metrics.select import build_metric

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "metrics").glob("*.md"))
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
BETTER = {True: "higher", False: "lower", None: "in between"}


def own_metrics() -> list[str]:
    """The families that ship with the project; plugins document themselves."""
    return [name for name in METRICS.names() if METRICS.get(name).__module__.startswith("benchbench.")]


def mentions(name: str, text: str) -> bool:
    """Whether a name stands in backticks, alone or as a family: `fd` or `fd_*`."""
    return f"`{name}`" in text or f"`{name}_*`" in text


def row(name: str) -> list[str]:
    """The cells of the index table, after the name."""
    metric = build_metric(name)
    output = metric.output
    needs = ", ".join(sorted(metric.needs))  # of the family as it comes
    source = (output.source or metric.source).split(";")[0]
    return [output.aspect, BETTER[output.higher_is_better], needs, source, output.about]


@pytest.mark.parametrize("name", own_metrics())
def test_index_of_metrics(name: str) -> None:
    """The row of docs/metrics.md says what the class says, and links to a page that has the metric."""
    index = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| \[`{name}`\]\((metrics/\w+\.md)\) \| (.*) \|$", index, re.MULTILINE)
    expected = " | ".join(cell.replace("|", r"\|") for cell in row(name))
    assert found, f"docs/metrics.md lacks: | [`{name}`](metrics/PAGE.md) | {expected} |"
    assert found[2] == expected
    assert mentions(name, (ROOT / "docs" / found[1]).read_text(encoding="utf-8"))


def test_index_has_nothing_else() -> None:
    """Every row of the table is a metric that there is."""
    index = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[`(\w+)`\]", index, re.MULTILINE)) == sorted(own_metrics())


@pytest.mark.parametrize("page", [ROOT / "docs" / "metrics.md", *PAGES], ids=lambda page: page.stem)
def test_what_is_named_is_there(page: Path) -> None:
    """Modules and functions of the package that a page names can be imported by that name; none goes without
    `benchbench.` in front."""
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"`(?:metrics|features|core|tasks)\.\w[\w.]*`", text)
    for dotted in re.findall(r"`(benchbench(?:\.\w+)+)[`(]", text):
        assert resolve_name(dotted) is not None


def test_calls_of_metrics() -> None:
    """Each call of the table of functions has parameters of these names in this order, where the table says it is; and
    the example below it runs."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").partition("## From Python")[2]
    calls = 0
    for line in re.findall(r"^\| `.*\|$", text, re.MULTILINE):
        _, said, place = line.strip("|").split(" | ")
        (module,) = re.findall(r"`(benchbench[\w.]*)`", place)
        for name, given in re.findall(r"`(\w+)\(([^)]*)\)", said):
            positional = [word for word in given.split(", ") if "=" not in word]
            parameters = list(inspect.signature(resolve_name(f"{module}.{name}")).parameters)
            assert parameters[: len(positional)] == positional, name
            named = {word.partition("=")[0] for word in given.split(", ") if "=" in word}
            assert named <= set(parameters), name
            calls += 1
    assert calls > 15
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    exec(code, {})


def test_field_names_are_documented() -> None:
    """`fid`, `kid`, `sfid`, `mind`, … are on the pages."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = {name for extractor in EXTRACTORS.names() for name in traits_of(extractor).field_names.values()}
    assert names >= {"fid", "kid", "sfid", "mind"}
    assert not [name for name in names if not mentions(name, text)]


def test_protocols_name_every_extractor() -> None:
    """docs/protocols.md has each extractor with the resize that records state; a folder of one's own says its own."""
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    for name in EXTRACTORS.names():
        extractor = EXTRACTORS.get(name)
        if extractor.__module__.startswith("benchbench."):
            (line,) = re.findall(rf"^\|[^|]*`{name}`[^|]*\|.*$", text, re.MULTILINE)
            assert f"`{getattr(extractor, 'resize', 'processor-N-DIGEST')}`" in line


def test_protocols_name_every_balanced_metric() -> None:
    """The list of docs/protocols.md is the classes that say `balanced`."""
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    listed = re.search(r"\*\*Balanced metrics\*\* \((.*?)\)", text, re.DOTALL)
    assert listed
    balanced = [name for name in own_metrics() if METRICS.get(name).balanced]
    assert sorted(re.findall(r"`(\w+)`", listed[1])) == balanced


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page is a file of the project, every #anchor a heading of it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert file.is_relative_to(ROOT)
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lists_are_set_off(page: Path) -> None:
    """A blank line comes before every list: GitHub does without, the site would run the list into the paragraph."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"^(?![-*] | ).+\n[-*] .*", text, re.MULTILINE)


def test_one_version() -> None:
    """The package, its metadata and its citation name one version."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert metadata["project"]["version"] == __version__
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [__version__]
