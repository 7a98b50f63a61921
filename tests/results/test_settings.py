"""Settings as text: what is shown can be typed again and selected by, and equal values have one text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.results.record import COLUMNS
from benchbench.results.select_records import _conditions
from benchbench.results.settings import as_typed, setting_text
from benchbench.training.recipe import load_recipe


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (4, "4"),
        (4.0, "4"),
        (2e-3, "0.002"),
        (5e-5, "5e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        ("cosine", "cosine"),
        ("color,translation", "color,translation"),
        ("", '""'),
        ("true", '"true"'),
        (" padded", '" padded"'),
        ([0.5, 0.999], "[0.5,0.999]"),
        ({"b": 2.0, "a": 1e-4}, '{"a"=0.0001,"b"=2}'),
    ],
)
def test_texts(value: Any, text: str) -> None:
    """Written by hand from TOML's grammar: bare words where `--set` takes them as they are, quotes where TOML would
    read something else."""
    assert setting_text(value) == text


RATES = st.floats(min_value=1e-9, max_value=1e3)


@pytest.mark.costly
@settings(max_examples=100, deadline=None)
@given(
    lr=RATES,
    clip=RATES,
    betas=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
    players=st.dictionaries(
        st.text(max_size=6).filter(lambda name: max(name, default="a") <= "\ud7ff"), RATES, max_size=3
    ),
    balanced=st.booleans(),
)
def test_what_is_shown_can_be_typed_again(
    lr: float, clip: float, betas: tuple[float, float], players: dict[str, float], balanced: bool
) -> None:
    """Every text after `--set` gives the very value: exact, since a label stands for one recipe."""
    values: dict[str, Any] = {
        "lr": lr,
        "clip_norm": clip,
        "betas": list(betas),
        "player_lr": players,
        "class_balanced": balanced,
    }
    typed = as_typed({"training": values})["training"]
    found = load_recipe("vae", None, overrides=[f"{name}={text}" for name, text in typed.items()]).training
    assert found.model_dump(mode="json", include=set(values)) == values


@given(
    values=st.dictionaries(
        st.sampled_from([*COLUMNS, "lr", "weights", "code", "betas", "player_lr"]),
        st.one_of(
            st.integers(),
            RATES,
            st.lists(RATES),
            st.dictionaries(st.sampled_from(COLUMNS), RATES),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_a_label_is_one_condition(values: dict[str, Any]) -> None:
    """`variant=LABEL,seed=0` means the label and the seed, whatever settings are in it, were they called as columns of
    records are: their names get their section, and what stands in braces is quoted."""
    typed = as_typed({"training": values})["training"]
    label = ",".join(sorted(f"{name}={text}" for name, text in typed.items()))
    assert _conditions(f"variant={label},seed=0") == {"variant": label, "seed": "0"}


def test_names_say_their_section_where_the_bare_one_is_taken() -> None:
    """By both sections, by a column of records, or by a fact that stands beside settings in run.json; else bare."""
    sections = {
        "model": {"lr": 1, "code": 2, "beta": 3},
        "training": {"lr": 4, "precision": "fp32", "steps": 5},
    }
    assert as_typed(sections) == {
        "model": {"model.lr": "1", "model.code": "2", "beta": "3"},
        "training": {"training.lr": "4", "training.precision": "fp32", "steps": "5"},
    }
