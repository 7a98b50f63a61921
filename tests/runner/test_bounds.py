"""Every number that somebody may ask for has bounds, at every door; and what is no number is none.

Expected is a refusal in one sentence that names the setting; which values are hostile is by hand: beyond any bound, not
whole, not finite, or of a type that Python or pydantic would silently make a number of.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pydantic import BaseModel

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model, configure, configure_sampling, sampling_class
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec, EvaluationSpec, Spec, StatisticsSpec
from benchbench.runner.suite import load_suite
from benchbench.training.config import TrainingConfig
from benchbench.training.recipe import load_recipe

HUGE = [10**10, 10**19, 10**400, 10**5000, -1, -(10**400)]
NO_NUMBER: list[Any] = [
    True,
    False,
    np.True_,
    torch.tensor(True),
    1 + 0j,
    np.complex64(3),
    float("nan"),
    float("inf"),
    float("-inf"),
    np.float32("nan"),
    [3],
    {"a": 3},
    b"3",
    Decimal("NaN"),
    object(),
]
NOT_WHOLE: list[Any] = [1.5, 3.0, "3", "", Decimal(3), np.float64(3)]


def refused(door: Callable[[], object], name: str) -> str:
    """The sentence with which it is refused: short, one line, and it names the setting."""
    with pytest.raises(InputError) as caught:
        door()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert name in text
    return text


def wholes(spec: type[Spec]) -> list[str]:
    """The fields of a request that are whole numbers."""
    hints = get_type_hints(spec)
    return [name for name in spec.model_fields if hints[name] in (int, int | None)]


REQUESTS: list[tuple[type[Spec], dict[str, Any], str]] = [
    (spec, given, name)
    for spec, given in (
        (CellSpec, {"model": "vae", "dataset": "digits"}),
        (EvaluationSpec, {"images": "a", "reference": "b"}),
        (StatisticsSpec, {"reference": "b"}),
    )
    for name in wholes(spec)
]


@pytest.mark.parametrize(("spec", "given", "name"), REQUESTS)
def test_requests(spec: type[Spec], given: dict[str, Any], name: str) -> None:
    """Every whole number of every request; an ordinary one, also NumPy's, is taken."""
    for value in [*HUGE, *NO_NUMBER, *NOT_WHOLE]:
        refused(lambda value=value: spec.of(**given, **{name: value}), name)  # type: ignore[misc]
    for value in (64, np.int64(64), np.uint8(64)):
        assert getattr(spec.of(**given, **{name: value}), name) == 64
    assert json.loads(spec.of(**given, **{name: np.int64(64)}).model_dump_json())[name] == 64


TRAINING = [
    name
    for name, hint in get_type_hints(TrainingConfig).items()
    if hint in (int, int | None, float, float | None)
]


@pytest.mark.parametrize("name", TRAINING)
def test_training_settings(name: str) -> None:
    """Every number of a training, from Python and from text: none is a truth value, a complex number or without end,
    and every whole one has a largest."""
    whole = get_type_hints(TrainingConfig)[name] in (int, int | None)
    for value in [*NO_NUMBER, *(HUGE if whole else HUGE[-4:])]:
        if isinstance(value, int) and not whole and value >= 0:
            continue
        refused(lambda value=value: load_recipe("vae-mlp", None, overrides={name: value}), name)  # type: ignore[misc]
    for text in ("true", "nan", "inf", "-inf", "[1]", "1+0j", "{a=1}", "2020-01-01", "9" * 5000):
        refused(lambda text=text: load_recipe("vae-mlp", None, overrides=[f"{name}={text}"]), name)  # type: ignore[misc]


NESTED = [
    {"betas": [True, 0.9]},
    {"betas": [0.9, float("nan")]},
    {"player_lr": {"vae": True}},
    {"player_lr": {"vae": float("inf")}},
    {"player_lr.vae": True},
    {"player.vae.lr": True},
    {"player": {"vae": {"lr": True}}},
    {"player.vae.weight_decay": np.complex64(1)},
    {"player.vae.betas": [0.1, np.True_]},
    {"player.vae.clip_norm": float("inf")},
    {"ema": {"kind": "power", "width": True}},
    {"ema": {"kind": "halflife", "images": True}},
    {"ema": {"kind": "halflife", "images": float("inf")}},
]


@pytest.mark.parametrize("overrides", NESTED)
def test_numbers_inside_of_settings(overrides: dict[str, Any]) -> None:
    """A truth value or a number without end is none wherever it stands."""
    (name,) = overrides
    refused(lambda: load_recipe("vae-mlp", None, overrides=overrides), name.split(".")[0])


NUMBERS = [
    (model, name, kind)
    for model in MODELS.names()
    for kind, config in (("model", MODELS.get(model).Config), ("sampling", sampling_class(model)))
    for name, hint in get_type_hints(config).items()
    if hint in (int, int | None, float, float | None)
]


@pytest.mark.parametrize(("model", "name", "kind"), NUMBERS)
def test_model_settings(model: str, name: str, kind: str) -> None:
    """Every number among the hyper-parameters and the sampling settings of every model."""
    take: Callable[[str, dict[str, Any]], BaseModel] = configure if kind == "model" else configure_sampling
    for value in [*NO_NUMBER, 10**10, 10**400, 10**5000, -(10**400)]:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**300:
            continue  # a large weight of a loss is a number
        refused(lambda value=value: take(model, {name: value}), name)  # type: ignore[misc]


NO_SIZE = ("n_dis", "modes", "kl_warmup", "max_hints", "hint_radius")
"""Of no consequence for the size of the network."""


@pytest.mark.costly
@pytest.mark.parametrize(("model", "name"), [(m, n) for m, n, kind in NUMBERS if kind == "model"])
def test_sizes_that_no_memory_holds(model: str, name: str) -> None:
    """Ten million of whatever can be counted: refused by name, before it is filled, or of no consequence for
    the size of the model. A machine of 24 GB held this test; none holds 10⁷ × 10⁷ weights."""
    if get_type_hints(MODELS.get(model).Config)[name] is not int:
        pytest.skip("a number that says no size")
    spec = ImageSpec(32, 32, False, 10)
    if (model, name) == ("fast-style", "width"):
        pytest.skip(
            "loads weights into what it compares with, so that it cannot be built without values; takes 10 GB"
        )
    if name in NO_SIZE:
        build_model(model, {name: 10**7}, spec)
    else:
        refused(lambda: build_model(model, {name: 10**7}, spec), name)


def suite(path: Path, text: str) -> Path:
    file = path / "suite.toml"
    file.write_text('models = ["vae-mlp"]\ndatasets = ["digits"]\n' + text)
    return file


@pytest.mark.parametrize(
    "line",
    [
        f"{name} = {value}"
        for name in ("seeds", "settings.samples", "settings.size", "override = [{match={seed=0}, samples")
        for value in (
            "1000000000000",
            "9" * 400,
            "-1",
            "true",
            "1.5",
            "nan",
            "inf",
            '"many"',
            "[[1]]",
            "{a=1}",
        )
    ]
    + [f"seeds = [{value}]" for value in ("4294967296", "9" * 400, "-1", "true", "1.5", "nan", '"0"', "")]
    + ["seeds = 1000000000", "seeds = 10001", "seeds = 0", "exclude = [{seed = true}]", "seeds = [0, true]"],
)
def test_suites(tmp_path: Path, line: str) -> None:
    """The same of the numbers in a suite: refused as the file is read, in one sentence that names it."""
    if "override" in line:
        line += "}]"
    refused(lambda: load_suite(suite(tmp_path, line + "\n")), "suite.toml")


@pytest.mark.parametrize(
    "options",
    [
        ["--seeds", "1000000000"],
        ["--seeds", "9" * 5000],
        ["--seeds", "0"],
        ["--seed", "4294967296"],
        ["--seed", "4294967295", "--seeds", "2"],
        ["--samples", str(10**12)],
        ["--samples", "-1"],
        ["--size", "1000000"],
        ["--batch-size", "0"],
        ["--batch-size", str(10**12)],
        ["--monitor-every", str(10**12)],
        ["--set", f"steps={10**400}"],
        ["--set", f"steps={'9' * 5000}"],
        ["--set", "epochs=1000000000"],
        ["--set", "lr=true"],
        ["--set", "lr=inf"],
        ["--set", "latent=1000000000", "--set", "width=1000000000"],
        ["--set", "batch_size=10000000000"],
        ["--set", "lr=1\nepochs=5"],
        ["--set", "lr,epochs=1"],
        ["--set", "lr=1,epochs=5"],
        ["--set", "lr = 1 = 2"],
        ["--set", "training=1"],
        ["--set", "training.lr.x=1"],
        ["--set", "training.training.lr=1"],
    ],
)
def test_the_command(tmp_path: Path, options: list[str]) -> None:
    """Wrong usage (2) or bad input (`InputError`), at once, and nothing is in the store."""
    base = [
        "run",
        "--model",
        "vae-mlp",
        "--dataset",
        "digits",
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    done = CliRunner().invoke(cli, [*base, *options])
    assert done.exit_code == 2 or isinstance(done.exception, InputError), (done.output, done.exception)
    assert not list((tmp_path / "out").rglob("run.json"))


@pytest.mark.parametrize(
    "verb", [["suite", "x.toml", "--jobs", "9999999"], ["stats", "digits", "--batch-size", "0"]]
)
def test_other_commands(verb: list[str]) -> None:
    """Wrong usage (2), before a file is opened."""
    assert CliRunner().invoke(cli, verb).exit_code == 2


SMUGGLED: list[dict[str, Any]] = [
    {"lr=1\nepochs": 5},
    {"lr=0.1": 5},
    {"lr,epochs": 5},
    {"lr ": 5},
    {" lr": 5},
    {"lr\n": 5},
    {"": 5},
    {".": 5},
    {"training.": 5},
    {"training..lr": 5},
    {".lr": 5},
    {"lr.": 5},
    {"training": {"lr": True}},
    {"model": {"latent": True}},
    {"training.lr": True},
    {"model.latent": True},
    {"epochs": {"steps": 5}},
    {"__class__": 5},
    {"model_config": {}},
    {"Config": 5},
]


@pytest.mark.parametrize("overrides", SMUGGLED)
def test_a_key_names_one_setting(tmp_path: Path, overrides: dict[str, Any]) -> None:
    """No key reaches a setting past its check, from Python or from a suite: not by a sign that separates keys, nor
    by a table in the place of a number."""
    with pytest.raises(InputError):
        load_recipe("vae-mlp", None, overrides=overrides)
    lines = [f"{json.dumps(key)} = {toml(value)}" for key, value in overrides.items()]
    path = suite(tmp_path, "[settings.set]\n" + "\n".join(lines) + "\n")
    with pytest.raises(InputError):
        load_recipe("vae-mlp", None, overrides=load_suite(path).settings.set)


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(own)}" for key, own in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400, True, 1.5, "0", None, float("nan"), 1 + 0j, np.True_])
def test_seeds_of_functions(seed: Any) -> None:
    """Whoever draws takes the same seeds as whoever runs."""
    if seed != 2**32:  # the monitor draws from streams beyond those of runs
        refused(lambda: ImageRng(seed, [0]), "seed=")
        refused(lambda: next(image_rngs(seed, [0], 1)), "seed=")
    with pytest.raises(InputError):
        run_cells("vae-mlp", "digits", seeds=[seed])
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    refused(lambda: benchbench.evaluate(images, images, seed=seed), "seed=")


@pytest.mark.parametrize("size", [0, -1, 10**12, True, 1.5, "8", float("nan"), np.True_])
def test_batch_sizes_of_functions(size: Any) -> None:
    """As the command takes them, from every function that has one."""
    refused(lambda: Runtime(batch_size=size), "batch_size=")
    refused(lambda: run_cells("vae-mlp", "digits", batch_size=size), "batch_size=")
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    refused(lambda: benchbench.evaluate(images, images, batch_size=size), "batch_size=")
    if size in (0, -1):
        refused(lambda: next(image_rngs(0, [0], size)), "batch_size=")
    assert Runtime(batch_size=np.int64(8)).batch_size == 8  # type: ignore[arg-type]


@pytest.mark.parametrize("seeds", [[], [0, 0], [-1], [2**32], range(20_000), [1.5], [True], ["0"], [None]])
def test_lists_of_seeds(tmp_path: Path, seeds: Any) -> None:
    """At least one, each once, each a seed, and no more than anybody waits for; nothing is made."""
    with pytest.raises(InputError):
        run_cells("vae-mlp", "digits", seeds=seeds, out=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_epochs_that_nobody_waits_for() -> None:
    """100,000 epochs of 100,000 batches are 10¹⁰ steps; of one player that moves every third step only, the steps of
    100,000 epochs are counted in periods: by hand 3 batches in 3 steps."""
    with pytest.raises(InputError, match="epochs of 100,000 batches are more than"):
        TrainingConfig(epochs=100_000, batch_size=1).total_steps(100_000, lambda step: 1, 1)
    config = TrainingConfig(epochs=100_000, batch_size=1)
    assert config.total_steps(9_000, lambda step: 1, 1) == 900_000_000
    assert config.total_steps(3, lambda step: 2 if step % 3 == 0 else 1, 3) == 225_000
    slow = TrainingConfig(epochs=7, batch_size=1)
    for period in (None, 3, 6):
        assert slow.total_steps(5, lambda step: 2 if step % 3 == 0 else 1, period) == 26
