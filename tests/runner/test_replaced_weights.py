"""Weights that change while they are in use: no record names one file and holds the numbers of another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.results.provenance import read_run_json
from benchbench.runner import cell, resolve, trained
from benchbench.runner.run import run_cells
from benchbench.training.weights import save_weights

pytestmark = pytest.mark.costly

OPTIONS: dict[str, Any] = {
    "samples": 16,
    "metrics": ["fd"],
    "extractors": ["cnn_digits"],
    "overrides": ["latent=4", "width=8"],
    "device": "cpu",
}


def saved(path: Path, seed: int) -> Path:
    """Weights of a small model for digits."""
    torch.manual_seed(seed)
    save_weights(build_model("vae-mlp", {"latent": 4, "width": 8}, ImageSpec(32, 32, True, 10)), path)
    return path


def replaced(path: Path, other: Path) -> None:
    """Another file under the same name."""
    shutil.copy(other, path.with_name("new"))
    os.replace(path.with_name("new"), path)


def rewritten(path: Path, other: Path) -> None:
    """Other bytes in the same file."""
    path.write_bytes(other.read_bytes())


def back_and_forth(path: Path, other: Path) -> None:
    """Another file while it is read, and the first one after that."""
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())
    load = trained.load_weights

    def then_back(*arguments: Any, **more: Any) -> str:
        load(*arguments, **more)
        path.write_bytes(kept)
        return file_sha256(path)

    trained.load_weights = then_back


@pytest.mark.parametrize("change", [replaced, rewritten, back_and_forth])
@pytest.mark.parametrize("when", ["planned", "loading"])
def test_weights_that_change_are_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, Path], None], when: str
) -> None:
    """The file changes after its digest was taken, or in the moment in which it is loaded: one sentence, no record of
    the cell. The same command again takes what is there now, and its record names that."""
    path, other = saved(tmp_path / "w.safetensors", 0), saved(tmp_path / "other.safetensors", 1)
    with monkeypatch.context() as patch:
        patch.setattr(trained, "load_weights", trained.load_weights)  # what `back_and_forth` does is undone
        whose, name = (cell, "prepare") if when == "planned" else (trained, "load_weights")
        work = getattr(whose, name)
        changed: list[Path] = []

        def meanwhile(*arguments: Any, **more: Any) -> Any:
            if not changed:
                changed.append(path)
                if when == "loading":
                    patch.setattr(trained, "load_weights", work)
                change(path, other)
                if when == "loading":
                    return trained.load_weights(*arguments, **more)
            return work(*arguments, **more)

        patch.setattr(whose, name, meanwhile)
        with pytest.raises(InputError, match=r"w\.safetensors were changed while they were in use"):
            run_cells("vae-mlp", "digits", weights=path, out=tmp_path / "out", **OPTIONS)
    assert not list((tmp_path / "out").rglob("run.json"))
    ((folder, _),) = run_cells("vae-mlp", "digits", weights=path, out=tmp_path / "out", **OPTIONS)
    assert read_run_json(folder / "run.json")["weights_loaded_sha256"] == file_sha256(path)


def test_the_second_seed_is_held_to_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--weights W --seeds 2` with W replaced after the first seed: the first has its record, of the first file; the
    second is refused."""
    path, other = saved(tmp_path / "w.safetensors", 0), saved(tmp_path / "other.safetensors", 1)
    first, asked = file_sha256(path), []
    prepare = cell.prepare

    def second(*arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 2:
            replaced(path, other)
        return prepare(*arguments)

    monkeypatch.setattr(cell, "prepare", second)
    with pytest.raises(InputError, match="were changed while they were in use"):
        run_cells("vae-mlp", "digits", weights=path, seeds=[0, 1], out=tmp_path / "out", **OPTIONS)
    (run,) = [read_run_json(file) for file in (tmp_path / "out").rglob("run.json")]
    assert (run["seed"], run["weights_loaded_sha256"]) == (0, first)


def test_weights_that_stay_are_loaded(tmp_path: Path) -> None:
    """The control: the same commands with a file that nobody touches."""
    path = saved(tmp_path / "w.safetensors", 0)
    assert (
        len(run_cells("vae-mlp", "digits", weights=path, seeds=[0, 1], out=tmp_path / "out", **OPTIONS)) == 2
    )
    assert resolve.file_sha256(path) == file_sha256(path)
