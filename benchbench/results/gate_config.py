"""What the gate tolerates: `gate.toml`, read and checked.

    missing = "metric"      # what happens to numbers that only the baseline has

    [default]               # every metric that nothing below speaks of
    worse_with = 0.95

    [metric."fd_*"]         # by name, or a pattern of names; of several that fit, the last one counts
    relative = 0.05

    [speed]                 # throughput: rates and latencies, on the same machine only
    relative = 0.25

    [memory]                # cost: memory, parameters, operations
    relative = 0.10

A rule says exactly one thing: how far the mean may get worse (`absolute`, `relative`), with which confidence
worse is worse (`worse_with`), or that nobody minds (`ignore`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.toml import read_toml

DEFAULT_GATE = """\
# What `benchbench check` lets pass. This file is what holds without --tolerance; copy it and change it.
# A rule says one thing:
#   worse_with = 0.95   fails when the number is worse with this confidence, all such rules taken together
#   relative = 0.05     fails when the mean over seeds is worse by more than 5% of the baseline's
#   absolute = 0.01     fails when the mean over seeds is worse by more than 0.01, in the metric's own unit
#   ignore = true       is shown, and never fails
# Which way is worse, the records say. A metric with no better direction is never gated.

# Numbers that only the baseline has. "metric": fails when the model was run on that dataset and the number is
# not there; models that were not run are listed. "model": those fail too. "ignore": both are only listed.
missing = "metric"

[default]
worse_with = 0.95

# By name or pattern; of several patterns that fit, the last one counts.
# These restate the metric they stand beside; gating both would only weaken the test of each.
[metric."*_infinity*"]
ignore = true

[metric."*_subsets*"]
ignore = true

[metric."*_one_split*"]
ignore = true

# Counted, not measured: the same code gives the same number on any machine.
[metric.parameters]
relative = 0.0

[metric.flops_per_image]
relative = 0.0

# Rates and latencies, compared on one machine only. Clocks are noisy: a quiet machine allows less.
[speed]
relative = 0.25

# Peak memory, compared on one machine only.
[memory]
relative = 0.10
"""


class Rule(BaseModel, extra="forbid", frozen=True, strict=True):
    """One rule: exactly one of its fields is set.

    absolute: in the unit of the metric. relative: share of the baseline's magnitude; 0.05 is 5%.
    worse_with: confidence in (0.5, 1) of a one-sided test. ignore: shown, never fails.
    """

    absolute: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    relative: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    worse_with: float | None = Field(default=None, gt=0.5, lt=1)
    ignore: bool | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Rule:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a rule says exactly one of {', '.join(Rule.model_fields)}")
        if self.ignore is False:
            raise ValueError("ignore is true or not there")
        return self

    def __str__(self) -> str:
        (name,) = self.model_fields_set
        return name if name == "ignore" else f"{name} = {getattr(self, name):g}"


Missing = Literal["metric", "model", "ignore"]


class Gate(BaseModel, extra="forbid", frozen=True):
    """A whole `gate.toml`. `metric`: rules by name or pattern, in the order of the file."""

    missing: Missing = "metric"
    default: Rule = Rule(worse_with=0.95)
    metric: dict[str, Rule] = {}
    speed: Rule = Rule(relative=0.25)
    memory: Rule = Rule(relative=0.1)

    def rule(self, metric: str, aspect: str) -> Rule:
        """The rule for one metric: its own name, else the last pattern that fits, else its section's."""
        if metric in self.metric:
            return self.metric[metric]
        fitting = [rule for pattern, rule in self.metric.items() if fnmatchcase(metric, pattern)]
        return (
            fitting[-1]
            if fitting
            else {"throughput": self.speed, "cost": self.memory}.get(aspect, self.default)
        )

    def unused(self, metrics: Collection[str]) -> list[str]:
        """The patterns of `metric` that none of these names fits, those of the built-in gate aside."""
        own = set(self.metric) - set(tomllib.loads(DEFAULT_GATE)["metric"])
        return sorted(p for p in own if not any(fnmatchcase(metric, p) for metric in metrics))

    def with_confidence(self, confidence: float) -> Gate:
        """This gate with `confidence` in place of that of every `worse_with`."""

        def changed(rule: Rule) -> Rule:
            return rule if rule.worse_with is None else Rule(worse_with=confidence)

        return self.model_copy(
            update={
                "metric": {pattern: changed(rule) for pattern, rule in self.metric.items()},
                **{name: changed(getattr(self, name)) for name in ("default", "speed", "memory")},
            }
        )


def load_gate(path: Path | None = None) -> Gate:
    """The gate in a file, or the built-in one (the same as `docs/gate.toml`).

    Raises `InputError` for a file that cannot be read, is no TOML, has an unknown key (the nearest known one is
    named) or a rule that says nothing, or two things.
    """
    if path is None:
        return _validated(tomllib.loads(DEFAULT_GATE))
    content = read_toml(path, "gate")
    try:
        return _validated(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _validated(content: Mapping[str, Any]) -> Gate:
    for key in content:
        if key not in Gate.model_fields:
            raise unknown_name("key", key, Gate.model_fields)
    for name, rule in _rules(content):
        if not isinstance(rule, dict):
            raise InputError(f"{name} must be a table, [{name}]")
        for key in rule:
            if key not in Rule.model_fields:
                raise unknown_name(f"key in [{name}]", key, Rule.model_fields)
    try:
        return Gate(**content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


def _rules(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name of the table, what stands there) of everything that should be a rule."""
    metrics = content.get("metric", {})
    if not isinstance(metrics, dict):
        raise InputError('metric must be tables, [metric."fd_*"]')
    yield from ((f'metric."{pattern}"', rule) for pattern, rule in metrics.items())
    yield from ((name, content[name]) for name in ("default", "speed", "memory") if name in content)
