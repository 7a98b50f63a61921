"""`benchbench.init`: a suite and a gate of one's own, and on request the workflow that runs them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.files import create
from benchbench.core.names import split_names
from benchbench.core.paths import as_path, printable
from benchbench.core.registry import MODELS
from benchbench.data.sources.spec import IMAGE_SUFFIXES, parse_spec
from benchbench.results.claims.gate_config import DEFAULT_GATE
from benchbench.verbs.project_files import WORKFLOW, suite_text

Workflow = Literal["github"]
WORKFLOW_FILE = Path(".github", "workflows", "benchbench.yml")
SIDE = 32  # pixels, of images that come in sizes of their own


@dataclass(frozen=True)
class Project:
    """What `init` left in a folder.

    Attributes:
        written: The files that are new.
        kept: The files that were there before and are as they were.
        commands: What to type next: the baseline, then run and check after a change.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    commands: tuple[str, str]


def init(
    folder: Path | str = ".",
    *,
    dataset: str = "digits",
    models: str | Iterable[str] = ("vae", "dcgan", "real"),
    workflow: Workflow | None = None,
) -> Project:
    """Write a commented `suite.toml` and `gate.toml` to start from. What is there already is kept.

    Args:
        folder: Where they go; made if it is not there.
        dataset: What the models are run on: a dataset's name, or a folder or file of images of yours.
        models: Names of models; paths of `generator:PATH` are meant from `folder`.
        workflow: "github" for the workflow of a repository, `.github/workflows/benchbench.yml`, too.

    Returns:
        The files that are new, those that were there before, and what to type next.

    Raises:
        InputError: There is no such dataset or model, the folder is not where a workflow works, or a file cannot be
            written.

    >>> benchbench.init("my-project", dataset="my-images/").written  # doctest: +SKIP
    """
    root = as_path(folder)
    _refuse_images(root)
    files = {
        root / "suite.toml": suite_text(_known(models), *_placed(dataset, root)),
        root / "gate.toml": DEFAULT_GATE,
    }
    if workflow is not None:
        if workflow not in get_args(Workflow):
            raise unknown_name("workflow", str(workflow), get_args(Workflow))
        _refuse_below_a_repository(root)
        files[root / WORKFLOW_FILE] = WORKFLOW
    new = {path: create(path, text) for path, text in files.items()}
    written, kept = (tuple(path for path, is_new in new.items() if is_new is told) for told in (True, False))
    return Project(written, kept, _commands(root))


def _commands(root: Path) -> tuple[str, str]:
    suite, gate, results = (shlex.quote(str(root / name)) for name in ("suite.toml", "gate.toml", "results"))
    return (
        f"benchbench suite {suite} --out {results}",
        f"benchbench suite {suite} && benchbench check --baseline {results} --tolerance {gate}",
    )


def _known(models: str | Iterable[str]) -> tuple[str, ...]:
    """The names, each of a model that there is; what stands behind a family's colon the suite reads."""
    try:
        names = split_names(models)
    except ValueError as error:
        raise InputError(f"--models: {error}") from error
    known = MODELS.names()
    for name in names:
        head, colon, _ = name.partition(":")
        if colon and head in (family for family, _ in MODELS.open_families()):
            continue
        if MODELS.spelled(name) not in known:
            raise unknown_name("model", name, known)
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"--models names {twice[0]} twice; once is enough")
    return names


def _placed(dataset: str, root: Path) -> tuple[str, int | None]:
    """A dataset as a suite in `root` writes it, and the side that its images need."""
    spec = parse_spec(dataset)
    if spec.kind == "dataset":
        return dataset, None
    path = spec.path
    if path.is_absolute():
        return dataset, SIDE
    written = dataset.removeprefix(f"{spec.kind}:")
    moved = os.path.relpath(path, root) + ("/" if spec.kind == "folder" else "")
    return f"{spec.kind}:{moved}{written[len(spec.where) :]}", SIDE


def _refuse_images(root: Path) -> None:
    """Whoever names a folder of images means what is to be modelled, not where the suite should lie."""
    if root.is_dir() and any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir()):
        raise InputError(
            f"{printable(root)} holds images; say benchbench init --dataset {shlex.quote(str(root))}, which writes "
            "the suite here"
        )


def _refuse_below_a_repository(root: Path) -> None:
    """GitHub reads workflows at the top of a repository and nowhere else."""
    here = root.resolve()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    if top != here:
        raise InputError(
            f"{printable(root)} lies in the repository {printable(top)}, and GitHub reads workflows at its top only; "
            f"say benchbench init {shlex.quote(str(top))} --workflow github"
        )
