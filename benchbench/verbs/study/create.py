"""`benchbench.study.create`: a blind study from records and folders of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.folders import OUTPUT
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path
from benchbench.core.progress import AUTO, Progress
from benchbench.core.registry import DATASETS
from benchbench.study.creation import Asked, check_systems
from benchbench.study.creation import create as draw
from benchbench.study.folder import refuse_taken
from benchbench.study.given import Given, given_systems
from benchbench.study.image_sets import reference_of
from benchbench.study.told import weak_checks
from benchbench.verbs.outputs import refuse_in_record


def create(
    systems: str | Sequence[str],
    *,
    out: Path | str,
    reference: str | None = None,
    kind: str = "pairwise",
    n: int = 200,
    checks: float = 0.1,
    question: str | None = None,
    ties: bool = True,
    seed: int = 0,
    results: Path | str = OUTPUT,
    progress: Progress = AUTO,
) -> Path:
    """Make a study: a folder with images of several systems in items that a person answers, without a word of who made
    them.

    Args:
        systems: Records that keep their images one by one, each as a folder, a key or "model=vae,dataset=digits"; or
            anybody's images as "NAME=FOLDER". One or several.
        out: The folder that is made; one that is there is never added to.
        reference: Real images or right answers: a dataset, whose held-out split is taken where none is named, or files.
            None for the dataset of the records.
        kind: "pairwise", "real-or-fake", "closer-to-source" or "triplet".
        n: Items, 1 to 10,000; check items come on top.
        checks: The share of check items beside them, above 0 and at most 0.5; there are four at least.
        question: What raters are asked, in place of the kind's own words.
        ties: Whether they may answer that two are alike, where two are compared.
        seed: Of what is drawn. The same seed draws the same items, under other ids.
        results: Where keys and groups of records are looked for.
        progress: Who is told how far it is, and what a reader of the answers should know.

    Returns:
        The folder.

    Raises:
        InputError: A system or the reference cannot be had, a record keeps no images, there are not enough of them,
            they do not belong together, or the folder cannot be written.

    >>> benchbench.study.create(["model=vae", "model=dcgan"], out="my-study")  # doctest: +SKIP
    """
    folder = as_path(out)
    asked = Asked(kind, n, checks, question, ties, seed)
    refuse_taken(folder)
    refuse_in_record(folder)
    watched = watching(progress)
    texts = [systems] if isinstance(systems, str) else list(systems)
    given = given_systems(texts, as_path(results), watched)
    check_systems(asked, given)
    name = _reference(reference, given)
    matched = all(own.images.matched == "names" for own in given)
    real = reference_of(name, matched, watched)
    study = draw(folder, asked, given, name, real, watched)
    for note in study.manifest.notes:
        watched.note(note)
    if (weak := weak_checks(study.manifest)) is not None:
        watched.note(weak)
    return folder


def _reference(said: str | None, given: Sequence[Given]) -> str:
    """What was said, or the dataset of the records."""
    if said is not None:
        return said
    datasets = sorted({own.system.dataset for own in given} - {""})
    if len(datasets) != 1:
        raise InputError("folders do not say what is real: name real images with --reference DATASET")
    if datasets[0] not in DATASETS.names():
        raise InputError(
            f"{datasets[0]} is no dataset that has a name: say where its real images are with --reference folder:PATH"
        )
    return datasets[0]
