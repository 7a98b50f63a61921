"""Weights on disk: exact round trips, and one sentence for everything that does not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training.weights import load_weights, save_weights


def make(seed: int = 0, **hyper: int) -> nn.Module:
    torch.manual_seed(seed)
    return build_model("vae-mlp", {"latent": 2, "width": 4} | hyper, ImageSpec(8, 8, True, 0))


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_round_trip(tmp_path: Path) -> None:
    """Bit for bit; the sha256 of both calls is the file's, and equal weights make an equal file."""
    model, other = make(), make(1)
    assert not equal(model, other)
    sha256 = save_weights(model, tmp_path / "a.safetensors")
    assert (
        load_weights(other, tmp_path / "a.safetensors") == sha256 == file_sha256(tmp_path / "a.safetensors")
    )
    assert equal(model, other)
    assert save_weights(other, tmp_path / "b.safetensors") == sha256


def test_metadata(tmp_path: Path) -> None:
    """The name (or the class) and the config, as JSON."""
    for name, expected in (("vae-mlp", "vae-mlp"), (None, "benchbench.models.vae.vae:MLPVAE")):
        save_weights(make(), tmp_path / "a.safetensors", name)
        with safe_open(tmp_path / "a.safetensors", "pt") as file:
            metadata = json.loads(file.metadata()["benchbench"])
        assert metadata["model"] == expected
        assert metadata["config"]["width"] == 4


def test_state_dict_in_pt(tmp_path: Path) -> None:
    """The other common form, without code."""
    model, other = make(), make(1)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    assert load_weights(other, tmp_path / "a.pt") == file_sha256(tmp_path / "a.pt")
    assert equal(model, other)


def test_pickled_module_needs_permission(tmp_path: Path) -> None:
    """Refused with the way out, and read when asked for."""
    model, other = make(), make(1)
    torch.save(model, tmp_path / "a.pth")
    with pytest.raises(
        InputError, match=r"cannot be read as tensors alone \(they hold [\w.]+\); .*--allow-pickle"
    ):
        load_weights(other, tmp_path / "a.pth")
    assert not equal(model, other)
    load_weights(other, tmp_path / "a.pth", allow_pickle=True)
    assert equal(model, other)


def test_planted_code_does_not_run(tmp_path: Path) -> None:
    """Unpickling would make a folder; without permission it does not."""

    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"w": Planted()}, tmp_path / "a.pt")
    with pytest.raises(InputError):
        load_weights(make(), tmp_path / "a.pt")
    assert not (tmp_path / "owned").exists()


def test_mismatches_are_listed(tmp_path: Path) -> None:
    """Shapes that differ, with the setting that explains them; the model keeps its own weights."""
    save_weights(make(latent=3), tmp_path / "a.safetensors")
    model, untouched = make(), make()
    with pytest.raises(InputError) as error:
        load_weights(model, tmp_path / "a.safetensors")
    assert "do not fit MLPVAE: encoder.5.weight is 6x4 but must be 4x4; encoder.5.bias is 6" in str(
        error.value
    )
    assert str(error.value).endswith("they were made with latent=3")
    assert equal(model, untouched)


def test_weights_of_the_other_direction(tmp_path: Path) -> None:
    """They fit in every shape and would do the opposite of what was asked for."""

    def one_way(direction: str) -> nn.Module:
        torch.manual_seed(0)
        return build_model("cnn-autoencoder", {"width": 2, "direction": direction}, ImageSpec(8, 8, False, 0))

    save_weights(one_way("BtoA"), tmp_path / "w.safetensors", name="cnn-autoencoder")
    load_weights(one_way("BtoA"), tmp_path / "w.safetensors")
    with pytest.raises(
        InputError, match="are of direction BtoA but the model of AtoB; use --set direction=BtoA"
    ):
        load_weights(one_way("AtoB"), tmp_path / "w.safetensors")


def test_missing_and_unknown_keys(tmp_path: Path) -> None:
    """The first three, and how many more."""
    state = make().state_dict()
    torch.save({f"{key}.net": value for key, value in state.items()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"encoder\.1\.weight is missing; .* is missing; and 21 more"):
        load_weights(make(), tmp_path / "a.pt")
    torch.save(state | {"extra": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"do not fit MLPVAE: extra is unknown$"):
        load_weights(make(), tmp_path / "a.pt")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    """They would make NaN images much later."""
    model = make()
    next(model.parameters()).data[0] = float("nan")
    save_weights(model, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"encoder\.1\.weight is not finite"):
        load_weights(make(), tmp_path / "a.safetensors")


def test_unreadable_files(tmp_path: Path) -> None:
    """Absent, cut off, of an unknown type, or of something else: each named with its path."""
    save_weights(make(), tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-20])
    torch.save(make().state_dict(), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:100])
    (tmp_path / "empty.safetensors").touch()
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n")
    (tmp_path / "weights.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    (tmp_path / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tmp_path / "page.pth").write_text("<!DOCTYPE html>")
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    for name, message in {
        "absent.safetensors": "there is no weights file",
        "cut.safetensors": "damaged or no safetensors file",
        "cut.pt": "cannot be read as tensors alone",
        "empty.safetensors": "an empty file",
        "list.pt": "hold no state dict of tensors",
        "weights.h5": "are an HDF5 file; use .safetensors, .pt or .pth",
        "weights.onnx": "unknown type of weights; use .safetensors, .pt or .pth",
        "pointer.pt": "are a Git LFS pointer",
        "page.pth": "are a page of the web",
        "folder.pt": "is a folder",
        "pipe.pt": "is a pipe",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            load_weights(make(), tmp_path / name)
        assert name in str(error.value)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0o027, 0o640)])
def test_written_weights_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """As any other file: whom the umask lets read a folder of results can read the weights in it."""
    before = os.umask(umask)
    try:
        save_weights(make(), tmp_path / "a.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == mode
