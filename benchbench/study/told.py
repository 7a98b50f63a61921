"""What whoever makes a study is told when it is made: what it holds, how long it takes, and what it cannot find."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

from benchbench.study.creation import MOST_CHECKED
from benchbench.study.manifest import StudyManifest
from benchbench.study.minutes import SECONDS, about_minutes
from benchbench.study.raters import FOUND, checks_that_find, found_without_looking


def summary(manifest: StudyManifest) -> str:
    """Kind, items and minutes of a study, a line."""
    asked = [item for item in manifest.items if item.check is None]
    checked = len(manifest.items) - len(asked)
    systems = range(len(manifest.systems))
    if manifest.asks.ties:
        shown = Counter(tuple(sorted(item.systems)) for item in asked)
        each, what = [shown[pair] for pair in combinations(systems, 2)], "pair of systems"
    else:
        of_systems = Counter(max(item.systems) for item in asked)
        each, what = [of_systems[system] for system in systems], "system"
    span = f"{min(each)}" if min(each) == max(each) else f"{min(each)} to {max(each)}"
    real = sum(max(item.systems) < 0 for item in asked)
    beside = f" and {real} of real images" if real else ""
    return (
        f"{manifest.kind} of {len(manifest.systems)} systems: {len(asked)} items, {span} a {what}{beside}, and "
        f"{checked} check items; about {about_minutes(len(manifest.items))} a rater, at {SECONDS:g} seconds an answer"
    )


def weak_checks(manifest: StudyManifest) -> str | None:
    """That so few check items do not find who does not look, and how many would; None where they do."""
    checked = sum(item.check is not None for item in manifest.items)
    asked = len(manifest.items) - checked
    answers = max(manifest.asks.images, 2)
    odds = found_without_looking(checked, manifest.pass_checks, answers)
    if odds >= FOUND:
        return None
    least = checks_that_find(manifest.pass_checks, answers)
    share = math.ceil(100 * least / asked)
    way = (
        f"--checks {share}% makes {math.ceil(share * asked / 100)}"
        if share <= 100 * MOST_CHECKED
        else f"--n {math.ceil(least / MOST_CHECKED)} --checks {MOST_CHECKED:.0%} makes {least}"
    )
    who = "presses one side always" if manifest.asks.images > 1 else "presses either button at random"
    return f"{checked} check items find who {who} with odds of {odds:.0%}, and {least} with {FOUND:.0%} or more; {way}"
