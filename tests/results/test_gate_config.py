"""gate.toml: which rule holds for which metric, and one sentence for every mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.results.claims.gate_config import DEFAULT_GATE, Gate, Rule, load_gate

ROOT = Path(__file__).parents[2]


def test_the_file_in_the_docs_is_the_built_in_gate() -> None:
    """Who copies docs/gate.toml changes nothing yet: equal to the byte, and equal as a gate."""
    path = ROOT / "docs" / "gate.toml"
    assert path.read_text(encoding="utf-8") == DEFAULT_GATE
    assert load_gate(path) == load_gate()


def test_what_a_file_does_not_say_holds_as_built_in(tmp_path: Path) -> None:
    """An empty file leaves all but the table of metrics, which is the file's alone (docs/check.md)."""
    (tmp_path / "gate.toml").write_text("")
    empty, built_in = load_gate(tmp_path / "gate.toml"), load_gate()
    assert empty == built_in.model_copy(update={"metric": {}})
    assert empty == Gate()


def test_the_rule_of_a_metric(tmp_path: Path) -> None:
    """Exact name, else the last pattern that fits, else the section of its aspect; each line by docs/check.md."""
    path = tmp_path / "gate.toml"
    path.write_text(
        "[default]\nabsolute = 1\n[speed]\nabsolute = 2\n[memory]\nabsolute = 3\n"
        "[metric.fd_a]\nabsolute = 4\n"
        '[metric."fd_*"]\nabsolute = 5\n[metric."*_b"]\nabsolute = 6\n'
    )
    gate = load_gate(path)
    asked = {
        ("ssim", "paired"): 1,
        ("latency_p50", "throughput"): 2,
        ("peak_memory_rss", "cost"): 3,
        ("fd_a", "quality"): 4,
        ("fd_c", "quality"): 5,
        ("fd_b", "quality"): 6,
        ("rate_b", "throughput"): 6,
    }
    assert {question: gate.rule(*question).absolute for question in asked} == asked
    assert gate.unused(["fd_a", "fd_c"]) == ["*_b"]
    assert load_gate().unused([]) == []


def test_the_headline_has_a_section_of_its_own(tmp_path: Path) -> None:
    """By what the record says, not by name; a rule by name comes before it. The built-in one asks for a tolerance
    and for what another seed would not explain, so that it works with one seed."""
    path = tmp_path / "gate.toml"
    path.write_text('[headline]\nabsolute = 7\n[metric."fd_*"]\nwithin = 0.02\n')
    gate = load_gate(path)
    assert gate.rule("gram_distance_x", "quality", headline=True) == Rule(absolute=7)
    assert gate.rule("fd_x", "quality", headline=True) == Rule(within=0.02)
    assert gate.rule("gram_distance_x", "quality") == gate.default
    assert (gate.names("fd_x"), gate.names("kd_x")) == (True, False)
    built_in = load_gate().headline
    assert built_in.relative is not None
    assert built_in.worse_with is not None
    assert built_in.tolerance == f"relative = {built_in.relative:g}"


def test_what_is_counted_may_not_grow() -> None:
    """Parameters of any kind, and operations: the same code gives the same number on any machine."""
    gate = load_gate()
    counted = ("parameters", "parameters_sampling", "parameters_training", "flops_per_image")
    assert {gate.rule(name, "cost") for name in counted} == {Rule(relative=0.0)}
    assert gate.rule("peak_memory_rss", "cost") == gate.memory


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[defualt]\nabsolute = 1", "unknown key 'defualt'; did you mean 'default'?"),
        ("[speed]\nrelativ = 0.1", r"unknown key in \[speed\] 'relativ'; did you mean 'relative'?"),
        ('[metric."fd_*"]\nworse = 0.9', r"in \[metric.\"fd_\*\"\] 'worse'; did you mean 'worse_with'?"),
        ('missing = "fail"', "missing: input should be 'metric', 'model' or 'ignore'"),
        ("default = 0.05", r"default must be a table, \[default\]"),
        ("metric = 0.05", r"metric must be tables"),
        ("[metric]\nfd = 0.05", r"must be a table, \[metric.\"fd\"\]"),
        (
            "[default]",
            "default: a rule says exactly one of absolute, relative, worse_with, within, between, ignore, or absolute",
        ),
        ("[default]\nabsolute = 1\nrelative = 0.1", "default: a rule says exactly one of"),
        ("[default]\nrelative = -0.1", "default.relative: input should be greater than or equal to 0"),
        ("[default]\nrelative = nan", "default.relative: input should be a finite number"),
        ("[default]\nrelative = '5%'", "default.relative: input should be a valid number"),
        ("[default]\nrelative = true", "default.relative: input should be a valid number"),
        ("[default]\nworse_with = 95", "default.worse_with: input should be less than 1"),
        ("[default]\nworse_with = 0.05", "default.worse_with: input should be greater than 0.5"),
        ("[metric.fd]\nignore = false", "metric.fd: ignore is true or not there"),
        ("[default]\nwithin = 0.02\nworse_with = 0.9", "default: a rule says exactly one of"),
        ("[default]\nbetween = [2, 1]", "between is the smallest and the largest value, in this order"),
        ("[default]\nbetween = [1, inf]", "between is the smallest and the largest value, in this order"),
        ("[default]\nbetween = [1]", "default.between"),
        ("[headline]\nworse = 0.9", r"in \[headline\] 'worse'; did you mean 'worse_with'?"),
        ("assumed_spread = 0", "assumed_spread: input should be greater than 0"),
        ("[default\n", "is not valid TOML"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    """Names the file, the key and, where it is a slip of the pen, the nearest one; exit code 2."""
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        load_gate(path)
    assert str(path) in str(caught.value)

    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The operating system's words, and plain ones for a folder and for bytes that are no text."""
    with pytest.raises(InputError, match=r"cannot read the gate .*gate.toml: No such file"):
        load_gate(tmp_path / "gate.toml")
    with pytest.raises(InputError, match=r"the gate .* is a folder"):
        load_gate(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        load_gate(tmp_path / "binary")


def test_another_confidence_replaces_that_of_every_test_and_nothing_else() -> None:
    """By definition of --confidence."""
    gate = Gate(speed=Rule(worse_with=0.9), metric={"a": Rule(worse_with=0.8), "b": Rule(absolute=2)})
    changed = gate.with_confidence(0.99)
    assert changed.headline == Rule(relative=0.15, worse_with=0.99)
    assert {changed.default, changed.speed, changed.metric["a"]} == {Rule(worse_with=0.99)}
    assert (changed.memory, changed.metric["b"]) == (gate.memory, gate.metric["b"])


def test_rules_read_as_they_are_written() -> None:
    """The text in reports parses back as TOML to the same rule."""
    for rule in (Rule(absolute=0.01), Rule(relative=0.25), Rule(worse_with=0.95), Rule(within=0.02)):
        assert Rule(**tomllib.loads(str(rule))) == rule
    assert tomllib.loads(str(Rule(between=(1, 2.5)))) == {"between": [1, 2.5]}
    both = Rule(relative=0.15, worse_with=0.97)
    assert Rule(**tomllib.loads(str(both).replace(", ", "\n"))) == both
