"""What an extractor declares is what decides: of one that a plugin brings as of ours."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from benchbench.core import registry
from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import Traits, traits_of
from benchbench.metrics.metric import full_name
from benchbench.metrics.select import select_metrics
from benchbench.metrics.sets.modes import class_extractor

GROUP = "benchbench.extractors"


class Dots:
    """A judge of dots, by all that it can declare."""

    name = "acme_dots"
    classes_of = "digits"
    rejects = True
    alone = True
    kind = "points"
    field_names = {"fd": "acme_fd"}  # noqa: RUF012


class Child(Dots):
    """Another network: the field has no name for metrics on it."""

    name = "acme_child"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with both, found before ours."""
    module = ModuleType("a_plugin_with_judges")
    vars(module).update(Dots=Dots, Child=Child)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    theirs = [EntryPoint(kind.name, f"{module.__name__}:{kind.__name__}", GROUP) for kind in (Dots, Child)]
    known = {group: list(registry.entry_points(group=group)) for group in (GROUP, "benchbench.metrics")}
    known[GROUP] = [*theirs, *known[GROUP]]
    monkeypatch.setattr(registry, "entry_points", lambda group: known[group])


@pytest.mark.usefixtures("plugin")
def test_a_plugins_declarations_decide() -> None:
    """By docs/extending.md: `classes_of` defines the counts of classes, `rejects` high quality; on "points" nothing
    that looks at single distances is defined, and on one that rejects no Inception Score."""
    families = {metric.family for metric in select_metrics(["all"], ["acme_dots"])}
    assert {
        "modes",
        "class_kl",
        "class_tv",
        "conditional_accuracy",
        "high_quality",
        "fd",
        "vendi",
    } <= families
    assert not families & {"kd", "precision", "coverage", "duplicate_excess", "is", "cmmd"}
    assert full_name("fd", "acme_dots") == "acme_fd"
    assert [metric.extractor for metric in select_metrics(["acme_fd"], [])] == ["acme_dots"]
    assert traits_of("acme_child").kind == "points"
    assert full_name("fd", "acme_child") == "fd_acme_child"


@pytest.mark.usefixtures("plugin")
def test_ours_is_not_replaced() -> None:
    """Both know the digits, and a precedes c; without ours, theirs is found."""
    names = EXTRACTORS.names()
    assert class_extractor("digits", names) == "cnn_digits"
    assert class_extractor("digits", [name for name in names if name != "cnn_digits"]) == "acme_child"


def test_who_declares_nothing() -> None:
    """Every trait may be left out; a name that no extractor has declares nothing: features may come from elsewhere."""
    for undeclared in (Traits.declared_by(type("Plain", (), {})), traits_of("nobody"), traits_of("vgg16")):
        assert undeclared == Traits()
        assert undeclared.words == frozenset()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cnn_digits", {"classes"}),
        ("modes_stacked-digits", {"classes"}),
        ("modes_ring8", {"classes", "rejects", "points"}),
        ("clip_vit_b_32", {"clip"}),
        ("clip_folder", {"clip"}),
        ("inception_v3", set()),
    ],
)
def test_the_words_of_ours(name: str, words: set[str]) -> None:
    """As docs/protocols.md describes them; 1,008 logits of ImageNet are the classes of no dataset."""
    assert traits_of(name).words == words


def test_a_full_name_has_its_extractor_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Families before what stands behind them: `fd_infinity_…` is not the `fd` of `infinity_…`, `modes_ring8` is named
    after itself, and a judge that is in no list is found too, for its variable is set."""
    monkeypatch.setenv("BENCHBENCH_CNN_DOGS_WEIGHTS", str(tmp_path / "w.safetensors"))
    for name, family, extractor in (
        ("fd_infinity_cnn_digits", "fd_infinity", "cnn_digits"),
        ("precision_k3_modes_stacked-digits", "precision_k3", "modes_stacked-digits"),
        ("modes_ring8", "modes", "modes_ring8"),
        ("modes_cnn_digits", "modes", "cnn_digits"),
        ("sfid", "fd", "inception_v3_spatial"),
        ("fd_cnn_dogs", "fd", "cnn_dogs"),
        ("modes_stacked-dogs", "modes", "modes_stacked-dogs"),
    ):
        (metric,) = select_metrics([name], [])
        assert (metric.family, metric.extractor, metric.name) == (family, extractor, name)
