"""Cells of generators that others wrote: their record, how they are asked for, and what is refused.

Expected costs are counted by hand from the module; expected sentences are by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from theirs import write_public
from torch import nn

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import MODELS
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.suite import load_suite


def dataset_of(folder: Path) -> Path:
    """A folder of 8×8 images."""
    folder.mkdir()
    for i, image in enumerate(np.random.default_rng(3).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    return folder


@pytest.mark.costly
def test_a_record_as_any_other(tmp_path: Path) -> None:
    """Theirs, with weights in a checkpoint of a wrapped module: rows of its own name, costs, and where it came from;
    found again by the same call under another batch size, and another record with other weights."""
    theirs = write_public(tmp_path)
    weights = tmp_path / "G.pth"
    torch.manual_seed(0)
    own = nn.Sequential(
        nn.ConvTranspose2d(5, 2, 4, 1, 0, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    state = {f"module.main.{name}": value for name, value in own.state_dict().items()}
    torch.save({"epoch": 3, "netG": state}, weights)
    asked: dict[str, Any] = {
        "overrides": {"args": {"nz": 5}},
        "weights": weights,
        "metrics": ["fd"],
        "samples": 16,
        "out": tmp_path / "runs",
    }
    data = str(dataset_of(tmp_path / "images"))
    first = benchbench.run(f"generator:{theirs}:Generator", data, **asked)
    assert set(first["model"]) == {"generator-dcgan"}
    assert (first["status"] == "ok").all()
    values = dict(zip(first["metric"], first["value"], strict=True))
    assert values["parameters_sampling"] == sum(weight.numel() for weight in own.parameters())
    assert values["network_evaluations"] == 1
    (record,) = (tmp_path / "runs").glob("*/generator-dcgan/*/run.json")
    said = read_run_json(record)
    assert said["weights_loaded_sha256"] == file_sha256(weights)
    assert said["generator"]["latent"] == [5, 1, 1]
    assert said["generator"]["range"] == [-1.0, 1.0]
    assert said["recipe"]["model"] == "generator-dcgan"
    assert str(tmp_path) not in str({name: said[name] for name in ("generator", "config", "settings")})
    again = benchbench.run(f"generator:{theirs}:Generator", data, **asked, batch_size=3)
    assert again.equals(first)
    torch.save(
        {name: value * 2 for name, value in state.items() if value.is_floating_point()}
        | {name: value for name, value in state.items() if not value.is_floating_point()},
        weights,
    )
    benchbench.run(f"generator:{theirs}:Generator", data, **asked)
    assert load_results(tmp_path / "runs")["cell"].nunique() == 2
    with pytest.raises(InputError, match="starts from random weights"):
        benchbench.run(f"generator:{theirs}:Generator", data, **{**asked, "weights": None})
    torch.save({"main.0.weight": torch.zeros(2)}, weights)
    with pytest.raises(InputError, match=r"do not fit .*Generator"):
        benchbench.run(f"generator:{theirs}:Generator", data, **asked)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give --model NAME, or --generator WHAT"),
        (["--model", "vae", "--generator", "a.py"], "--model and --generator both say what is asked"),
        (["--generator", "gone.py:f"], "there is no generator gone.py"),
        (["--generator", " "], "--generator is empty; name a file"),
        (["--generator", "dcgan.py:Generator"], "needs nz: give them with --set args.nz=…"),
        (["--generator", "dcgan.py:make_generator", "--set", "latnet=3"], "did you mean 'latent'"),
        (["--generator", "dcgan.py:make_generator", "--set", "range=1,0"], "give what black is"),
        (["--generator", "dcgan.py:make_generator", "--set", "latent=0"], "latent"),
        (["--generator", "dcgan.py:make_generator", "--weights", "gone.pth"], "gone.pth"),
    ],
)
def test_what_the_command_refuses(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence, with exit code 2, and nothing is left behind."""
    write_public(tmp_path)
    monkeypatch.chdir(tmp_path)
    dataset_of(tmp_path / "images")
    done = CliRunner().invoke(cli, ["run", *words, "--dataset", "images", "--out", "runs"])
    assert isinstance(done.exception, InputError), done.output
    assert done.exception.exit_code == 2
    assert sentence in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not list((tmp_path / "runs").glob("*/*"))


def test_a_suite_names_generators_from_its_own_folder(tmp_path: Path) -> None:
    """Paths behind `generator:` are meant from the folder of the file, as those of datasets are; so are those by which
    cells are matched. Names of the hub stay what they are."""
    write_public(tmp_path)
    (tmp_path / "suite.toml").write_text(
        'models = ["vae", "generator:dcgan.py:Generator", "generator:diffusers:owner/name"]\n'
        'datasets = ["digits"]\n[[exclude]]\nmodel = "generator:dcgan.py:Generator"\n'
    )
    suite = load_suite(tmp_path / "suite.toml")
    there = f"generator:{tmp_path / 'dcgan.py'}:Generator"
    assert suite.models == ["vae", there, "generator:diffusers:owner/name"]
    assert suite.exclude[0].model == there


def test_open_families_are_listed_by_how_they_are_written() -> None:
    """`benchbench list models` has a line for them, and no name of the registry is one."""
    listed = benchbench.list_things("models")
    assert "generator:PATH" in set(listed["name"])
    assert not [name for name in MODELS.names() if ":" in name]
    with pytest.raises(InputError, match="unknown model"):
        MODELS.get("generator:")
