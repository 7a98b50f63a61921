"""Families of extractors: one registered class for many, each asked for by what stands behind a colon."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from benchbench.core import registry
from benchbench.core.errors import BenchbenchWarning, InputError
from benchbench.core.registry import EXTRACTORS, FamilyRegistry

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
        ("grid:x", "the extractor grid:x cannot be made: invalid literal"),
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
        with pytest.warns(BenchbenchWarning, match="members of the extractor 'odd' cannot be known"):
            assert {"cnn_digits", "efficientnet_lite0"} <= set(EXTRACTORS.names())
