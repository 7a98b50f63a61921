"""What rows are called: variants, names, settings, before anything is computed; and that a name trains nothing anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from noted import Notes

from benchbench.core.baselines import baselines_folder
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.toml import read_toml
from benchbench.models.build import sampling_class
from benchbench.results.key import cell_key
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.labels import LONGEST, checked_name, settings, variant
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.plan_keys import SAMPLING_VERSION
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec
from benchbench.training.config import TrainingConfig
from benchbench.training.recipe import FILE, load_recipe

CPU = torch.device("cpu")
TINY: dict[str, Any] = {"metrics": ["mse"], "samples": 8, "device": "cpu"}


def shipped() -> list[tuple[str, str]]:
    """(model, dataset) of every baseline that ships."""
    found = []
    for file in sorted(baselines_folder().glob(f"*/{FILE}")):
        content = read_toml(file, "recipe")
        found.append((content["model"]["name"], content["dataset"]))
    return found


@pytest.mark.costly
@pytest.mark.parametrize(("model", "dataset"), shipped())
def test_a_recipe_as_it_ships_has_no_variant(model: str, dataset: str) -> None:
    """By definition, though all of them set hyper-parameters."""
    assert variant(load_recipe(model, dataset), trained=True) == ""


@pytest.mark.costly
@pytest.mark.parametrize(
    ("model", "dataset", "overrides", "expected"),
    [
        ("vae", "digits", ["latent=16", "lr=2e-3"], ""),  # the recipe's own values, said aloud
        ("vae", "digits", ["lr=5e-4"], "lr=0.0005"),
        ("vae", "digits", ["lr=1e-2", "latent=4"], "latent=4,lr=0.01"),
        ("vae", "digits", ["epochs=6"], "epochs=6"),
        ("vae", "digits", ["steps=6"], "steps=6"),  # in place of the recipe's epochs, which nobody typed
        ("vae", "digits", ["monitor_every=50"], ""),
        ("vae", "digits", ["checkpoint_every=5"], ""),
        ("vae", "digits", ["monitor_every=50", "on_collapse=stop"], "on_collapse=stop"),
        ("vae", "digits", ["monitor_every=50", "checkpoint=best"], "checkpoint=best"),
        ("vae", "digits", ["training.precision=bf16"], "training.precision=bf16"),
        ("gan", "digits", ["betas=[0.0, 0.9]", "diffaugment=color,translation"],
         "betas=[0,0.9],diffaugment=color,translation"),
        ("faceswap", "openmoji-tones", ["model.code=8"], "model.code=8"),
        ("beta-vae", "folder:x", [], ""),  # no recipe: the defaults
        ("beta-vae", "folder:x", ["beta=8", "epochs=20"], "beta=8"),  # 20 epochs is what nothing said means
    ],
)  # fmt: skip
def test_variant(model: str, dataset: str, overrides: list[str], expected: str) -> None:
    """What was set away from the recipe, as it is typed, sorted: the expected texts are the overrides themselves, less
    those on which no weight depends."""
    assert variant(load_recipe(model, dataset, overrides=overrides), trained=True) == expected


def test_another_recipe_file_is_held_against_the_one_that_ships(tmp_path: Path) -> None:
    """The file leaves out what the shipped recipe sets: latent is back at its default of 32, lr at 1e-3, and so on (the
    numbers of the two files and of the defaults)."""
    file = tmp_path / "mine.toml"
    file.write_text("[model]\nwidth = 16\n[training]\nepochs = 60\nbatch_size = 64\n")
    recipe = load_recipe("vae", "digits", file)
    assert variant(recipe, trained=True) == "latent=32,lr=0.001,schedule=constant"


def test_loaded_weights_are_in_the_variant_and_their_training_is_not() -> None:
    """No weight depends on the training section any more; the hyper-parameters still build the network."""
    recipe = load_recipe("vae", "digits", overrides=["lr=0.5", "latent=4"])
    assert variant(recipe, trained=False) == "latent=4"
    assert variant(recipe, trained=False, weights_sha256="ab12cd34ef") == "latent=4,weights=ab12cd34"
    assert (
        variant(recipe, trained=False, weights_sha256="ab12cd34ef", published=True) == "latent=4,pretrained"
    )


def test_settings_hold_all_that_tells_two_recipes_apart() -> None:
    """Every hyper-parameter with its default, every training setting that weights depend on, none that only watches,
    the identities of code and weights; nothing of training where weights were loaded."""
    training = TrainingConfig(steps=5, monitor_every=10)
    config = {"code": 32, "tone": 2.5}
    drawn = {"steps": 50, "eta": 0.0}
    found = settings("c0de" * 16, config, drawn, training, trained=True, weights_sha256=None)
    names = training.hyper().keys() - {"precision"} | {"training.precision"}
    names = names - {"steps"} | {"training.steps", "sampling.steps", "eta"}
    assert found.keys() == {"code", "weights", "model.code", "tone"} | names
    assert {name: found[name] for name in (
        "code", "weights", "model.code", "tone", "training.steps", "sampling.steps", "eta", "epochs", "lr",
    )} == {
        "code": "c0dec0de", "weights": None, "model.code": "32", "tone": "2.5", "training.steps": "5",
        "sampling.steps": "50", "eta": "0", "epochs": "none", "lr": "0.001",
    }  # fmt: skip
    loaded = settings("c0de" * 16, config, {}, training, trained=False, weights_sha256="ab" * 32)
    assert loaded == {"code": "c0dec0de", "weights": "abababab", "model.code": "32", "tone": "2.5"}
    choosing = TrainingConfig(steps=5, monitor_every=10, checkpoint="best")
    assert settings("", {}, {}, choosing, trained=True, weights_sha256=None)["monitor_every"] == "10"


@pytest.mark.parametrize("name", ["MyDDPM", "Ours (50 steps)", "模型", "x" * LONGEST])
def test_names_that_can_be_used(name: str) -> None:
    """Anything that a table can show and `model=NAME` can select."""
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "--name is empty"),
        ("  ", "--name is empty"),
        (" x", "begins or ends with a space"),
        ("a\nb", "cannot be printed"),
        ("a\x1b[31m", "cannot be printed"),
        ("x" * (LONGEST + 1), "has 81 characters; use at most 80"),
        ("a,b", "comma or an equals sign"),
        ("beta=4", "comma or an equals sign"),
    ],
)
def test_names_that_cannot(name: str, sentence: str) -> None:
    """One sentence each, before the dataset is looked at."""
    with pytest.raises(InputError, match=sentence):
        make_plans(CellSpec(model="vae-mlp", dataset="nothing", name=name), [0], Desk(Runtime()))


def plan(name: str | None = None, **options: Any) -> Plan:
    spec = CellSpec.of(model="vae-mlp", dataset="digits", metrics=["mse"], samples=8, name=name, **options)
    (found,) = make_plans(spec, [0], Desk(Runtime()))
    return found


@pytest.mark.costly
def test_a_name_moves_the_key_of_the_cell_and_not_that_of_the_weights() -> None:
    """Without a name the key is what it was before there were names: the digest of the same parts as ever."""
    bare, named = plan(), plan("Mine", overrides=["monitor_every=10"])
    expected = cell_key(
        model_code=bare.identity["code"],
        hyper={"model": "vae-mlp", **bare.identity["hyper"]},
        sampling={"sampling_version": SAMPLING_VERSION},
        training=bare.identity["training"],
        weights_sha256=None,
        dataset_fingerprint=bare.dataset.fingerprint,
        task={"names": ["generation", "reconstruction"]},
        metrics=[bare.extractors.specification(metric) for metric in bare.metrics],
        n_samples=8,
        seed=0,
    )
    assert bare.key == expected
    assert named.key not in (bare.key, plan("Other").key)
    assert named.training_key == bare.training_key
    assert (named.model, named.variant, named.recipe.model) == ("Mine", "", "vae-mlp")


def test_pretrained_is_told_in_the_plan() -> None:
    """The published weights of the vae on digits, whose sha256 stands in the settings."""
    spec = CellSpec(model="vae", dataset="digits", pretrained=True, metrics=["mse"], samples=8)
    (found,) = make_plans(spec, [0], Desk(Runtime()))
    assert found.variant == "pretrained"
    weights = baselines_folder() / "vae-digits" / "weights.safetensors"
    assert found.settings["weights"] == file_sha256(weights)[:8]
    assert "lr" not in found.settings


@pytest.mark.costly
def test_a_named_run_reuses_the_weights_and_its_rows_have_the_name(tmp_path: Path) -> None:
    """The same training under a name: no second one, the same weights to the byte, in the folder of the real model;
    rows have the name and no variant. The unnamed rows say what was set; a second call answers from the record."""
    options: dict[str, Any] = {**TINY, "out": tmp_path, "overrides": ["steps=2", "batch_size=16", "latent=4"]}
    ((bare, _),) = run_cells("vae-mlp", "digits", **options)
    notes: Any = Notes()
    ((named, cached),) = run_cells("vae-mlp", "digits", name="Mine", progress=notes, **options)
    assert not cached
    assert any("the weights are there already" in note for note in notes.said)
    assert named.parent == bare.parent
    runs = [read_run_json(path / "run.json") for path in (bare, named)]
    assert [run["name"] for run in runs] == [None, "Mine"]
    assert [run["model"] for run in runs] == ["vae-mlp", "vae-mlp"]
    assert runs[0]["files"]["weights.safetensors"] == runs[1]["files"]["weights.safetensors"]
    assert runs[0]["settings"] == runs[1]["settings"]
    assert runs[0]["settings"]["latent"] == "4"
    found = {tuple(who) for who in load_results(tmp_path)[["model", "variant"]].to_numpy()}
    # The shipped recipe of vae-mlp on digits has batches of 64 and another latent size.
    assert found == {("vae-mlp", "batch_size=16,latent=4,steps=2"), ("Mine", "")}
    assert run_cells("vae-mlp", "digits", name="Mine", **options)[0] == (named, True)


@pytest.mark.costly
def test_weights_from_a_file_are_named_in_the_rows(tmp_path: Path) -> None:
    """`weights=` and the first eight digits of the file's sha256, beside the hyper-parameters that were set."""
    options: dict[str, Any] = {**TINY, "overrides": ["steps=1", "batch_size=16", "latent=4"]}
    ((trained, _),) = run_cells("vae-mlp", "digits", out=tmp_path / "a", **options)
    file = trained / "weights.safetensors"
    ((loaded, _),) = run_cells("vae-mlp", "digits", out=tmp_path / "b", weights=file, **options)
    assert set(load_results(loaded)["variant"]) == {f"latent=4,weights={file_sha256(file)[:8]}"}


def test_every_model_has_settings_of_its_own_names() -> None:
    """No two settings of a model fall on one name, whatever its hyper-parameters are called."""
    for name in MODELS.names():
        config = MODELS.get(name).Config().model_dump(mode="json")
        training = TrainingConfig()
        drawn = sampling_class(name)().model_dump(mode="json")
        found = settings("", config, drawn, training, trained=True, weights_sha256=None)
        assert len(found) == 2 + len(config) + len(drawn) + len(training.hyper()), name
