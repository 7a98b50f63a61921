"""Names, digests and devices."""

from __future__ import annotations

import sys
from collections import OrderedDict
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
import torch

from benchbench import models
from benchbench.core import registry
from benchbench.core.device import describe_machine, resolve_device
from benchbench.core.errors import BenchbenchWarning, InputError, unknown_name
from benchbench.core.hashing import canonical_json, digest
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import Registry


def test_canonical_json_does_not_depend_on_order() -> None:
    """Two mappings with the same content have one text; its sha256 is the one any tool gives for that text
    (`printf '{"a":1,"b":[1.5,null]}' | sha256sum`)."""
    assert canonical_json({"b": [1.5, None], "a": 1}) == '{"a":1,"b":[1.5,null]}'
    assert (
        digest({"b": [1.5, None], "a": 1})
        == "993a7a2ceb877d40fc4b026f38d1b9d56ea47505ed09b616e4ac8f06d00883b0"
    )


def test_nan_has_no_identity() -> None:
    """JSON has no NaN: a key must not be made from one."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


def test_unknown_name_gives_the_nearest() -> None:
    """One transposition away is named; nothing near is not guessed at."""
    assert "did you mean 'vae'?" in str(unknown_name("model", "vea", ["vae", "noise"]))
    assert "did you mean" not in str(unknown_name("model", "zzzz", ["vae", "noise"]))


def test_broken_plugin_warns_and_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin whose import fails must not take the others down with it."""
    entries = [
        EntryPoint("good", "collections:OrderedDict", "benchbench.models"),
        EntryPoint("broken", "no_such_module_anywhere:Thing", "benchbench.models"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.warns(BenchbenchWarning, match="'broken'.*skipped"):
        items = Registry("model").items()
    assert [name for name, _ in items] == ["good"]
    with pytest.raises(InputError, match=r"'broken'.*cannot be loaded"):
        Registry("model").get("broken")


def test_a_plugin_cannot_take_our_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`vae` in a record means ours, whatever else is installed and in whichever order it is found."""
    ours = EntryPoint("vae", "benchbench.core.protocols:ImageSpec", "benchbench.models")
    theirs = EntryPoint("vae", "collections:OrderedDict", "benchbench.models")
    for order in ([ours, theirs], [theirs, ours]):
        monkeypatch.setattr(registry, "entry_points", lambda group, order=order: order)
        assert Registry("model").get("vae") is ImageSpec


def test_a_mapping_brings_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`*` stands for every name of the mapping it leads to, ours and theirs, and what is ours stays ours."""
    plugin = ModuleType("a_plugin_with_a_mapping")
    vars(plugin)["MODELS"] = {"theirs": "collections:OrderedDict", "vae": "collections:OrderedDict"}
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    ours = EntryPoint("*", "benchbench.models:MODELS", "benchbench.models")
    entries = [ours, EntryPoint("*", f"{plugin.__name__}:MODELS", "benchbench.models")]
    for order in (entries, entries[::-1]):
        monkeypatch.setattr(registry, "entry_points", lambda group, order=order: order)
        listed = {name for name in models.MODELS if not name.endswith(registry.OPEN)}
        assert Registry("model").names() == sorted({"theirs", *listed})
        assert Registry("model").get("theirs") is OrderedDict
        assert Registry("model").get("vae").__module__.startswith("benchbench.")


@pytest.mark.parametrize("mapping", [{"name": 3}, ["name"], None])
def test_a_broken_mapping_warns_and_is_skipped(monkeypatch: pytest.MonkeyPatch, mapping: object) -> None:
    """What is no mapping of texts, or cannot be imported at all, must not take the others down with it."""
    plugin = ModuleType("a_plugin_with_a_broken_mapping")
    vars(plugin)["MODELS"] = mapping
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    for value in (f"{plugin.__name__}:MODELS", "no_such_module_anywhere:MODELS"):
        entries = [
            EntryPoint("*", value, "benchbench.models"),
            EntryPoint("good", "collections:OrderedDict", "benchbench.models"),
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group, entries=entries: entries)
        with pytest.warns(BenchbenchWarning, match=f"{value} cannot be read.*skipped"):
            assert Registry("model").names() == ["good"]


@pytest.mark.parametrize(
    "name", ["tpu9000", "cuda:99", "mps" if not torch.backends.mps.is_available() else "x"]
)
def test_absent_device_is_named(name: str) -> None:
    """A device that is not there is an error that names it and a way out."""
    with pytest.raises(InputError, match=f"'{name}'.*use"):
        resolve_device(name)


def test_machine_is_described() -> None:
    """Speed rows lean on these: cores and threads are what the interpreter and torch say."""
    machine = describe_machine(resolve_device("cpu"))
    assert machine["threads"] == torch.get_num_threads()
    assert machine["device"] == "cpu"
    assert machine["processor"]
