"""A sweep: one request for every combination, one training for all that is only drawn otherwise."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.runtime import Runtime
from benchbench.core.toml import lists_of
from benchbench.results.provenance import read_run_json
from benchbench.results.store import Store
from benchbench.runner import probe
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import load_suite, plan_suite
from benchbench.runner.sweep import MOST_COMBINATIONS, combinations

ASKED: dict[str, Any] = {"model": "vae", "dataset": "digits"}


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.lists(st.integers(), min_size=1, max_size=3, unique=True)
    )
)
def test_every_combination_once(sweep: dict[str, list[int]]) -> None:
    """By the definition, the product of all values, the last setting's fastest; what is set otherwise stays."""
    swept = combinations(CellSpec.of(**ASKED, overrides={"lr": 1e-3}), sweep)
    expected = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
    assert [own.spec.overrides for own in swept] == [{"lr": 1e-3, **values} for values in expected]
    assert len({own.told for own in swept}) == len(swept)


@pytest.mark.parametrize(
    ("sweep", "also", "words"),
    [
        ({"steps": []}, {}, r"the sweep over steps has no values; write steps=5,10,20"),
        ({"steps": [5, 6, 5]}, {}, r"the sweep over steps has 5 twice"),
        ({"lr": [1, 2]}, {"overrides": {"lr": 3}}, r"lr is both set and swept"),
        ({"training.lr": [1, 2]}, {"overrides": {"lr": 3}}, r"training\.lr is both set and swept"),
        ({"lr": [1, 2]}, {"overrides": {"training.lr": 3}}, r"lr is both set and swept"),
        ({"lr": [1, 2], "training.lr": [3]}, {}, r"lr and training\.lr are one setting"),
        ({"a": [*range(40)], "b": [*range(40)]}, {}, rf"has 1,600 combinations; at most {MOST_COMBINATIONS:,}"),
        ({"lr": [1, 2]}, {"name": "mine"}, r"all cells of the sweep would be called 'mine'"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_said(sweep: dict[str, list[Any]], also: dict[str, Any], words: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=words):
        combinations(CellSpec.of(**ASKED, **also), sweep)


def test_names_in_two_sections_are_two_settings() -> None:
    """Steps of training and of sampling, and a setting of a player with the name of another one, are swept together."""
    sweep = {"training.steps": [1, 2], "sampling.steps": [3], "player.a.lr": [4], "lr": [5]}
    assert len(combinations(CellSpec.of(**ASKED), sweep)) == 2


def test_a_setting_that_is_swept_again() -> None:
    """As one would say it to add a value; the first ones must not be lost without a word."""
    with pytest.raises(InputError, match=r"--sweep steps is there twice; give all its values at once"):
        lists_of(["steps=5,10", "lr=1", "steps=20"])


@pytest.mark.parametrize("text", ["steps", "=5", "a..b=5"])
def test_what_is_no_list_of_values(text: str) -> None:
    """The option's own name and example stand in the error."""
    with pytest.raises(InputError, match=r"--sweep .* must look like key=value, .* sampling\.steps=5,10,20"):
        lists_of([text])


@pytest.mark.parametrize("text", ["steps=2,,3", "steps=,2", "steps=2,", "steps="])
def test_nothing_where_a_value_should_be(text: str) -> None:
    """A slip of the finger, or a variable of the shell that is empty: fewer cells than were meant, if it passed."""
    with pytest.raises(InputError, match="has nothing between two commas or at an end"):
        lists_of([text])


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """Two small pieces of scikit-image's astronaut, as a source."""
    from PIL import Image

    (tmp_path / "images").mkdir()
    for i in range(2):
        Image.fromarray(data.astronaut()[60:124, 60 * i : 60 * i + 64]).save(tmp_path / "images" / f"{i}.png")
    return f"folder:{tmp_path / 'images'}"


@pytest.mark.costly
@pytest.mark.usefixtures("small_speeds")
def test_a_sweep_of_sampling_trains_once(
    tmp_path: Path, photographs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the self-ensemble and without, tiles of two sizes: four records of one training key, and the network is
    trained once. Rows tell the four apart, and the outputs of tiles are those of the whole."""
    from benchbench.training import trainer

    trained = []
    train = trainer._Trainer.run
    monkeypatch.setattr(trainer._Trainer, "run", lambda self, *a: trained.append(1) or train(self, *a))
    outcomes = run_cells(
        "espcn", photographs, task="super-resolution", task_options={"train": photographs}, out=tmp_path / "out",
        device="cpu", metrics=["psnr"],
        overrides={"training.steps": 2, "batch_size": 2, "width": 2, "inner": 2},
        sweep={"sampling.ensemble": [False, True], "sampling.tile": [16, 64]},
    )  # fmt: skip
    runs = [read_run_json(path / "run.json") for path, _ in outcomes]
    assert len({str(path) for path, _ in outcomes}) == 4
    assert len({run["training_key"] for run in runs}) == 1
    assert len(trained) == 1
    frame = benchbench.load_results(tmp_path / "out")
    values = frame[frame["metric"] == "psnr"].set_index("variant")["value"]
    assert len(set(values.index)) == 4
    assert len(set(values.round(9))) == 2


def test_a_suite_sweeps(tmp_path: Path) -> None:
    """Of all models, or of those that an override matches; names of cells tell the combinations apart."""
    (tmp_path / "suite.toml").write_text(
        'models = ["noise", "vae"]\ndatasets = ["digits"]\nseeds = 2\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'
        '[[override]]\nmatch = {model = "vae"}\nsweep = {"latent" = [4, 8], "lr" = [1e-3]}\n'
    )
    cells = plan_suite(
        load_suite(tmp_path / "suite.toml"), Store(tmp_path / "out"), device=torch.device("cpu")
    )
    assert [cell.name for cell in cells] == [
        "noise on digits, seed 0",
        "noise on digits, seed 1",
        "vae on digits, seed 0, latent=4, lr=0.001",
        "vae on digits, seed 1, latent=4, lr=0.001",
        "vae on digits, seed 0, latent=8, lr=0.001",
        "vae on digits, seed 1, latent=8, lr=0.001",
    ]
    assert len({cell.key for cell in cells}) == 6


@pytest.mark.costly
def test_a_model_is_built_once_for_settings_that_do_not_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four values of the learning rate and two of the steps of sampling look at one untrained model; each width has its
    own. The keys are those of cells that are planned one by one."""
    looked: list[Any] = []
    build = probe.built
    monkeypatch.setattr(
        probe, "built", lambda recipe, *more: looked.append(recipe.hyper) or build(recipe, *more)
    )
    asked = CellSpec.of(
        model="flow-matching", dataset="digits", samples=16, metrics=["swd"], overrides={"width": 16}
    )
    desk, probes = Desk(Runtime()), probe.Probes()

    def keys(sweep: dict[str, list[Any]], *shared: probe.Probes) -> list[str]:
        swept = combinations(
            asked if "width" not in sweep else asked.model_copy(update={"overrides": {}}), sweep
        )
        return [make_plans(own.spec, [0], desk, *shared)[0].key for own in swept]

    sweep = {"lr": [1e-3, 2e-3, 3e-3, 4e-3], "sampling.steps": [5, 10]}
    shared = keys(sweep, probes)
    assert len(looked) == 1
    assert len(set(shared)) == 8
    assert shared == keys(sweep)
    del looked[:]
    keys({"width": [16, 32]}, probes)
    assert [hyper["width"] for hyper in looked] == [32]  # the last one was of 16
    with pytest.raises(InputError, match="steps"):
        keys({"sampling.steps": [0]}, probes)


@pytest.mark.costly
def test_the_command_shows_every_cell(tmp_path: Path) -> None:
    """Two records with a variant each; a value that cannot be is refused before the first cell runs."""
    out = ["--out", str(tmp_path / "out"), "--device", "cpu", "--metrics", "swd", "--samples", "16"]
    base = ["run", "--model", "vae-mlp", "--dataset", "digits", "--set", "steps=2", *out]
    ran = CliRunner().invoke(cli, [*base, "--sweep", "latent=2,4"])
    assert ran.exit_code == 0, ran.output
    variants = set(benchbench.load_results(tmp_path / "out")["variant"])
    assert variants == {"latent=2,steps=2", "latent=4,steps=2"}
    refused = CliRunner().invoke(cli, [*base, "--sweep", "latent=8,-1"])
    assert isinstance(refused.exception, InputError)
    assert "latent=-1" in str(refused.exception)
    assert len(list((tmp_path / "out").rglob("run.json"))) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"sweep": {"sampling.steps": [2, 30]}}, r"sampling\.steps=30 visits more times than the 20"),
        ({"overrides": {"sampling.guidance": 1}}, "guidance needs a conditional model"),
        (
            {"overrides": {"sampling.sampler": "ancestral"}, "task": "latent-edit"},
            "found by ddim without noise",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_it_is_trained(
    asked: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Of all cells, before the first one learns: nothing is left, not even a part of a training."""
    tiny = {"width": 2, "multiples": [1], "timesteps": 20, "training.steps": 1, **asked.pop("overrides", {})}
    with pytest.raises(InputError, match=words):
        run_cells("ddpm", "digits", samples=4, overrides=tiny, out=tmp_path, metrics="fd", **asked)
    assert not [*tmp_path.rglob("*.*")]
