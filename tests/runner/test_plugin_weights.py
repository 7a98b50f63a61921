"""A plugin's generator that only samples: it takes weights, and its random start is never scored in silence.

The plugin is a file that is installed, as far as importlib sees, with entry points of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import benchbench
from benchbench.cli import main
from benchbench.core.errors import InputError

CODE = """
import torch
from pydantic import BaseModel
from torch import nn

from benchbench.core.images import quantize


class Sampler(nn.Module):
    reference = "none"

    class Config(BaseModel, extra="forbid", frozen=True):
        width: int = 3

    def __init__(self, config, spec):
        super().__init__()
        self.config = config
        self.shape = (spec.channels, spec.height, spec.width)
        self.net = nn.Linear(config.width, spec.channels * spec.height * spec.width)

    def sample(self, n, rng, labels=None):
        made = self.net(rng.normal(self.config.width))
        return quantize(torch.tanh(made.reshape(n, *self.shape)))


class Repeat:
    def __init__(self, n):
        self.n = n

    def __call__(self, z):
        return z.repeat(1, self.n)[:, : self.n]


class Landmark(Sampler):
    control = True


class Loaded(Sampler):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        with torch.no_grad():
            for weights in self.net.parameters():
                weights.fill_(0.5)


class Bare(Sampler):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        del self.net
        self.net = Repeat(torch.Size(self.shape).numel())


class Data:
    def load(self, size=None, progress=None):
        return {}["here"]
"""
NAMES = ("Sampler", "Landmark", "Loaded", "Bare")
CPU = {"device": "cpu", "samples": 16, "metrics": ["fd"], "extractors": ["efficientnet_lite0"]}


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The models `acme-sampler` and so on."""
    site = tmp_path / "site"
    (site / "acme-1.dist-info").mkdir(parents=True)
    (site / "acme_plugin.py").write_text(CODE)
    points = "".join(f"acme-{name.lower()} = acme_plugin:{name}\n" for name in NAMES)
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(
        f"[benchbench.models]\n{points}[benchbench.datasets]\nacme-data = acme_plugin:Data\n"
    )
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    import acme_plugin

    yield acme_plugin
    del sys.modules["acme_plugin"]


def run(model: str, **asked: Any) -> Any:
    return benchbench.run(model, "digits", out="out", **{**CPU, **asked})


@pytest.mark.costly
def test_weights_are_loaded_into_a_model_that_only_samples(acme: ModuleType, tmp_path: Path) -> None:
    """Under the names of a wrapper, in a checkpoint, and of another seed than the run's: the saved copy in the record
    holds those tensors."""
    from safetensors.torch import load_file

    from benchbench.core.protocols import ImageSpec

    torch.manual_seed(9)
    given = acme.Sampler(acme.Sampler.Config(), ImageSpec(32, 32, True, 10)).state_dict()
    torch.save(
        {"ema": {f"module.{name}": value for name, value in given.items()}, "step": 1}, tmp_path / "w.pt"
    )
    run("acme-sampler", weights=tmp_path / "w.pt")
    (kept,) = (tmp_path / "out").rglob("weights.safetensors")
    assert all(torch.equal(value, given[name]) for name, value in load_file(kept).items())


@pytest.mark.costly
@pytest.mark.parametrize(
    ("model", "asked", "sentence"),
    [
        ("acme-sampler", {}, r"starts from random weights \(net.weight, …\): give those .* with --weights"),
        ("acme-bare", {"weights": Path("w.pt")}, "'acme-bare' has no weights to load; leave --weights out"),
        ("noise", {"weights": Path("w.pt")}, "'noise' has no weights to load; leave --weights out"),
        ("degraded", {"weights": Path("w.pt"), "task": "deblock"}, "'degraded' has no weights to load"),
        ("acme-sampler", {"weights": Path("w.pt")}, "do not fit Sampler: net.weight is missing"),
    ],
)
def test_what_is_refused(acme: ModuleType, model: str, asked: dict[str, Any], sentence: str) -> None:
    """Weights for a model that has none, and a random start that nobody asked for: before anything is scored."""
    torch.save({"x": torch.zeros(1)}, "w.pt")
    with pytest.raises(InputError, match=sentence):
        run(model, **asked)
    assert not Path("out").exists() or not [*Path("out").rglob("run.json")]


@pytest.mark.costly
@pytest.mark.parametrize("model", ["acme-landmark", "acme-loaded", "acme-bare"])
def test_what_starts_as_it_is_meant_to(acme: ModuleType, model: str) -> None:
    """A class that says it is a landmark, one that loads its own weights, one without any."""
    assert len(run(model)) > 0


def test_a_plugin_that_fails_is_named(
    acme: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of a dataset of others, in its own code, is no bug of ours."""
    monkeypatch.setattr("sys.argv", ["benchbench", "stats", "acme-data", "--out", "s.npz", "--device", "cpu"])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 4
    assert "the plugin acme_plugin (from acme 1) failed: KeyError: 'here'" in said
    assert "bug in benchbench" not in said
