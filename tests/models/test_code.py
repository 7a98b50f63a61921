"""The identity of code: what moves it, and what must not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from benchbench.core.errors import InputError
from benchbench.core.registry import MODELS
from benchbench.models.identity import code_hash

PLUGIN = "plugin_for_code_hash"
MODEL = '''
"""A plugin's model."""
from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from benchbench.models.vae.vae import VAE
from . import blocks
from .constants import DEPTH

WIDTH = 4  # of what is below


def unused():
    return 1


class Mine(VAE):
    """A model."""

    reference: ClassVar[str] = "Nobody 2020"

    class Config(BaseModel):
        """Its settings."""

        latent: int = Field(default=2, description="numbers in a code")

    def sample(self, n: int) -> int:
        """Draw."""
        if n < 0:
            raise ValueError(f"{n} images are too few")
        made: int = blocks.first(n) * WIDTH
        return made + DEPTH
'''
BLOCKS = """
def first(n):
    from plugin_for_code_hash.deep import second

    return second(n) + 1
"""
FILES = {
    "__init__": "",
    "model": MODEL,
    "blocks": BLOCKS,
    "deep": "def second(n):\n    return n\n",
    "constants": "DEPTH = 3\nHEIGHT = 4\n",
    "unrelated": "h = 1\n",
}
Files = dict[str, str]


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The hash of `Mine` in a plugin of these files, with some replaced."""
    folder = tmp_path / PLUGIN
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == PLUGIN]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def of(files: Files | None = None, module: str = "model") -> str:
        for file in folder.glob("*.py"):
            file.unlink()
        for name, source in {**FILES, **(files or {})}.items():
            (folder / f"{name}.py").write_bytes(dedent(source).encode())
        forget()
        return code_hash(importlib.import_module(f"{PLUGIN}.{module}").Mine)

    yield of
    forget()


def changed(file: str, old: str, new: str) -> Files:
    """One file of the plugin with one piece of text replaced."""
    assert FILES[file].count(old) == 1
    return {file: FILES[file].replace(old, new)}


@pytest.mark.parametrize(
    "files",
    [
        changed("model", "# of what is below", "# something else"),
        changed("model", '"""A model."""', '"""A model, described at length."""'),
        changed("model", '        """Draw."""\n', ""),
        changed("model", "(self, n: int) -> int:", "(self, n):"),
        changed("model", "made: int = ", "made = "),
        changed("model", "WIDTH = 4", "WIDTH: int = 4"),
        changed("model", "images are too few", "is not enough"),
        changed("model", "numbers in a code", "how many numbers a code has"),
        changed("model", "Nobody 2020", "Somebody 2021"),
        changed("model", "blocks.first(n) * WIDTH", "(blocks\n            .first( n )*WIDTH)"),
        changed("model", "return 1", "return 2"),
        changed("constants", "HEIGHT = 4", "HEIGHT = 5"),
        {"unrelated": "h = 2\n"},
        {"blocks": BLOCKS.replace("\n", "\r\n")},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_changes_no_number_moves_nothing(files: Files, identity: Callable[..., str]) -> None:
    """Comments, docstrings, types of signatures and variables, texts of errors and of fields, the paper, layout, line
    ends, and definitions that the model does not use."""
    assert identity(files) == identity()


@pytest.mark.parametrize(
    "files",
    [
        changed("model", "WIDTH = 4", "WIDTH = 5"),
        changed("model", "n < 0", "n <= 0"),
        changed("model", "raise ValueError(", "raise TypeError("),
        changed("model", "default=2", "default=3"),
        changed("model", "latent: int = Field", "latent: float = Field"),
        changed("model", "class Mine(VAE)", "class Mine"),
        changed("blocks", "+ 1", "+ 2"),
        changed("deep", "return n", "return -n"),
        changed("constants", "DEPTH = 3", "DEPTH = 4"),
        {"deep": FILES["deep"] + "\nsecond.calls = 0\nprint(second)\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_may_change_a_number_moves_it(files: Files, identity: Callable[..., str]) -> None:
    """A constant, a condition, a kind of error, a default or the type of a field, a base, a function one and two
    modules away (one is imported inside a function), and what a module does when it is imported."""
    assert identity(files) != identity()


def test_moving_code_moves_nothing(identity: Callable[..., str]) -> None:
    """The model to another file; a helper to another module, and a constant beside it; through the package's
    `__init__`, which hands a name on; by an absolute import instead of a relative one."""
    before = identity()
    assert identity({"elsewhere": MODEL, "model": ""}, "elsewhere") == before
    together = BLOCKS.replace("    from plugin_for_code_hash.deep import second\n\n", "") + FILES["deep"]
    assert identity({"blocks": together, "deep": ""}) == before
    assert identity({"deeper": FILES["deep"]} | changed("blocks", ".deep import", ".deeper import")) == before
    assert identity({"deeper": FILES["deep"], "deep": "from .deeper import *\n"}) == before
    handed_on = {"__init__": "from .constants import DEPTH\n"} | changed(
        "model", "from .constants import DEPTH", "from plugin_for_code_hash import DEPTH"
    )
    assert identity(handed_on) == before


def test_it_does_not_depend_on_the_version_of_python(identity: Callable[..., str]) -> None:
    """A frozen value, computed with Python 3.11; `ast.dump` prints trees differently from version to version."""
    assert identity(changed("model", "class Mine(VAE)", "class Mine"))[:16] == "86d8dc9ac25333e4"


def test_of_ours() -> None:
    """Every registered model has an identity of its own, but for those that differ by their name alone."""
    hashes = {name: code_hash(MODELS.get(name)) for name in MODELS.names()}
    assert len(set(hashes.values())) == len(hashes)


@pytest.mark.costly
def test_the_same_in_another_process() -> None:
    """No order of a set or of memory gets into it."""
    program = (
        "from benchbench.core.registry import MODELS; from benchbench.models.identity import code_hash; "
        "print(code_hash(MODELS.get('cyclegan')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert found.stdout.strip() == code_hash(MODELS.get("cyclegan"))


def test_without_source() -> None:
    """A class made on the fly has no file to be identified by."""
    with pytest.raises(InputError, match="source of Loose cannot be found"):
        code_hash(type("Loose", (), {"__module__": "typed_at_a_prompt"}))
