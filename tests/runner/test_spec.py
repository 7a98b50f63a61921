"""The typed request: one model from which the command, suites, jobs and Python are made."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import benchbench
from benchbench.cli.run import run as run_verb
from benchbench.core.errors import InputError
from benchbench.runner.spec import CellOptions, CellSpec
from benchbench.runner.suite import Settings

BESIDE = {"model", "dataset", "seed"}
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_everything_that_asks_has_the_same_fields() -> None:
    """The command's options, Python's parameters, a suite's settings and the keyword arguments are `CellSpec`'s fields,
    by name; each has words for its user."""
    fields = set(CellSpec.model_fields)
    options = {option.name for option in run_verb.get_params(click.Context(run_verb))}
    assert fields <= options
    parameters = inspect.signature(benchbench.run).parameters
    assert fields - {"seed"} <= set(parameters)
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    assert {"overrides" if name == "set" else name for name in Settings.model_fields} == fields - BESIDE
    assert set(typing.get_type_hints(CellOptions)) == fields - BESIDE
    assert all(field.description for field in CellSpec.model_fields.values())
    documented = inspect.getdoc(benchbench.run) or ""
    assert all(f"{name}: " in documented for name in parameters)


@settings(max_examples=50, deadline=None)
@given(
    overrides=st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_json_round_trip(overrides: dict[str, Any], seed: int) -> None:
    """A spec that goes to a job and back is the same request."""
    spec = CellSpec(
        model="vae",
        dataset="folder:x y",
        seed=seed,
        overrides=overrides,
        recipe=Path("a/b.toml"),
        metrics=["fd", "is"],
    )
    assert CellSpec.model_validate_json(spec.model_dump_json()) == spec


def test_settings_come_as_values_or_as_one_types_them() -> None:
    """A mapping stays as it is; what stands after `--set` is read once, as TOML."""
    typed = CellSpec(
        model="vae", dataset="digits", overrides=["lr=1e-3", "betas=[0.5, 0.9]", "schedule=cosine", "lr=2"]
    )
    assert typed.overrides == {"betas": [0.5, 0.9], "schedule": "cosine", "lr": 2}
    assert CellSpec(model="vae", dataset="digits", overrides=typed.overrides) == typed


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sampels": 3}, "unknown option of a run 'sampels'; did you mean 'samples'"),
        ({"size": 4}, "size=4: input should be greater than or equal to 8"),
        ({"precision": "float8"}, "precision='float8': input should be 'float32', 'bfloat16' or 'float16'"),
        ({"overrides": ["lr"]}, "--set 'lr' must look like key=value"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    """It names the field and the way out."""
    with pytest.raises(InputError, match=sentence):
        CellSpec.of(model="vae", dataset="digits", **values)


def test_the_help_of_the_command_is_made_from_it() -> None:
    """Every description of a field is in the help of `run`."""
    shown = " ".join(CliRunner().invoke(run_verb, ["--help"], terminal_width=400).output.split())
    for name, field in CellSpec.model_fields.items():
        assert name == "seed" or " ".join((field.description or "").split()) in shown
