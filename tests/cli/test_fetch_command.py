"""`benchbench fetch`: names in, files in their places, a line each; and what doctor and a network then say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from verbs_tried import Console

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import EXTRACTORS
from benchbench.features.fetch import MIRROR
from benchbench.features.networks import torch_fidelity_nets as nets
from benchbench.verbs.fetch import once, published

DINO = nets.DinoV2Small
HUBCONF = """
from torch import nn

def dinov2_vits14(pretrained):
    return nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 384))
"""


@pytest.fixture(autouse=True)
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache, no mirror, and a folder with what DINOv2 needs: a small network in its place."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in (MIRROR, DINO.weights.env, "BENCHBENCH_LPIPS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(nets._DinoV2, "code", replace(nets.DINOV2, sha256=""))
    (tmp_path / "code" / "dinov2-1").mkdir(parents=True)
    (tmp_path / "code" / "dinov2-1" / "hubconf.py").write_text(HUBCONF)
    folder = tmp_path / "copy"
    folder.mkdir()
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "code", "dinov2-1")
    shutil.move(packed, folder / DINO.code.file)
    torch.save({"2.weight": torch.ones(384, 48), "2.bias": torch.zeros(384)}, folder / DINO.weights.file)
    return folder


def test_every_network_that_must_be_fetched_is_known() -> None:
    """Each extractor that says it is fetched once, lpips and vgg19; the four protocols of Inception share a file."""
    told = {
        name for name, extractor in EXTRACTORS.items() if "must be fetched once" in (extractor.__doc__ or "")
    }
    assert told
    assert told <= set(published())
    assert {"lpips", "vgg19", "inception_v3", "clip_vit_b_32", "dinov2_vit_l_14"} <= set(once(published()))
    assert {"inception_v3_clean", "inception_v3_spatial"} <= set(published()) - set(once(published()))
    assert all(what.url.startswith("https://") for files in published().values() for what in files)


def test_a_network_works_then(copy: Path, console: Console) -> None:
    """Code and weights in their places, a line each with the sha256; the network loads and says that sha256; a second
    time both are there. In between the list says what is where."""
    code, out, err = console("fetch", "dinov2_vit_s_14", "--from", str(copy))
    assert code == 0, err
    lines = out.decode().splitlines()
    sha256 = file_sha256(copy / DINO.weights.file)
    assert lines[1] == f"dinov2_vit_s_14: fetched: {DINO.weights.cached} (sha256 {sha256})"
    assert lines[0].startswith(f"dinov2_vit_s_14: fetched: {DINO.code.folder} (sha256 ")
    assert "getting dinov2_vits14_pretrain.pth: 1 megabyte" in err.decode()
    assert DINO().weights_sha256 == sha256
    frame = benchbench.fetch(["DINOv2_ViT_S_14"], source=copy)
    assert frame["state"].tolist() == ["there", "there"]
    frame = benchbench.fetch().set_index("file")
    assert frame.loc[DINO.weights.file, "state"] == "there"
    assert frame.loc["alexnet-owt-7be5be79.pth", "state"] == "not there"
    code, out, _ = console("fetch", "--list")
    assert code == 0
    assert f"there, 88 MB: {DINO.weights.cached}, from {DINO.weights.url}" in " ".join(out.decode().split())


def test_a_variable_goes_before_what_was_fetched(
    copy: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, for the network will not read the new file."""
    monkeypatch.setenv(DINO.weights.env, str(copy / DINO.weights.file))
    code, _, err = console("fetch", "dinov2_vit_s_14", "--from", str(copy))
    assert code == 0
    assert "dinov2_vit_s_14 reads that one until it is unset" in err.decode()


Call = Callable[[Path], object]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda _: benchbench.fetch("inceptoin_v3"), "did you mean 'inception_v3'"),
        (lambda _: benchbench.fetch(["lpips", ""]), "a name is empty"),
        (lambda _: benchbench.fetch("efficientnet_lite0"), "has nothing to fetch"),
        (lambda _: benchbench.fetch("cnn:digits"), "has nothing to fetch"),
        (
            lambda copy: benchbench.fetch("lpips", source=copy),
            "put alexnet-owt-7be5be79.pth there, from https",
        ),
        (lambda copy: benchbench.fetch("lpips", source=copy / "x"), "which is no folder"),
        (lambda copy: benchbench.fetch("lpips", to=copy / DINO.code.file), "which is a file; name a folder"),
        (lambda _: benchbench.fetch("lpips", source=""), "a path is empty"),
    ],
)
def test_what_cannot_be_is_one_sentence(call: Call, sentence: str, copy: Path) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(InputError) as caught:
        call(copy)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name what to fetch, such as inception_v3"),
        (["--list", "lpips"], "leave the names, --from and --to out"),
        (["lpips", "--from", "copy"], "put alexnet-owt-7be5be79.pth there"),
    ],
)
def test_usage(
    words: list[str], sentence: str, copy: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, one line, nothing on stdout."""
    monkeypatch.chdir(copy.parent)
    code, out, err = console("fetch", *words)
    assert (code, out) == (2, b"")
    assert sentence in err.decode()
    assert err.decode().count("\n") == 1
