"""The phases of a training: which of them a step has, which batch each sees, and what lazy ones are owed.

Pattern: pure functions of what the model names (`core.protocols.Phase`), so a resumed training needs no state for it.
A lazy regularisation is a phase that comes k times as rarely as the most frequent phases of its player. It is owed two
corrections (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B): its loss counts k
times, and the optimiser of its player, which now steps more often, moves as if it did not (`step_ratio`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Phase, Phased, Trainable


def allotted(due: Sequence[Phase]) -> list[int]:
    """Of each phase of a step the number of the batch that it sees, from 0: the player's next where it wants a fresh
    one, else the one of the player's phase before."""
    taken: Counter[str] = Counter()
    numbers = []
    for phase in due:
        taken[phase.player] += phase.fresh_batch
        numbers.append(max(0, taken[phase.player] - 1))
    return numbers


def gain(phase: Phase, phases: Sequence[Phase]) -> float:
    """How many times the loss of `phase` counts: as often as it is rarer than its player's most frequent phase. One
    that a step has several times, a critic's for instance, is as many times as frequent."""
    own = [other for other in phases if other.player == phase.player]
    most = min(other.every for other in own)
    if phase.every == most:
        return 1.0
    return phase.every / most * max(own.count(other) for other in own if other.every == most)


def step_ratio(player: str, phases: Sequence[Phase]) -> float:
    """The share of a player's optimiser steps that are not lazy regularisations; 1 for a player without.

    With one main phase and one every k steps it is k / (k + 1), the `mb_ratio` of Karras et al. 2020: Adam with
    lr·ratio and beta**ratio moves in k + 1 steps as far, and forgets as much, as it did in k.
    """
    own = [phase.every for phase in phases if phase.player == player]
    most = min(own, default=1)
    return own.count(most) / most / sum(1 / every for every in own) if len(set(own)) > 1 else 1.0


class Schedule:
    """Who moves when, as the model says it: by phases, by turns (`Trainable`), or each player once a step.

    players: the modules by name. phases: all that it names, () for one that goes by turns, which has no lazy ones.
    """

    def __init__(self, model: Trainable) -> None:
        self._model, self._title = model, type(model).__name__
        self.players: Mapping[str, nn.Module] = dict(model.players())
        self.phases: Sequence[Phase] = ()
        self._turns: Callable[[int], Sequence[str]] | None = None
        if isinstance(model, Phased):
            self.phases = tuple(model.phases())
        elif (turns := getattr(model, "turns", None)) is not None:
            self._turns = turns
        else:
            self.phases = tuple(map(Phase, self.players))
        if self._turns is None:
            self._check(self.phases, "phases")
            if all(phase.every > 1 for phase in self.phases):
                raise InputError(f"{self._title} has steps without a phase; give one of them every=1")

    def due(self, step: int) -> Sequence[Phase]:
        """The phases of a step, in order; at least one. A model that names nobody would never end: `InputError`."""
        if self._turns is None:
            return [phase for phase in self.phases if step % phase.every == 0]
        turns = tuple(map(Phase, self._turns(step)))
        self._check(turns, f"turns in step {step}")
        return turns

    @property
    def period(self) -> int | None:
        """After how many steps the phases repeat; None where the model says it step by step."""
        return None if self._turns is not None else math.lcm(*(phase.every for phase in self.phases))

    def begun(self, total: int) -> int:
        """After how many of `total` steps everybody who moves at all has moved: 1 where nobody waits for others."""
        waiting, begun = set(self.players), 0
        for step in range(total):
            if moved := waiting & {phase.player for phase in self.due(step)}:
                waiting, begun = waiting - moved, step + 1
            if not waiting:
                break
        return begun

    def batches(self, step: int) -> int:
        """The batches that a step draws: as many as the player that sees most has fresh phases, at least one."""
        return max(allotted(self.due(step))) + 1

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What the model says, asked in the words that it knows."""
        named: object = phase if self._turns is None else phase.player
        return self._model.loss(named, batch)  # type: ignore[arg-type]

    def column(self, name: str, phase: Phase) -> str:
        """What the curve of a number of the loop's own is called: with the player where there are several, and with the
        phase where it is not the main one."""
        parts = [name, *([phase.player] if len(self.players) > 1 else [])]
        return "_".join(parts if phase.name == "main" else [*parts, phase.name])

    def _check(self, phases: Sequence[Phase], what: str) -> None:
        named = [phase.player for phase in phases]
        if not named or not self.players.keys() >= set(named):
            raise InputError(
                f"the {what} of {self._title} are of {named} but must name at least one of its players: "
                f"{', '.join(self.players)}"
            )
        if wrong := next((phase for phase in phases if phase.every < 1), None):
            raise InputError(
                f"{self._title} has the phase {wrong.name!r} every {wrong.every} steps; use 1 or more"
            )
