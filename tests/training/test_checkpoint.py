"""Checkpoints of something else are refused by name; damaged ones are named, set aside, and the one before is used."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noted import Notes

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training import checkpoint
from benchbench.training.checkpoint import (
    Checkpoints,
    has_checkpoint,
    resume,
    save_checkpoint,
)
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

IDENTITY = {"model": "vae", "hyper": {"latent": 4}, "training": {"lr": 0.001, "betas": (0.9, 0.999)}}


def resumed(folder: Path, identity: Mapping[str, Any] = IDENTITY) -> tuple[dict[str, Any] | None, list[str]]:
    """What `resume` hands over, and what it says."""
    got: list[Mapping[str, Any]] = []
    notes = Notes()
    found = resume(Checkpoints(folder, identity), got.append, notes)
    assert (found is None) == (not got)
    return (dict(got[0]) if got else None), notes.said


def test_round_trip(tmp_path: Path) -> None:
    """What went in comes out; a tuple and the list it became are the same setting; nothing else is in the
    folder."""
    assert resumed(tmp_path) == (None, [])
    assert not has_checkpoint(tmp_path)
    save_checkpoint(tmp_path, IDENTITY, {"step": 3, "w": torch.tensor([1.5])})
    state, said = resumed(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["w"], torch.tensor([1.5]))
    assert os.listdir(tmp_path) == ["checkpoint.pt"]
    assert has_checkpoint(tmp_path)
    assert not said


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (
            IDENTITY | {"training": {"lr": 0.002, "betas": (0.9, 0.999)}},
            "was made with lr=0.001, now lr=0.002; remove it to train from the start, or use the old value",
        ),
        (
            IDENTITY | {"hyper": {"latent": 8, "beta": 2.0}, "model": "beta-vae"},
            "was made with beta=nothing, latent=4, model=vae, now beta=2.0, latent=8, model=beta-vae; .*s$",
        ),
    ],
)
def test_changed_settings_are_named(tmp_path: Path, now: dict[str, Any], message: str) -> None:
    """Every setting that differs, then and now, wherever it is nested; those that agree are not mentioned."""
    save_checkpoint(tmp_path, IDENTITY, {})
    with pytest.raises(InputError, match=message) as error:
        resumed(tmp_path, now)
    assert str(tmp_path) in str(error.value)
    assert "betas" not in str(error.value)


def _flipped(content: bytes, place: int) -> bytes:
    """The same with one bit turned over."""
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "cut early": lambda content: content[:10],
    "cut in the archive": lambda content: content[: len(content) // 2],
    "cut in the checksum": lambda content: content[:-3],
    "longer": lambda content: content + b"x",
    "of zeros": lambda content: bytes(len(content)),
    "no checksum": lambda content: content[:-72],
    "of another kind": lambda content: b"step,loss\n1,2\n",
    **{
        f"bit at {share:.0%}": (
            lambda content, share=share: _flipped(content, int(share * (len(content) - 1)))
        )
        for share in np.random.default_rng(0).random(20).tolist()
    },
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(tmp_path: Path, damage: str) -> None:
    """Steps 1 and 2 are kept; whatever happened to the file of step 2, training goes on from step 1, the damaged file
    is named and kept under another name. With both damaged there is nothing to go on from. By the sha256 of the file's
    own bytes nothing that changed passes."""
    for step in (1, 2):
        save_checkpoint(tmp_path, IDENTITY, {"step": step, "w": torch.arange(100.0)})
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    state, said = resumed(tmp_path)
    assert state is not None
    assert state["step"] == 1
    assert torch.equal(state["w"], torch.arange(100.0))
    (note,) = said
    assert note.startswith(f"the checkpoint {file} is damaged")
    assert note.endswith("it is set aside as checkpoint.pt.damaged")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.before.pt", "checkpoint.pt.damaged"]
    before = tmp_path / "checkpoint.before.pt"
    before.write_bytes(DAMAGE[damage](before.read_bytes()))
    state, said = resumed(tmp_path)
    assert state is None
    assert said[-1] == "no other checkpoint is left: training begins anew"


def test_a_folder_in_place_of_a_checkpoint_is_set_aside(tmp_path: Path) -> None:
    """No regular file: it is not opened, and training begins anew."""
    (tmp_path / "checkpoint.pt").mkdir()
    state, said = resumed(tmp_path)
    assert state is None
    assert "is no regular file" in said[0]


def test_a_full_disk_is_one_sentence_and_keeps_what_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that says ENOSPC when it is written to, at the first write and at a later one, as a full disk does: the
    checkpoint of step 1 stays the newest, and nothing half-written is left."""
    save_checkpoint(tmp_path, IDENTITY, {"step": 1})
    for allowed in (0, 1):
        left = [allowed]

        class Full(io.FileIO):
            def write(self, data: Any, left: list[int] = left) -> int:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data)

        monkeypatch.setattr(checkpoint, "open", Full, raising=False)
        with pytest.raises(InputError, match=r"cannot write .*checkpoint\.pt: No space left on device"):
            save_checkpoint(tmp_path, IDENTITY, {"step": 2, "w": torch.zeros(1000)})
        assert os.listdir(tmp_path) == ["checkpoint.pt"]
    monkeypatch.undo()
    assert resumed(tmp_path)[0] == {"step": 1}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("model"), "model"),
        (lambda state: state.update(more=1), "more"),
        (lambda state: state["run"].pop("step"), "run.step"),
        (lambda state: state["run"].update(colour=1), "run.colour"),
        (lambda state: state["optimizers"].clear(), "optimizers.vae"),
        (lambda state: state["transient"].update(pool=torch.zeros(1)), "transient.pool"),
        (lambda state: state["model"].popitem(), "Missing key"),
        (lambda state: state["run"].update(step=10**9), "step 1000000000 of"),
        (lambda state: state["run"].update(step="four"), "does not fit"),
        (lambda state: state.update(optimizers=None), "does not fit"),
        (lambda state: state.update(rng_cpu=torch.zeros(3)), "does not fit"),
    ],
)
def test_parts_that_do_not_fit_begin_the_training_anew(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    """A whole file with a part too few, too many or of another kind, as another version would write it: it is named
    and set aside, and the weights that come out are those of a training that was never stopped."""
    notes = Notes()

    def go(folder: Path) -> dict[str, torch.Tensor]:
        images = torch.arange(8 * 3 * 64, dtype=torch.int32).to(torch.uint8).view(8, 3, 8, 8)
        torch.manual_seed(0)
        model = build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))
        kept = Checkpoints(folder, IDENTITY)
        config, device = TrainingConfig(steps=3, batch_size=4), torch.device("cpu")
        data = TrainingData(images, None, images)
        train(model, data, config, seed=0, device=device, checkpoints=kept, progress=notes)
        return model.state_dict()

    whole = go(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "other")
    file = tmp_path / "other" / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    change(content["state"])
    with monkeypatched_identity(content["identity"]):
        save_checkpoint(file.parent, {}, content["state"])
    (file.parent / "checkpoint.before.pt").unlink()
    again = go(tmp_path / "other")
    assert any(str(file) in note and named in note for note in notes.said), notes.said
    assert (tmp_path / "other" / "checkpoint.pt.damaged").exists()
    assert all(torch.equal(whole[key], again[key]) for key in whole)


@contextmanager
def monkeypatched_identity(text: str) -> Iterator[None]:
    """Whatever is saved inside carries this identity."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_canonical", lambda identity: text)
        yield


def test_a_planted_pickle_runs_nothing(tmp_path: Path) -> None:
    """`weights_only` refuses a file whose unpickling would make a folder."""

    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"identity": "{}", "state": Planted()}, tmp_path / "checkpoint.pt")
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    path.write_bytes(content + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode())
    state, said = resumed(tmp_path)
    assert state is None
    assert "damaged" in said[0]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.02}, "lr=0.001, now lr=0.02"),
        ({"batch_size": 2}, "batch_size=4, now batch_size=2"),
        ({"seed": 1}, "seed=0, now seed=1"),
        ({"identity": {"dataset": "b"}}, "dataset=a, now dataset=b"),
    ],
)
def test_the_loop_refuses_changes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Settings, seed and the caller's own identity; how often a checkpoint is written may change."""

    def go(*, seed: int = 0, identity: dict[str, str] | None = None, **settings: Any) -> None:
        images = torch.arange(8 * 3 * 64, dtype=torch.int32).to(torch.uint8).view(8, 3, 8, 8)
        model = build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))
        config = TrainingConfig(**{"batch_size": 4, "epochs": 1} | settings)
        train(
            model,
            TrainingData(images, None, images),
            config,
            seed=seed,
            device=torch.device("cpu"),
            checkpoints=Checkpoints(tmp_path, identity or {"dataset": "a"}),
        )

    go()
    go(checkpoint_every=1)
    with pytest.raises(InputError, match=message):
        go(**change)


def test_a_folder_that_another_process_cleared_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two equal trainings, of which the faster one clears the folder while the slower one writes into it: the second
    try lands, and so do the curves."""
    folder = tmp_path / "work"
    write, cleared = checkpoint._Sealed.write, []

    def clear(self: Any, data: bytes) -> int:
        if not cleared:
            cleared.append(os.rename(folder, tmp_path / "doomed"))
        return write(self, data)

    monkeypatch.setattr(checkpoint._Sealed, "write", clear)
    save_checkpoint(folder, IDENTITY, {"step": 1})
    assert cleared
    assert resumed(folder)[0] == {"step": 1}
