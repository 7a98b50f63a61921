"""The typed requests: one model each from which the command, suites, jobs and Python are made."""

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
from benchbench.cli.evaluate import evaluate as evaluate_verb
from benchbench.cli.run import run as run_verb
from benchbench.cli.stats import stats as stats_verb
from benchbench.core.errors import InputError
from benchbench.runner.spec import SHORT, CellOptions, CellSpec, EvaluationSpec, Spec, StatisticsSpec
from benchbench.runner.suite_settings import Settings

VERBS: list[tuple[click.Command, type[Spec], set[str]]] = [
    (run_verb, CellSpec, {"seed"}),
    (evaluate_verb, EvaluationSpec, {"images"}),
    (stats_verb, StatisticsSpec, {"reference"}),
]
NAME = st.characters(exclude_characters=",", exclude_categories=("Z", "C"))  # what may stand between commas
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
    of_suites = {"overrides" if name == "set" else name for name in Settings.model_fields}
    assert of_suites == (fields - BESIDE) | {"sweep"}  # which makes several cells of one
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
        ({"precision": "float8"}, "unknown precision 'float8'; did you mean 'float32'"),
        ({"metrics": "fd,,is"}, "metrics='fd,,is': a name is empty; give one or more, with commas between"),
        ({"overrides": ["lr"]}, "--set 'lr' must look like key=value"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    """It names the field and the way out."""
    with pytest.raises(InputError, match=sentence):
        CellSpec.of(model="vae", dataset="digits", **values)


def test_the_help_of_the_command_is_made_from_it() -> None:
    """Every description of a field is in the help of its verb, but of what the verb words itself: `run` has several
    seeds, and arguments are told of in the text above the options."""
    for verb, spec, beside in VERBS:
        shown = " ".join(CliRunner().invoke(verb, ["--help"], terminal_width=400).output.split())
        for name, field in spec.model_fields.items():
            assert name in beside or " ".join((field.description or "").split()) in shown, name


def test_options_have_the_bounds_and_defaults_of_their_fields() -> None:
    """What `benchbench evaluate --help` says behind the words: bounds as the fields state them, both included, names as
    one types them, and which one must be given."""
    shown = " ".join(CliRunner().invoke(evaluate_verb, ["--help"], terminal_width=400).output.split())
    for said in (
        "--seed INTEGER RANGE",
        "[default: 0; 0<=x<=4294967295]",
        "--size INTEGER RANGE",
        "[8<=x<=8192]",
        "--samples INTEGER",
        "comma-separated. [default: standard]",
        "--precision [float32|bfloat16|float16]",
        "statistics (.npz). [required]",
        "evaluate [OPTIONS] IMAGES",
    ):
        assert said in shown


def test_an_evaluation_is_asked_for_alike_everywhere() -> None:
    """The command's parameters and Python's are the fields of `EvaluationSpec`, beside where work is done, where the
    record goes and what is scored beside it; each is documented, and its default is the field's. `stats` takes those of
    `StatisticsSpec`."""
    fields = EvaluationSpec.model_fields
    where = {"out", "device", "batch_size"}
    beside = {evaluate_verb: {"baselines"}, stats_verb: set[str]()}
    for verb, spec in ((evaluate_verb, EvaluationSpec), (stats_verb, StatisticsSpec)):
        taken = {own.name for own in verb.get_params(click.Context(verb)) if own.expose_value}
        short = set(SHORT) if "task_options" in spec.model_fields else set()
        said = {*spec.model_fields, *where, *beside[verb], *short}
        assert taken - {"profile"} == said  # which is of what is printed
    parameters = inspect.signature(benchbench.evaluate).parameters
    assert set(parameters) == {*fields, *where, *beside[evaluate_verb], "progress", "comm"}
    documented = inspect.getdoc(benchbench.evaluate) or ""
    assert all(f"{name}: " in documented for name in parameters)
    asked = {name: parameters[name].default for name in fields if name not in ("images", "reference")}
    assert EvaluationSpec.of(images="a", reference="b", **asked) == EvaluationSpec(images="a", reference="b")


@given(
    names=st.lists(st.text(NAME, min_size=1), min_size=1, max_size=3),
    side=st.none() | st.text(),
    seed=st.integers(0, 2**32 - 1),
)
def test_json_round_trip_of_the_others(names: list[str], side: str | None, seed: int) -> None:
    """As of a cell; defaults too come back as they were."""
    for spec in (
        EvaluationSpec(images=side, reference="b", seed=seed, metrics=names, extractors=names),
        EvaluationSpec(images="a", reference=side),
        StatisticsSpec(reference="b", size=8),
    ):
        back = type(spec).model_validate_json(spec.model_dump_json())
        assert back == spec


def test_names_come_in_a_list_or_as_one_types_them() -> None:
    """With commas between, in a list, a tuple or whatever else yields them: one request."""
    given: list[Any] = ["fd,is", ["fd", "is"], ("fd", "is"), iter(["fd", "is"])]
    assert {EvaluationSpec.of(images="a", reference="b", metrics=names).metrics for names in given} == {
        ("fd", "is")
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sampels": 3}, "unknown option of an evaluation 'sampels'; did you mean 'samples'"),
        ({"size": 0}, "size=0: input should be greater than or equal to 8"),
        ({"seed": -1}, "seed=-1: input should be greater than or equal to 0"),
        ({"seed": 2**32}, "seed=4294967296: input should be less than or equal to 4294967295"),
        ({"samples": "five"}, "samples='five': input should be a valid integer"),
        ({"extractors": ""}, "extractors='': a name is empty"),
        ({"metrics": 3}, "metrics=3: "),
        ({"precision": "float64"}, "unknown precision 'float64'; .* Known: bfloat16, float16, float32"),
    ],
)
def test_what_no_evaluation_can_be_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    """It names the field and the way out."""
    with pytest.raises(InputError, match=sentence):
        EvaluationSpec.of(images="a", reference="b", **values)
