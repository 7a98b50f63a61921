"""Every path that every verb takes, given what no sane person calls a file: generated from the commands themselves.

Expected: one sentence and exit code 2, or it works and the path is printed as it is; never "a bug", a traceback or 1.
"""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from verbs_tried import VERBS, leaves

from benchbench.cli import cli
from benchbench.cli.options import Location
from benchbench.core.errors import BenchbenchError, InputError
from benchbench.core.paths import as_path, printable

IMPOSSIBLE = {
    "long": "x" * 300,
    "deep": "x/" * 3000,
    "nobody": "~nosuchuser/x",
    "NUL": "a\0b",
    "surrogate": "\ud800",
}
ODD = {
    "dot": ".",
    "parent": "..",
    "closing": "[/x]",
    "bold": "[bold]x",
    "link": "[link=file:///x]y[/link]",
    "emoji": ":smile:",
    "newline": "a\nb",
    "escape": "x\x1b[2J",
    "bytes": "caf\udce9",
    "dash": "--x",
    "percent": "%s{0}$HOME",
}
# Arguments that are text to Click, where one may write a path.
TEXTS = {"images", "reference", "dataset", "a", "b", "summary"}


def places() -> list[tuple[str, str]]:
    """(verb, parameter) of every parameter that takes a path."""
    found = []
    for name, verb in leaves().items():
        if name not in VERBS:
            continue
        parameters = verb.get_params(click.Context(verb))
        found += [
            (name, str(p.name))
            for p in parameters
            if isinstance(p.type, Location | click.Path) or p.name in TEXTS
        ]
    return found


def command(name: str, parameter: str, value: str) -> list[str]:
    """The verb as it works, with one parameter replaced."""
    verb, words = leaves()[name], list(VERBS[name])
    typed = len(name.split())
    asked = next(p for p in verb.get_params(click.Context(verb)) if p.name == parameter)
    if isinstance(asked, click.Argument):
        order = [str(p.name) for p in verb.params if isinstance(p, click.Argument)]
        given = {"compare": ["model=noise", "model=real"], "evaluate": ["images"], "check": ["runs"]}
        given["diff"] = ["runs", "base"]
        given["study import"] = ["study", "answers.json"]
        before = given.get(name, [word for word in words[typed : typed + 1] if not word.startswith("--")])
        values = list(before) or [""]
        values[order.index(parameter)] = value
        options = words[typed + len(before) :]
        return [*words[:typed], *options, "--", *values]
    flag = asked.opts[-1]
    if flag in words:
        del words[words.index(flag) : words.index(flag) + 2]
    return [words[0], *words[1:], f"{flag}={value}"]


def call(words: list[str]) -> click.testing.Result:
    result = CliRunner().invoke(cli, words)
    error = result.exception
    if error is not None and not isinstance(error, BenchbenchError):
        assert isinstance(error, SystemExit), (words, repr(error))
        assert error.code in ((1, 2) if words[0] == "verify" else (2,)), words  # 1: records are there twice
    return result


@pytest.mark.parametrize(("verb", "parameter"), places())
def test_no_path_can_be_that(verb: str, parameter: str, world: Path) -> None:
    """Refused by everything that takes a path, with nothing written."""
    before = sorted(world.rglob("*"))
    for value in IMPOSSIBLE.values():
        result = call(command(verb, parameter, value))
        assert result.exception is not None, (verb, parameter, value)
        assert sorted(world.rglob("*")) == before
    empty = call(command(verb, parameter, ""))
    assert (empty.exception is None) == (parameter == "summary")  # where an empty name means nowhere


@pytest.mark.costly
@pytest.mark.parametrize(("verb", "parameter"), places())
def test_odd_paths_are_only_paths(verb: str, parameter: str, world: Path) -> None:
    """Nothing in them is markup, an option, an emoji or the end of a line."""
    for value in ODD.values():
        result = call(command(verb, parameter, value))
        assert "bug" not in result.output
        if result.exception is None and parameter == "output" and verb == "report":
            assert result.stdout == f"report: {printable(Path(value))}\n"
            assert (world / value).is_file()


@pytest.mark.costly
@pytest.mark.parametrize("value", [value for name, value in ODD.items() if name not in ("dot", "parent")])
def test_the_record_that_is_named_is_there(value: str, world: Path) -> None:
    """The last line of `run` is the path of the record, every character of it."""
    result = call([*VERBS["run"], f"--out={value}"])
    assert result.exit_code == 0, result.output
    (record,) = (world / value).glob("digits/noise/*")
    assert result.stdout.splitlines()[-1] == f"record: {printable(Path(value, *record.parts[-3:]))}"


@pytest.mark.parametrize("given", [*IMPOSSIBLE.values(), "", "~nosuchuser"])
def test_one_sentence_says_why(given: str) -> None:
    """From the one function that reads paths, for the command line and Python alike; it can be printed on one line."""
    with pytest.raises(InputError) as caught:
        as_path(given)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_home_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--out=~/runs`, which no shell replaces, is in the home folder; `./~` is the file of that name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/runs") == tmp_path / "runs"
    assert as_path("./~") == Path("./~")
