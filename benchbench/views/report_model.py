"""The report's page on one model: what happened to its modes, its curves and classes, its pictures, where its numbers
come from. Reads the records of one model, one a seed; pictures and facts are those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePosixPath

import pandas as pd
from markupsafe import Markup

from benchbench.results.load import Record
from benchbench.results.manifest import (
    Artefact,
    Data,
    Domain,
    ExtractorFacts,
    Machine,
    Provenance,
    RunManifest,
    demand,
)
from benchbench.results.rows import read_file
from benchbench.results.store import RUN, WEIGHTS
from benchbench.results.touched import damaged
from benchbench.results.words import mode_words
from benchbench.views import figures
from benchbench.views.curves import Alarm
from benchbench.views.page_pictures import page_picture
from benchbench.views.text import plain

# Of records that do not list their artefacts: by kind, which is the file's name before .png.
PICTURES = {
    "samples": "generated samples beside real images",
    "neighbours": "samples with their nearest training images",
    "reconstructions": "reconstructions below their originals",
    "translations": "translations beside their sources",
    "stylizations": "contents on the left in the styles on top",
}
OPENED_BY = {
    ".npz": 'numpy.load("{file}")["images"] has them, uint8 N×H×W×3; benchbench evaluate {file} reads them as well'
}
"""How to open what a page does not show, by the end of its name."""
# What a look at training shows first; a curves.csv may hold more.
WATCHED = (
    "loss",
    "monitor_distance",
    "monitor_recall",
    "monitor_coverage",
    "monitor_modes",
    "monitor_duplicate_rate",
)
MOST_CURVES = 9


class _Code(Provenance):
    benchbench: str | None
    code_revision: str | None
    python: str | None
    packages: dict[str, str | None]


class _Device(Machine):
    device: str | None
    device_name: str | None
    cores: int | None


class _Images(Data):
    fingerprint: str


class Page(RunManifest):
    """What the page says of every record."""

    variant: str
    seed: int
    extractors: dict[str, ExtractorFacts]
    data: _Images
    machine: _Device
    provenance: _Code


PageRecord = tuple[Path, Page]  # a record's folder and what its run.json says


@dataclass(frozen=True)
class ReportFigure:
    caption: str
    svg: Markup
    label: str


@dataclass(frozen=True)
class ReportPicture:
    caption: str
    uri: str


@dataclass(frozen=True)
class ReportFile:
    """An artefact that is no picture: named, not shown."""

    name: str
    caption: str
    sha256: str
    how: str


@dataclass(frozen=True)
class ReportArtefacts:
    """The artefacts of one kind."""

    kind: str
    pictures: list[ReportPicture]
    files: list[ReportFile]


@dataclass(frozen=True)
class ReportModel:
    name: str
    words: list[str]
    figures: list[ReportFigure] = field(default_factory=list)
    artefacts: list[ReportArtefacts] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)


def page_of(found: Record) -> PageRecord:
    """The record as its page needs it; `InputError` where it does not say all of that."""
    folder, run = found
    page = demand(folder / RUN, Page, run.as_json())
    data = page.data
    sides: dict[str, Domain] = {f"data.domains.{name}": own for name, own in (data.domains or {}).items()}
    if not sides and data.train is not None:
        sides = {"data": data}
    for where, side in sides.items():
        for split in ("train", "held_out"):
            if getattr(side, split) is None:
                raise damaged(folder / RUN, f"does not state {where}.{split}")
    return folder, page


def report_model(name: str, runs: Sequence[PageRecord], frame: pd.DataFrame) -> ReportModel:
    words = []
    for _, run in runs:
        said = mode_words(run, frame[frame["cell"] == run.cell])
        if said:
            words.append(plain(f"seed {run.seed}: {said}"))
    return ReportModel(
        plain(name),
        words,
        [*_curves(name, runs), *_classes(name, runs)],
        list(_by_kind(name, *runs[0])),
        _facts(runs),
    )


def _by_kind(name: str, folder: Path, run: Page) -> Iterator[ReportArtefacts]:
    """The artefacts of a record, those of one kind together, kinds in the order in which it lists them. Records are
    published without pictures: what was taken away leaves a gap."""
    listed = _artefacts(run)
    kinds = [own.kind for own in listed]
    for kind, own in groupby(sorted(listed, key=lambda one: kinds.index(one.kind)), key=lambda one: one.kind):
        group = ReportArtefacts(plain(kind), [], [])
        for artefact in own:
            there = (folder / artefact.file).exists()
            caption = plain(f"{name}, seed {run.seed}: {artefact.caption}")
            content = read_file(folder, run, artefact.file) if there else b""
            if not artefact.file.endswith(".png"):
                group.files.append(_named(folder, artefact, caption, run.files[artefact.file], there))
            elif there:
                group.pictures.append(ReportPicture(caption, page_picture(content)))
        if group.pictures or group.files:
            yield group


def _named(folder: Path, artefact: Artefact, caption: str, sha256: str, there: bool) -> ReportFile:
    how = OPENED_BY.get(PurePosixPath(artefact.file).suffix, "").format(file=artefact.file)
    where = "/".join([*folder.parts[-3:], artefact.file])
    return ReportFile(plain(where), caption, sha256, plain(how) if there else "it is not in this copy")


def _artefacts(run: Page) -> list[Artefact]:
    """As the record lists them, or as pictures are called where it does not list any."""
    found = run.artefacts
    if found is None:
        found = [
            Artefact(file=f"{kind}.png", kind=kind, caption=caption) for kind, caption in PICTURES.items()
        ]
    return [own for own in found if own.file in run.files]


def _curves(name: str, runs: Sequence[PageRecord]) -> list[ReportFigure]:
    tables, alarms = {}, {}
    for folder, run in runs:
        if "curves.csv" in run.files:
            tables[run.seed] = pd.read_csv(BytesIO(read_file(folder, run, "curves.csv")))
            if run.collapse is not None:
                alarms[run.seed] = Alarm(run.collapse.step, run.collapse.words)
    if not tables:
        return []
    columns = [column for column in next(iter(tables.values())).columns if column not in ("epoch", "step")]
    first = [column for column in columns if column.startswith(WATCHED)]
    names = [*first, *(column for column in columns if column not in first and not column.startswith("lr"))]
    names = [
        column
        for column in names
        if any(table[column].notna().any() for table in tables.values() if column in table)
    ]
    caption = f"Training of {name}, a line a seed" + ("; dashed: collapse alarm" if alarms else "") + "."
    svg = figures.curves(tables, names[:MOST_CURVES], alarms)
    return [ReportFigure(plain(caption), Markup(svg), plain(f"training curves of {name}"))]


def _classes(name: str, runs: Sequence[PageRecord]) -> list[ReportFigure]:
    seen = [run.classes for _, run in runs if run.classes is not None]
    both = [(own.generated, own.reference) for own in seen if own.reference]
    if not both:
        return []
    first = next(own for own in seen if own.reference)
    made = [sum(counts) for counts in zip(*(generated for generated, _ in both), strict=True)]
    real = [sum(counts) for counts in zip(*(reference for _, reference in both), strict=True)]
    svg = figures.histogram(_shares(made), _shares(real), first.names)
    caption = (
        f"Classes of {name}'s samples as {first.judge} sees them, all seeds together, beside real images."
    )
    return [ReportFigure(plain(caption), Markup(svg), plain(f"class histogram of {name}"))]


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _splits(data: Data) -> str:
    """How many images there are, of each domain where there are two."""
    if data.domains is not None:
        return "; ".join(f"{name}: {_sides(own)}" for name, own in data.domains.items())
    if data.train is None:  # images that were only evaluated
        return f"{data.n} reference images" if data.n else "statistics"
    return _sides(data)


def _sides(data: Domain) -> str:
    train, held_out = data.train, data.held_out
    assert train is not None  # `page_of` has seen to it
    assert held_out is not None
    return f"{train.n} training, {held_out.n} held out"


def _facts(runs: Sequence[PageRecord]) -> list[tuple[str, str]]:
    """Where the numbers come from, as (what, which)."""
    _, first = runs[0]
    provenance, machine, data = first.provenance, first.machine, first.data
    packages = ", ".join(f"{name} {version}" for name, version in sorted(provenance.packages.items()))
    extractors = "; ".join(
        f"{name}, weights {str(said.weights_sha256 or said.unavailable)[:16]}, {said.resize or ''}"
        for name, said in sorted(first.extractors.items())
    )
    weights = first.files.get(WEIGHTS) or first.weights_loaded_sha256
    made = {} if first.protocol is None else first.protocol.as_json()
    facts = [
        ("cells", ", ".join(f"{run.cell} (seed {run.seed})" for _, run in runs)),
        ("code", f"benchbench {provenance.benchbench}, revision {provenance.code_revision}"),
        ("data", f"fingerprint {data.fingerprint[:16]}, {_splits(data)}"),
        ("notes on the data", "; ".join([*(data.notes or ()), *(first.notes or ())])),
        ("extractors", extractors),
        ("weights of the first seed", weights or "none"),
        (
            "choices that change numbers",
            ", ".join(f"{key}: {value}" for key, value in sorted(made.items()) if value is not None),
        ),
        ("machine", f"{machine.device_name}, {machine.cores} cores, {machine.device}"),
        ("packages", f"Python {provenance.python}, {packages}"),
        ("decoder", provenance.decoder or ""),
    ]
    return [(what, plain(which)) for what, which in facts if which]
