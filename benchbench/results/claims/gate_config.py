"""What the gate tolerates: `gate.toml`, read and checked.

    missing = "metric"      # what happens to numbers that only the baseline has

    [headline]              # the number by which the models of a dataset and task are ranked
    relative = 0.15         # worse by more than this, and
    worse_with = 0.97       # by more than another seed explains

    [default]               # every other metric that nothing below speaks of
    worse_with = 0.97

    [metric."fd_*"]         # by name, or a pattern of names; of several that fit, the last one counts
    within = 0.02           # a band around the baseline: better fails too

    [speed]                 # throughput: rates and latencies, on the same machine only
    relative = 0.25

    [memory]                # cost: memory, parameters, operations
    relative = 0.10

A rule says how far the mean may get worse (`absolute`, `relative`), with which confidence worse is worse
(`worse_with`), or both, and then both have to be exceeded; or in which band it has to lie (`within`, `between`); or
that nobody minds (`ignore`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.toml import read_toml
from benchbench.core.validation import first_fault

DEFAULT_GATE = """\
# What `benchbench check` lets pass. This file is what holds without --tolerance; copy it and change it.
# A rule says one thing:
#   relative = 0.05     fails when the mean over seeds is worse by more than 5% of the baseline's
#   absolute = 0.01     fails when the mean over seeds is worse by more than 0.01, in the metric's own unit
#   worse_with = 0.97   fails when the number is worse with this confidence, all such rules of a check taken together
#   within = 0.02       fails when the mean leaves a band of 2% around the baseline's, for better or worse
#   between = [1, 2]    fails when the mean of the candidate lies outside, whatever the baseline's
#   ignore = true       is shown, and never fails
# or a tolerance together with worse_with: then it fails when both are exceeded.
# Which way is worse, the records say. A metric with no better direction has only bands.

# Numbers that only the baseline has. "metric": fails when the model was run on that dataset and the number is
# not there; models that were not run are listed. "model": those fail too. "ignore": both are only listed.
missing = "metric"

# How far seeds scatter, as a share of the value, where one run a side is all there is and no other model tells.
assumed_spread = 0.15

# The one number of a dataset and task by which its models are ranked; the records say which.
[headline]
relative = 0.15
worse_with = 0.97

# Everything else that is said of the images. What only restates another number (fd_infinity beside fd) is never gated
# by this.
[default]
worse_with = 0.97

# By name or pattern; of several patterns that fit, the last one counts, and it comes before all sections.
# Counted, not measured: the same code gives the same number on any machine.
[metric."parameters*"]
relative = 0.0

[metric.flops_per_image]
relative = 0.0

# Rates and latencies, compared on one machine only, and never failed on a busy one. Clocks are noisy: a quiet
# machine allows less.
[speed]
relative = 0.25

# Peak memory, compared on one machine only.
[memory]
relative = 0.10
"""


class Rule(BaseModel, extra="forbid", frozen=True, strict=True):
    """One rule: one of its fields is set, or a tolerance and `worse_with`.

    absolute: in the unit of the metric. relative: share of the baseline's magnitude; 0.05 is 5%.
    worse_with: confidence in (0.5, 1) of a one-sided test. within: share of the baseline's magnitude, either way.
    between: the smallest and the largest mean. ignore: shown, never fails.
    """

    absolute: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    relative: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    worse_with: float | None = Field(default=None, gt=0.5, lt=1)
    within: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    between: tuple[float, float] | None = Field(default=None, strict=False)
    ignore: bool | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Rule:
        stated = self.model_fields_set
        both = len(stated) == 2 and "worse_with" in stated and stated & {"absolute", "relative"}
        if len(stated) != 1 and not both:
            raise ValueError(
                f"a rule says exactly one of {', '.join(Rule.model_fields)}, or absolute or relative with worse_with"
            )
        if self.ignore is False:
            raise ValueError("ignore is true or not there")
        if self.between is not None and not (
            all(map(math.isfinite, self.between)) and self.between[0] <= self.between[1]
        ):
            raise ValueError("between is the smallest and the largest value, in this order")
        return self

    @property
    def tolerance(self) -> str:
        """The part that speaks of the mean, "relative = 0.15"; "" where none does."""
        stated = [name for name in ("absolute", "relative") if getattr(self, name) is not None]
        return f"{stated[0]} = {getattr(self, stated[0]):g}" if stated else ""

    @property
    def two_sided(self) -> bool:
        """Whether a change for the better fails too, so that no direction is needed."""
        return self.within is not None or self.between is not None

    def __str__(self) -> str:
        if self.ignore:
            return "ignore"
        if self.between is not None:
            return f"between = [{self.between[0]:g}, {self.between[1]:g}]"
        names = [name for name in Rule.model_fields if name in self.model_fields_set]
        return ", ".join(f"{name} = {getattr(self, name):g}" for name in names)


Missing = Literal["metric", "model", "ignore"]
SECTIONS = ("headline", "default", "speed", "memory")


class Gate(BaseModel, extra="forbid", frozen=True):
    """A whole `gate.toml`. `metric`: rules by name or pattern, in the order of the file."""

    missing: Missing = "metric"
    assumed_spread: float = Field(default=0.15, gt=0, allow_inf_nan=False)
    headline: Rule = Rule(relative=0.15, worse_with=0.97)
    default: Rule = Rule(worse_with=0.97)
    metric: dict[str, Rule] = {}
    speed: Rule = Rule(relative=0.25)
    memory: Rule = Rule(relative=0.1)

    def rule(self, metric: str, aspect: str, headline: bool = False) -> Rule:
        """The rule for one metric: its own name, else the last pattern that fits, else its section's."""
        if metric in self.metric:
            return self.metric[metric]
        fitting = [rule for pattern, rule in self.metric.items() if fnmatchcase(metric, pattern)]
        if fitting:
            return fitting[-1]
        section = self.headline if headline else self.default
        return {"throughput": self.speed, "cost": self.memory}.get(aspect, section)

    def names(self, metric: str) -> bool:
        """Whether a rule speaks of this metric by name or pattern."""
        return any(fnmatchcase(metric, pattern) for pattern in self.metric)

    def unused(self, metrics: Collection[str]) -> list[str]:
        """The patterns of `metric` that none of these names fits, those of the built-in gate aside."""
        own = set(self.metric) - set(tomllib.loads(DEFAULT_GATE)["metric"])
        return sorted(p for p in own if not any(fnmatchcase(metric, p) for metric in metrics))

    def with_confidence(self, confidence: float) -> Gate:
        """This gate with `confidence` in place of that of every `worse_with`."""

        def changed(rule: Rule) -> Rule:
            if rule.worse_with is None:
                return rule
            return Rule(**{**rule.model_dump(exclude_unset=True), "worse_with": confidence})

        return self.model_copy(
            update={
                "metric": {pattern: changed(rule) for pattern, rule in self.metric.items()},
                **{name: changed(getattr(self, name)) for name in SECTIONS},
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
        fault = first_fault(error)
        raise InputError(f"{fault.where}: {fault.reason}") from error


def _rules(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name of the table, what stands there) of everything that should be a rule."""
    metrics = content.get("metric", {})
    if not isinstance(metrics, dict):
        raise InputError('metric must be tables, [metric."fd_*"]')
    yield from ((f'metric."{pattern}"', rule) for pattern, rule in metrics.items())
    yield from ((name, content[name]) for name in SECTIONS if name in content)
