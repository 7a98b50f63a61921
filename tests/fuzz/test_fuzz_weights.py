"""Damaged files of weights: a sentence each, or weights that fit; the files of `mutations`, the child of `harness`."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import torch
from harness import faults
from mutations import TEXT, Mutation, mutations
from torch import nn

from benchbench.core.errors import MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.options import SourceOptions
from benchbench.features.weights import read_state_dict
from benchbench.models.build import build_model
from benchbench.training.weights import load_weights, save_weights

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("every")]


def model() -> nn.Module:
    torch.manual_seed(0)
    return build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, True, 0))


def load(path: Path) -> None:
    """As `run --weights`, and by the definition of it: what was taken is finite."""
    target = model()
    load_weights(target, path)
    assert all(value.isfinite().all() for value in target.state_dict().values())


def load_trusted(path: Path) -> None:
    load_weights(model(), path, allow_pickle=True)


def read(path: Path) -> None:
    """As an extractor reads what a variable names."""
    read_state_dict(path, "vgg16")


def saved(tmp_path: Path) -> bytes:
    save_weights(model(), tmp_path / "real.safetensors", "vae-mlp")
    return (tmp_path / "real.safetensors").read_bytes()


def checkpoint(**how: bool) -> bytes:
    content = BytesIO()
    torch.save({"ema": model().state_dict(), "epoch": 3, "name": "x"}, content, **how)
    return content.getvalue()


def with_other_headers(content: bytes) -> Iterator[Mutation]:
    """The header alone damaged, as text, and its length put right: so damage comes further than the length."""
    length = 8 + struct.unpack("<Q", content[:8])[0]
    json.loads(content[8:length])
    for mutation in mutations(content[8:length], mutators=TEXT, seed=1):
        wrapped = struct.pack("<Q", len(mutation.content)) + mutation.content + content[length:]
        yield Mutation(f"header: {mutation.what}", wrapped)


def test_safetensors(tmp_path: Path) -> None:
    """Bytes anywhere, then the header as text."""
    content = saved(tmp_path)
    assert faults(load, tmp_path / "a.safetensors", mutations(content)) == []
    assert faults(load, tmp_path / "b.safetensors", with_other_headers(content)) == []


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older form"])
def test_torch_files(tmp_path: Path, zipped: bool) -> None:
    """A checkpoint that holds a state dict, in both forms of torch.save."""
    content = checkpoint(_use_new_zipfile_serialization=zipped)
    assert faults(load, tmp_path / "a.pt", mutations(content)) == []


def test_torch_files_that_are_trusted(tmp_path: Path) -> None:
    """With permission to unpickle, damage is damage all the same."""
    assert faults(load_trusted, tmp_path / "a.pt", mutations(checkpoint(), count=100, seed=2)) == []


def test_weights_of_extractors(tmp_path: Path) -> None:
    """The same reader behind another door, whose refusals are those of a metric."""
    content = BytesIO()
    torch.save(model().state_dict(), content)
    damaged = mutations(content.getvalue(), seed=3)
    assert faults(read, tmp_path / "a.pth", damaged, extra=(MetricFailed,)) == []


def generate(path: Path) -> None:
    options = SourceOptions(kind="torchscript", latent=4, samples=2, allow_pickle=True)
    for _ in open_images(str(path), options).batches(2):
        pass


class Toy(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(z).reshape(-1, 1, 2, 2)


def test_generators(tmp_path: Path) -> None:
    """TorchScript: few, for each that is still an archive is opened by a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Toy()).save(str(tmp_path / "real.ts"))
    damaged = mutations((tmp_path / "real.ts").read_bytes(), count=12, seed=4)
    assert faults(generate, tmp_path / "a.ts", damaged, seconds=120) == []
