"""Whose runs are seeds of one thing: two recipes under one label are told apart by what differs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchbench.results.load import load_results
from benchbench.results.manifest import RunFacts, RunManifest
from benchbench.results.recipes import recipe_of, settings_of, told_apart
from benchbench.results.record import Row
from benchbench.results.summary import summarise
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
Tell = Callable[..., dict[str, str]]


@pytest.fixture
def tell(tmp_path: Path, make_row: MakeRow, land: Land) -> Tell:
    """Land one cell for each (changes to a row, run.json); the variants that come back, by the cell's first letter.

    A model of another name stands beside them all, and must come back as it was."""

    def variants(*cells: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, str]:
        bystander = make_row(model="bystander", cell="0" * 16, variant="width=8")
        land(tmp_path, [bystander], {"settings": {"lr": 1}})
        for letter, (row, run) in zip("abcdef", cells, strict=False):
            land(tmp_path, [make_row(**{"cell": letter * 16, **row})], run)
        found = load_results(tmp_path).set_index("cell")["variant"].to_dict()
        assert found.pop("0" * 16) == "width=8"
        return {cell[0]: str(variant) for cell, variant in found.items()}

    return variants


def settings(**own: Any) -> dict[str, Any]:
    return {"settings": {"code": "c0de", **own}}


def test_seeds_of_one_recipe_keep_their_label(tell: Tell) -> None:
    """Equal settings: nothing to say, with or without a variant."""
    assert tell(({"seed": 0}, settings(lr=0.1)), ({"seed": 1}, settings(lr=0.1))) == {"a": "", "b": ""}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sweep_over_a_training_setting_is_so_many_rows(tell: Tell, seed: int) -> None:
    """lr and steps differ, under one seed or two: labels say both, as one types them; what is equal is not said."""
    found = tell(
        ({"seed": 0}, settings(lr=0.1, steps=10, width=8)),
        ({"seed": seed}, settings(lr=0.01, steps=10, width=8)),
        ({"seed": 2}, settings(lr=0.1, steps=20, width=8)),
    )
    assert found == {"a": "lr=0.1,steps=10", "b": "lr=0.01,steps=10", "c": "lr=0.1,steps=20"}


def test_seeds_of_each_recipe_of_a_sweep_stay_together(tell: Tell) -> None:
    """Two recipes of two seeds: two labels, two cells each; numbers of one are averaged and of both never."""
    found = tell(*(({"seed": seed}, settings(lr=lr)) for lr in (0.1, 0.01) for seed in (0, 1)))
    assert found == {"a": "lr=0.1", "b": "lr=0.1", "c": "lr=0.01", "d": "lr=0.01"}


def test_what_the_variant_says_is_not_said_twice(tell: Tell) -> None:
    """The variant names its own lr already; the decay beside it is new."""
    found = tell(
        ({"variant": "lr=0.1", "seed": 0}, settings(lr=0.1, decay=0)),
        ({"variant": "lr=0.1", "seed": 1}, settings(lr=0.1, decay=1)),
    )
    assert found == {"a": "lr=0.1,decay=0", "b": "lr=0.1,decay=1"}


@pytest.mark.parametrize(
    ("name", "said"), [("code", ("code=c0de", "code=beef")), ("weights", ("weights=none", "weights=beef"))]
)
def test_other_code_or_weights_are_another_recipe(tell: Tell, name: str, said: tuple[str, str]) -> None:
    """A change of the model's code between two seeds, and weights that were loaded where the others were trained."""
    found = tell(({"seed": 0}, settings(lr=0.1)), ({"seed": 1}, settings(lr=0.1, **{name: "beef"})))
    assert tuple(found.values()) == said


def test_a_name_is_the_word_of_its_owner(tell: Tell) -> None:
    """Runs under one `--name` are one recipe, whatever differs."""
    found = tell(
        ({"seed": 0, "model": "mine"}, {**settings(lr=0.1), "name": "mine"}),
        ({"seed": 1, "model": "mine"}, {**settings(lr=0.2), "name": "mine"}),
    )
    assert found == {"a": "", "b": ""}


def test_a_name_whose_runs_contradict_each_other_is_not_averaged(tell: Tell) -> None:
    """One seed with two values: told apart by cell, and neither is lost."""
    named = {**settings(lr=0.1), "name": "mine"}
    rows = [{"value": value, "model": "mine"} for value in (12.5, 13.5)]
    found = tell((rows[0], named), (rows[1], {**named, "settings": {"lr": 0.2}}))
    assert found == {"a": f"cell={'a' * 16}", "b": f"cell={'b' * 16}"}


def test_two_folders_of_one_name_are_told_apart_by_their_images(tell: Tell) -> None:
    """`x/samples` and `y/samples` under one seed and other values: each gets the fingerprint of its images and where
    they came from. Under two seeds, images are what a seed changes: replicates."""
    one = {"settings": {"images": "aaaa", "source": "x/samples"}}
    two = {"settings": {"images": "bbbb", "source": "y/samples"}}
    apart = tell(({"value": 12.5}, one), ({"value": 13.5}, two))
    assert apart == {"a": "images=aaaa,source=x/samples", "b": "images=bbbb,source=y/samples"}


def test_folders_under_two_seeds_are_replicates(tell: Tell) -> None:
    """See above."""
    one, two = ({"settings": {"images": images}} for images in ("aaaa", "bbbb"))
    assert tell(({"seed": 0}, one), ({"seed": 1, "value": 13.5}, two)) == {"a": "", "b": ""}


def test_what_not_even_images_tell_apart_is_told_by_cell(tell: Tell) -> None:
    """One set of images, one seed, two values (a judge that is not deterministic): by cell, all that clash."""
    run = {"settings": {"images": "aaaa"}}
    found = tell(({"value": 12.5}, run), ({"value": 13.5}, run))
    assert found == {"a": f"cell={'a' * 16}", "b": f"cell={'b' * 16}"}


def test_a_run_done_again_is_no_contradiction(tell: Tell) -> None:
    """The same settings and the same value twice, rounding apart: one run."""
    run = settings(lr=0.1)
    assert tell(({"value": 12.5}, run), ({"value": 12.5 * (1 + 1e-9)}, run)) == {"a": "", "b": ""}


def test_rates_do_not_contradict(tell: Tell) -> None:
    """Clocks differ from run to run."""
    rate = {"metric": "sampling_rate", "aspect": "throughput"}
    run = settings(lr=0.1)
    assert tell(({"value": 12.0, **rate}, run), ({"value": 13.0, **rate}, run)) == {"a": "", "b": ""}


def test_other_conditions_do_not_contradict(tell: Tell) -> None:
    """Evaluated twice, on 1,000 and on 5,000 images: two numbers of one recipe."""
    run = settings(lr=0.1)
    assert tell(({"value": 12.5}, run), ({"value": 11.5, "n_images": 5000}, run)) == {"a": "", "b": ""}


def test_nothing_else_in_the_table_changes(make_row: MakeRow) -> None:
    """All columns but `variant`, all rows, their order and dtypes; with nothing to tell apart it is the same table."""
    rows = to_frame(
        [
            make_row(cell=f"{s:016x}", seed=s, metric=m, model=model)
            for s in (0, 1)
            for m in ("fd", "kd")
            for model in ("vae", "gan")
        ]
    )
    rows = rows.assign(**{name: pd.array([None] * len(rows), dtype="string") for name in ("data", "size")})
    cells = {f"{s:016x}": s for s in (0, 1)}
    seal: dict[str, Any] = {"dataset": "digits", "model": "vae", "files": {}}
    runs = [RunManifest.seal(RunFacts(settings={"lr": s}), cell=cell, **seal) for cell, s in cells.items()]
    alike = [RunManifest.seal(RunFacts(settings={}), cell=cell, **seal) for cell in cells]
    found = told_apart(rows, {run.cell: recipe_of(run) for run in runs})
    assert found["variant"].tolist() == [f"lr={s}" for s in rows["seed"]]
    pd.testing.assert_frame_equal(found.drop(columns="variant"), rows.drop(columns="variant"))
    assert found["variant"].dtype == rows["variant"].dtype
    pd.testing.assert_frame_equal(told_apart(rows, {run.cell: recipe_of(run) for run in alike}), rows)


def test_a_sweep_keeps_no_other_model_from_its_board(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """lr 0.1 and 0.01 under seed 0 used to refuse the whole folder. Now there are three lines, each of its own runs."""
    for cell, lr, value in (("a", 0.1, 12.0), ("b", 0.01, 300.0)):
        land(tmp_path, [make_row(cell=cell * 16, value=value)], settings(lr=lr))
    for seed in (0, 1):
        land(tmp_path, [make_row(model="gan", cell=f"{seed:016x}", seed=seed)], settings(lr=1.0))
    lines = summarise(load_results(tmp_path))
    found = {(line.model, line.variant): (line.value, line.n_seeds) for line in lines.itertuples()}
    assert found == {("gan", ""): (12.5, 2), ("vae", "lr=0.1"): (12.0, 1), ("vae", "lr=0.01"): (300.0, 1)}


def test_settings_of_a_record_that_states_them() -> None:
    """As they stand, as text."""
    stated = {"settings": {"lr": 0.001, "betas": "[0.5,0.9]", "ema": None}, "config": {"width": 8}}
    assert settings_of(RunFacts(**stated)) == {"lr": "0.001", "betas": "[0.5,0.9]", "ema": "none"}


def test_settings_of_an_older_record() -> None:
    """Read from the rest of run.json: identities by their first eight digits, hyper-parameters, and training where the
    weights came out of it; how often a monitor looks makes no other weights, unless its alarm may stop them."""
    run: dict[str, Any] = {
        "code_hash": "0123456789",
        "config": {"width": 8},
        "samples": {"fingerprint": "abcdefabcdef"},
        "recipe": {
            "training": {"lr": 0.1, "monitor_every": 50, "checkpoint_every": 9, "on_collapse": "warn"}
        },
    }
    found = settings_of(RunFacts(**run))
    assert found == {"code": "01234567", "images": "abcdefab", "width": "8", "lr": "0.1"}
    run["recipe"]["training"]["on_collapse"] = "stop"
    assert settings_of(RunFacts(**run)) == {**found, "monitor_every": "50", "on_collapse": "stop"}
    run["recipe"]["training"]["on_collapse"] = "warn"
    loaded = settings_of(RunFacts(**run, weights_loaded_sha256="fedcba98765"))
    assert loaded == {"code": "01234567", "images": "abcdefab", "width": "8", "weights": "fedcba98"}
    assert settings_of(RunFacts()) == {}
