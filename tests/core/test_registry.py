"""Families of extractors: one registered class for many, each asked for by what stands behind a colon."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from benchbench.core import registry
from benchbench.core.errors import BenchbenchWarning, InputError
from benchbench.core.registry import EXTRACTORS, MODELS, TASKS, FamilyRegistry, plugin_behind

GROUP = "benchbench.extractors"
OURS = EntryPoint("*", "benchbench.features:EXTRACTORS", GROUP)


class Grid:
    """Cells of a grid."""

    takes = "side"

    @classmethod
    def members(cls) -> list[str]:
        return ["4", "8"]

    @classmethod
    def of(cls, what: str) -> type[Any]:
        side = int(what)  # an error of its own for "x"
        if side > 64:
            raise InputError(f"a grid of {side} is too fine")
        return type("Cells", (), {"name": f"grid_{side}", "side": side})


class Alone:
    """No family."""

    name = "grid_8"


@pytest.fixture
def with_plugin(monkeypatch: pytest.MonkeyPatch) -> FamilyRegistry:
    """Ours and a package that registers the family `grid` and, by its whole name, `grid_8`."""
    plugin = ModuleType("a_plugin_with_a_family")
    vars(plugin).update(Grid=Grid, Alone=Alone)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    theirs = [
        EntryPoint("grid", f"{plugin.__name__}:Grid", GROUP),
        EntryPoint("grid_8", f"{plugin.__name__}:Alone", GROUP),
        EntryPoint("broken", "no_such_module_anywhere:Thing", GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [*theirs, OURS])
    return EXTRACTORS


def test_a_member_by_either_spelling(with_plugin: FamilyRegistry) -> None:
    """`grid:16` and, as records write it, `grid_16`; it need not be listed. What is registered whole goes before."""
    for name in ("grid:16", "grid_16"):
        assert with_plugin.get(name).side == 16
    assert with_plugin.recorded("grid:16") == "grid_16"
    assert with_plugin.recorded("grid_16") == "grid_16"
    assert with_plugin.get("grid_8") is Alone
    assert with_plugin.split("modes_stacked-digits") == ("modes", "stacked-digits")
    assert with_plugin.split("inception_v3_clean") == ("inception_v3_clean", "")
    assert with_plugin.split("nobody_knows") == ("nobody_knows", "")


def test_names_are_those_of_records_and_ours_come_first(with_plugin: FamilyRegistry) -> None:
    """Families by their members; a plugin's after ours although g is before m and b before c; one that cannot be
    imported keeps its name, so that whoever asks for it is told."""
    names = with_plugin.names()
    assert names[-3:] == ["broken", "grid_4", "grid_8"]
    assert names[:-3] == sorted(names[:-3])
    assert {"cnn_digits", "modes_ring8", "vgg16"} <= set(names)
    assert not {"cnn", "modes", "grid"} & set(names)
    assert sorted(with_plugin.families()) == ["cnn", "grid", "modes"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("grid:65", "a grid of 65 is too fine"),
        (
            "grid:x",
            r"the extractor grid:x \(a_plugin_with_a_family:Grid\) cannot be made: ValueError: invalid literal",
        ),
        ("grid", "grid is a family of extractors, .* known: grid:4, grid:8"),
        ("grid:", "grid is a family of extractors, .* known: grid:4, grid:8"),
        ("vgg16:5", "the extractor vgg16 stands alone: write vgg16"),
        ("nobody:5", "unknown extractor 'nobody:5'"),
        ("modes:ring9", "unknown dataset of known modes 'ring9'; did you mean 'ring8'"),
        ("broken", r"'broken'.*cannot be loaded"),
    ],
)
def test_what_there_is_not(with_plugin: FamilyRegistry, name: str, sentence: str) -> None:
    """One sentence each, whoever raised it, and the same for `recorded`, which stands at every door."""
    with pytest.raises(InputError, match=sentence):
        with_plugin.get(name)
    if ":" in name:
        with pytest.raises(InputError, match=sentence):
            with_plugin.recorded(name)


def test_a_plugin_cannot_take_the_name_of_a_member_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cnn_digits` in a record means ours, whatever a package registers under it, by either spelling and in either
    order; a family of others whose members cannot be known is named and left out, and nothing else with it."""
    plugin = ModuleType("a_plugin_that_takes_names")
    broken = type("Broken", (Grid,), {"members": classmethod(lambda cls: [][1])})
    vars(plugin).update(Alone=Alone, Broken=broken)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    theirs = [
        EntryPoint("cnn_digits", f"{plugin.__name__}:Alone", GROUP),
        EntryPoint("odd", f"{plugin.__name__}:Broken", GROUP),
    ]
    for order in ([*theirs, OURS], [OURS, *theirs]):
        monkeypatch.setattr(registry, "entry_points", lambda group, order=order: order)
        for name in ("cnn_digits", "cnn:digits", EXTRACTORS.recorded("cnn:digits")):
            assert EXTRACTORS.get(name).__module__ == "benchbench.features.networks.cnn"
        with pytest.warns(
            BenchbenchWarning, match=r"members of the extractor 'odd' \(.*:Broken\) cannot be known"
        ):
            assert {"cnn_digits", "efficientnet_lite0"} <= set(EXTRACTORS.names())


class Dist(NamedTuple):
    """As importlib hands out a distribution."""

    name: str = "acme-models"
    version: str = "1.2"


def of_acme(name: str, value: str, group: str = "benchbench.models") -> EntryPoint:
    entry = EntryPoint(name, value, group)
    vars(entry).update(dist=Dist())
    return entry


class Raises:
    """What raises where nobody expects it."""

    def __init__(self) -> None:
        raise KeyError("home")


class Quits:
    def __init__(self) -> None:
        raise SystemExit(0)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Registers entries of a distribution beside ours; its modules are `acme_good`, `acme_quits` and `acme_raises`."""
    plugin = ModuleType("acme_good")
    vars(plugin).update(
        Good=Alone,
        Raises=Raises,
        Quits=Quits,
        text="a text",
        function=lambda: Alone(),
        instance=Alone(),
        NUMBERS={"a": 1},
        LIST=["a"],
        NAMES={
            "fine": "acme_good:Good",
            "a:b": "acme_good:Good",
            "no-colon": "acme_good",
            "": "acme_good:Good",
        },
        StringFamily=type("StringFamily", (Grid,), {"of": classmethod(lambda cls, what: "no class")}),
        NoneFamily=type("NoneFamily", (Grid,), {"of": classmethod(lambda cls, what: None)}),
        QuitsFamily=type("QuitsFamily", (Grid,), {"of": classmethod(lambda cls, what: exit(0))}),
    )
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    (tmp_path / "acme_quits.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "acme_raises.py").write_text("{}['x']\n")
    (tmp_path / "acme_syntax.py").write_text("def\n")
    monkeypatch.syspath_prepend(tmp_path)

    def register(*entries: EntryPoint) -> None:
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [entry for entry in entries if entry.group == group]
        )
        registry._entries.cache_clear()

    return register


BEHIND = [
    ("acme_good:Missing", "AttributeError: module 'acme_good' has no attribute 'Missing'"),
    ("acme_quits:Model", "SystemExit: 0"),
    ("acme_raises:Model", "KeyError: 'x'"),
    ("acme_syntax:Model", "SyntaxError"),
    ("acme_nowhere:Model", "ModuleNotFoundError: No module named 'acme_nowhere'"),
    ("acme_good", 'must be written "module:object"'),
    ("acme_good.Good", 'must be written "module:object"'),
    ("", 'must be written "module:object"'),
    ("acme good:Good", 'must be written "module:object"'),
    ("acme_good:", 'must be written "module:object"'),
    (":Good", 'must be written "module:object"'),
    ("acme_good:text", "is no class but a str"),
    ("acme_good:function", "is no class but a function"),
    ("acme_good:instance", "is no class but a Alone"),
]


@pytest.mark.parametrize(("value", "sentence"), BEHIND)
def test_what_a_plugin_cannot_load(acme: Callable[..., None], value: str, sentence: str) -> None:
    """One sentence, with the name, what it leads to and whose it is; where all are listed it is skipped with it."""
    acme(of_acme("theirs", value))
    with pytest.raises(InputError) as error:
        MODELS.get("theirs")
    assert str(error.value).startswith(f"the model 'theirs' ({value} of acme-models 1.2) ")
    assert sentence in str(error.value)
    with pytest.warns(BenchbenchWarning, match=re.escape(sentence)):
        assert MODELS.items() == []


@pytest.mark.parametrize(
    "name", ["a:b", "a,b", "", " ", "a b", "../a", "a/b", "a\nb", "-a", ".hidden", "é", "a" + chr(0)]
)
def test_names_that_nobody_could_type(acme: Callable[..., None], name: str) -> None:
    """A comma stands between names, a colon within a family, a slash within a path: skipped, and said."""
    acme(of_acme(name, "acme_good:Good"), of_acme("fine", "acme_good:Good"))
    with pytest.warns(BenchbenchWarning, match=r"is no name: letters.*; skipped") as told:
        assert MODELS.names() == ["fine"]
    assert f"{name!r} (acme_good:Good of acme-models 1.2)" in str(told[0].message)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("acme_quits:NAMES", "SystemExit: 0"),
        ("acme_raises:NAMES", "KeyError: 'x'"),
        ("acme_good:NUMBERS", 'must be a mapping of names to "module:object"'),
        ("acme_good:LIST", 'must be a mapping of names to "module:object"'),
        ("acme_good", 'must be a mapping of names to "module:object"'),
        ("acme_nowhere:NAMES", "No module named 'acme_nowhere'"),
        ("not a value", "cannot be read"),
    ],
)
def test_mappings_that_cannot_be_read(acme: Callable[..., None], value: str, sentence: str) -> None:
    """Skipped and named, whatever its module does when it is imported, and the others are there."""
    acme(of_acme("*", value), of_acme("fine", "acme_good:Good"))
    with pytest.warns(BenchbenchWarning) as told:
        assert MODELS.names() == ["fine"]
    (warning,) = told
    assert f"benchbench.models: {value} of acme-models 1.2 cannot be read: " in str(warning.message)
    assert sentence in str(warning.message)


def test_entries_of_a_mapping_are_held_to_the_same(acme: Callable[..., None]) -> None:
    """A name with a colon and an empty one are skipped; a value without a colon is said when it is asked for, with the
    distribution of the mapping."""
    acme(of_acme("*", "acme_good:NAMES"))
    with pytest.warns(BenchbenchWarning, match="is no name"):
        assert MODELS.names() == ["fine", "no-colon"]
    assert MODELS.get("fine") is Alone
    with pytest.raises(InputError, match=r"'no-colon' \(acme_good of acme-models 1\.2\) .*\"module:object\""):
        MODELS.get("no-colon")


@pytest.mark.parametrize(
    ("family", "sentence"),
    [
        ("StringFamily", "is no class but a str: `of` must return one"),
        ("NoneFamily", "is no class but a NoneType: `of` must return one"),
        ("QuitsFamily", "cannot be made: SystemExit"),
    ],
)
def test_families_that_return_no_class(acme: Callable[..., None], family: str, sentence: str) -> None:
    """The sentence names the family's entry point and its distribution."""
    acme(of_acme("grid", f"acme_good:{family}", GROUP))
    with pytest.raises(InputError) as error:
        EXTRACTORS.get("grid:4")
    assert str(error.value).startswith(
        f"the extractor grid:4 (acme_good:{family} of acme-models 1.2) {sentence}"
    )


@pytest.mark.parametrize(("kind", "sentence"), [("Raises", "KeyError: 'home'"), ("Quits", "SystemExit: 0")])
def test_constructors_that_raise(acme: Callable[..., None], kind: str, sentence: str) -> None:
    """Of a task or a dataset, which are made without arguments: named where it is asked for, skipped with the same
    words where any will do."""
    acme(
        of_acme("theirs", f"acme_good:{kind}", "benchbench.tasks"),
        of_acme("fine", "acme_good:Good", "benchbench.tasks"),
    )
    with pytest.raises(InputError) as error:
        TASKS.make("theirs")
    assert str(error.value) == (
        f"the task 'theirs' (acme_good:{kind} of acme-models 1.2) cannot be made: {sentence}"
    )
    with pytest.warns(BenchbenchWarning, match=f"cannot be made: {sentence}; skipped"):
        ((name, made),) = TASKS.made()
    assert (name, type(made)) == ("fine", Alone)


def test_whose_code_was_running(acme: Callable[..., None]) -> None:
    """An error in a plugin's own code is the plugin's, one in ours that it called is ours, and so is any without it."""
    acme(of_acme("theirs", "acme_behind:Model"))
    code: dict[str, Any] = {"__name__": "acme_behind.inner", "ours": {"__name__": "benchbench.core"}}
    exec("def fails(): return {}['x']", code["ours"])
    exec("def theirs(): return [][1]\ndef through(): return ours['fails']()", code)
    for run, whose in (
        (code["theirs"], "the plugin acme_behind (from acme-models 1.2)"),
        (code["through"], None),
        (code["ours"]["fails"], None),
    ):
        with pytest.raises((IndexError, KeyError)) as error:
            run()
        assert plugin_behind(error.value) == whose
