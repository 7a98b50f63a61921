"""From Python: what there is is seen, and every verb is a function that takes what the command takes."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import click
import pandas as pd
import pytest
from verbs_tried import leaves

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.registry import Registry
from benchbench.runner.spec import SHORT, seed_list

# What a command has otherwise: as Python says it, and what only a terminal needs.
SAID = {"a": "a", "json_": "json", "format_": "format", "what": "what"}
ONLY_THERE = {
    "run": {
        "seed",
        "monitor_every",
        "on_collapse",
        "generator",
        "profile",
        *SHORT,
    },  # seeds is a list, a generator a model, the others are overrides and options; a profile is printed
    "evaluate": {"profile", *SHORT},  # task_options has them
    "profile": {*SHORT},
    "job": {"with_parent"},  # of a process of its own
    "compare": {"format_", "plan", "smallest"},  # returned as values; benchbench.plan is a function
    "leaderboard": {"cite"},  # format="bibtex"
    "diff": {"format_"},  # returned as values
    "study score": {"format_"},
    "study plan": {"format_"},
    "study export-answers": {"format_"},
    "fetch": {"list_"},  # no names
    "study status": {"format_"},  # returned as values
}


def test_what_is_there_is_seen() -> None:
    """`dir` and completion name all that can be used and nothing that is only an import of ours."""
    seen = [name for name in dir(benchbench) if not name.startswith("__")]
    assert {"TYPE_CHECKING", "Any", "annotations"}.isdisjoint(seen)
    assert set(benchbench.__all__) - {"__version__"} <= set(seen)
    assert {name.replace("-", "_") for name in cli.commands} <= set(seen)
    assert all(getattr(benchbench, name) is not None for name in seen)
    space: dict[str, object] = {}
    exec("from benchbench import *", space)
    assert "list" not in space  # Python's own stays
    assert "leaderboard" in space


@pytest.mark.parametrize("verb", sorted(leaves()))
def test_every_verb_is_a_function(verb: str) -> None:
    """With a type for every parameter and for what it returns, none of them `**options`; what the command takes, it
    takes under the same name."""
    function = functools.reduce(getattr, verb.split(), benchbench)
    signature = inspect.signature(function)
    kinds = {p.kind for p in signature.parameters.values()}
    assert kinds.isdisjoint({inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL})
    hints = typing.get_type_hints(function)
    assert set(hints) == {*signature.parameters, "return"}
    command = leaves()[verb]
    asked = {str(p.name) for p in command.get_params(click.Context(command)) if "--help" not in p.opts}
    asked = {SAID.get(name, name) for name in asked - ONLY_THERE.get(verb, set())}
    if verb == "suite":
        asked = {"file" if name == "suite" else name for name in asked}
    assert asked <= set(signature.parameters), asked - set(signature.parameters)


@pytest.mark.costly
def test_they_do_what_the_commands_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On two models of 16 images: each returns values that a program reads, and the files are there."""
    monkeypatch.chdir(tmp_path)
    assert len(benchbench.run("noise", "digits", seeds=2, samples=16, metrics=["swd"], device="cpu")) == 24
    benchbench.run("real", "digits", samples=16, metrics=["swd"], device="cpu")
    board = benchbench.leaderboard(output="board.tex", format="latex")
    assert set(board["model"]) == {"noise", "real"}
    assert "\\begin{tabular}" in Path("board.tex").read_text(encoding="utf-8")
    assert benchbench.report(output="r.html") == Path("r.html")
    found = benchbench.check(baseline="runs", junit="j.xml", json="f.json", summary="s.md")
    assert (found.exit_code, found.headline[:6]) == (0, "passed")
    assert all(Path(name).is_file() for name in ("r.html", "j.xml", "f.json", "s.md"))
    assert benchbench.compare("model=noise", "model=real").comparison.pairs
    assert list(benchbench.list("models").columns) == ["name", "about", "source"]
    assert "digits" in benchbench.doctor()["data"]
    assert [moved.state for moved in benchbench.migrate("runs")] == ["as it was"] * 3
    Path("suite.toml").write_text(
        'models = ["noise"]\ndatasets = ["digits"]\nseeds = 2\n[settings]\nsamples = 16\nmetrics = ["swd"]'
    )
    assert benchbench.suite("suite.toml", dry_run=True)["state"].tolist() == ["done"] * 2
    assert benchbench.stats("digits", out="digits.npz").n == 898
    assert isinstance(benchbench.load_results("runs"), pd.DataFrame)


def test_settings_of_a_model() -> None:
    """Each field of its two classes of settings once, by the name that `--set` takes, as it takes the default; what has
    a few words for values says them. By hand for a few, and by the fields for all models of ours."""
    said = benchbench.list("models", "ddpm").set_index("name")["about"]
    assert said.index[0] == "ddpm"
    assert said["model.multiples"].endswith("; default [1, 2, 2]")
    assert said["model.prediction"] == "what the network is asked for: epsilon, v, x0; default epsilon"
    assert said["sampling.sampler"].endswith("second order: ancestral, ddim, dpm-solver++; default ddim")
    assert said["sampling.steps"].endswith("; default none")
    assert said["sampling.clip"].endswith("; default true")
    for name, model in Registry("model").items():
        fields = [
            f"{section}.{own}"
            for section, kind in (("model", "Config"), ("sampling", "Sampling"))
            for own in getattr(getattr(model, kind, None), "model_fields", ())
        ]
        listed = benchbench.list("models", name)
        own = listed["name"].tolist()
        assert [each for each in own if each not in ("recipes", "weights")] == [name, *fields]
        assert not listed["about"].str.startswith("default").any(), name
    assert benchbench.list("metrics", "fd")["name"].tolist() == ["fd"]
    assert benchbench.list("extractors", "cnn:digits")["name"].tolist() == ["cnn:digits"]


def test_what_ships_of_a_model() -> None:
    """Each folder of `baselines/` is told of one model, for what follows its name there; another model's name may begin
    as this one's."""
    root, told = Path(benchbench.__file__).parents[1] / "baselines", []
    for name in Registry("model").names():
        about = benchbench.list("models", name).set_index("name")["about"].to_dict()
        for row, file in (("recipes", "recipe.toml"), ("weights", "weights.safetensors.sha256")):
            ships = (
                about.get(row, "")
                .removeprefix("ship for ")
                .partition(";")[0]
                .replace("(also --recipe gpu)", "")
            )
            parts = [part.strip() for part in ships.split(",") if part]
            told += [(file, name if part == "any images" else f"{name}-{part}") for part in parts]
    files = [
        (each.name, each.parent.name)
        for pattern in ("recipe.toml", "*.sha256")
        for each in root.glob(f"*/{pattern}")
    ]
    assert sorted(told) == sorted(files)
    vae = benchbench.list("models", "vae").set_index("name")["about"]
    assert "mlp" not in vae["recipes"]
    sngan = benchbench.list("models", "sngan").set_index("name")["about"]
    assert sngan["recipes"].startswith("ship for cifar10 (also --recipe gpu), digits, ")


@pytest.mark.parametrize(
    "seeds",
    [0, -1, True, False, None, 1.5, "3", "0,1", b"1", [], [1.5], ["0"], [True], [-1], [2**32], {}, 10**12],
)
def test_what_is_no_seed_is_one_sentence(seeds: object) -> None:
    """Before anything is read or written."""
    with pytest.raises(InputError) as caught:
        seed_list(seeds)  # type: ignore[arg-type]
    assert "seed" in str(caught.value)
    with pytest.raises(InputError):
        benchbench.run("noise", "digits", seeds=seeds)  # type: ignore[arg-type]


def test_seeds_by_number_and_by_list() -> None:
    """A number n is 0 … n − 1, as in a suite; a list may be NumPy's, and need not begin at 0."""
    import numpy as np

    assert (
        seed_list(3) == seed_list(range(3)) == seed_list(np.int64(3)) == seed_list(np.arange(3)) == [0, 1, 2]
    )
    assert seed_list([7, 2**32 - 1]) == seed_list((7, 2**32 - 1)) == [7, 2**32 - 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: benchbench.leaderboard(""),
        lambda: benchbench.leaderboard("a\0b"),
        lambda: benchbench.leaderboard(format="word"),  # type: ignore[arg-type]
        lambda: benchbench.report("~nosuchuser/x"),
        lambda: benchbench.check(baseline=""),
        lambda: benchbench.compare("a", "b", margin=0),
        lambda: benchbench.compare("a", "b", margin=float("nan")),
        lambda: benchbench.plan("a", smallest=-1),
        lambda: benchbench.suite("", out=""),
        lambda: benchbench.compare("a", "b", margin="10%"),  # type: ignore[arg-type]
        lambda: benchbench.plan("a", smallest=True),
        *(
            lambda jobs=jobs: benchbench.suite("suite.toml", jobs=jobs)
            for jobs in (0, 1025, 1.5, True, "2", None)
        ),
        *(
            lambda confidence=confidence: benchbench.check("a", baseline="a", confidence=confidence)
            for confidence in (0.5, 1, 2, -1, float("nan"), "0.9", True)
        ),
        lambda: benchbench.check("a", baseline=None),  # type: ignore[arg-type]
        lambda: benchbench.leaderboard(None),  # type: ignore[arg-type]
        lambda: benchbench.leaderboard(format=None),  # type: ignore[arg-type]
        lambda: benchbench.report(output=None),  # type: ignore[arg-type]
        lambda: benchbench.run("noise", "digits", out=5),  # type: ignore[arg-type]
        lambda: benchbench.run("noise", "digits", device=None),  # type: ignore[arg-type]
        lambda: benchbench.list(None),  # type: ignore[arg-type]
        lambda: benchbench.list("modles"),  # type: ignore[arg-type]
        lambda: benchbench.list("models", "ddmp"),
        lambda: benchbench.list("extractors", "cnn"),
        lambda: benchbench.migrate("nowhere"),
        lambda: benchbench.load_results(""),
    ],
)
def test_what_cannot_be_is_one_sentence(
    call: typing.Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the command line."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        call()


def test_importing_is_instant() -> None:
    """`dir` too imports nothing heavy."""
    code = "import sys, benchbench; dir(benchbench); print({'torch', 'pandas', 'rich', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
