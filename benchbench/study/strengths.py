"""How strong systems are, from which of two people preferred: Bradley–Terry with ties.

The model (Davidson 1970, equations 2.2 and 2.3; without ties Bradley & Terry 1952): of systems i and j with strengths
πᵢ = exp λᵢ, a rater prefers i with a chance in proportion to πᵢ, j to πⱼ, and neither to ν√(πᵢπⱼ). So λᵢ − λⱼ is the
logarithm of the odds of i against j among those answers that decide. Strengths are stated as λ, whose mean is 0, for
only their differences mean anything. ν is one number of the study; where nobody answered "tie" it is 0.

Estimates are of maximum likelihood, found by Newton's method: the likelihood is that of a multinomial logit, which is
concave in λ and log ν. **Nothing is regularised**: where the likelihood has no maximum, there is no strength, and
`why` of the system says so. That is the case for a system that was never preferred to one of the others nor tied with
it, or the other way round (Ford 1957: λ could be as large as one likes), and for systems that were never compared
with the others, even by way of third ones. What is left, if it is the larger part, has its strengths among itself.

Intervals and differences are from the sandwich covariance over raters and items (`study.crossed`): the model need not
hold for every rater and every image, only on average. Differences are tested by the engine of claims, Holm's
correction over all pairs of systems.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, sparse, special
from scipy.sparse.csgraph import connected_components

from benchbench.core.errors import InputError
from benchbench.results.claims.testing import Difference, estimated, in_one_family
from benchbench.study.crossed import METHOD, Crossed, Floats, Places, crossed, student

STEPS = 100  # of Newton's method; ten are many
PRECISE = 1e-10  # of the gradient an answer
DIGITS = 9  # after the point, of λ: what follows is how far the search went, and no answer


@dataclass(frozen=True)
class Compared:
    """Answers to "which of the two".

    first, second: (N,), numbers of two different systems. outcome: (N,), 1 where the first was preferred, −1 where
    the second was, 0 for a tie. raters, items: (N,), numbers from 0 of who answered and about which pair of images.
    n_systems: how many systems there are, with or without answers.
    """

    first: Places
    second: Places
    outcome: Places
    raters: Places
    items: Places
    n_systems: int

    @classmethod
    def of(
        cls,
        first: ArrayLike,
        second: ArrayLike,
        outcome: ArrayLike,
        raters: ArrayLike,
        items: ArrayLike,
        n_systems: int,
    ) -> Compared:
        """From arrays of one length; `InputError` for such as mean nothing."""
        columns = [np.asarray(x, dtype=np.int64) for x in (first, second, outcome, raters, items)]
        a, b, said, who, what = columns
        if any(x.ndim != 1 or len(x) != len(a) for x in columns):
            raise InputError(
                "comparisons are arrays of one length: two systems, an outcome, a rater and an item each"
            )
        if len(a) and (
            min(a.min(), b.min(), who.min(), what.min()) < 0 or max(a.max(), b.max()) >= n_systems
        ):
            raise InputError(
                f"systems are numbers from 0 to {n_systems - 1}, raters and items numbers from 0"
            )
        if (a == b).any() or not np.isin(said, (-1, 0, 1)).all():
            raise InputError("a comparison is of two different systems, and its outcome 1, 0 or -1")
        return cls(a, b, said, who, what, n_systems)

    def among(self, systems: Sequence[int]) -> Compared:
        """The comparisons among these systems alone, which get the numbers of their places."""
        place = np.full(self.n_systems, -1)
        place[list(systems)] = range(len(systems))
        a, b = place[self.first], place[self.second]
        kept = (a >= 0) & (b >= 0)
        outcome, raters, items = (x[kept] for x in (self.outcome, self.raters, self.items))
        return Compared(a[kept], b[kept], outcome, raters, items, len(systems))

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Strength:
    """Of one system. value: λ, None where it has none, and then `why`. low, high: of 95%, None where nothing tells
    how sure it is. n: comparisons. wins, ties: of these."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    wins: int
    ties: int
    why: str | None = None


@dataclass(frozen=True)
class Apart:
    """Two systems a and b, by number: λa − λb, tested. p: after Holm's correction over all pairs of the study.
    detectable: the smallest difference that its strictest step would have found with odds of 80%."""

    a: int
    b: int
    difference: Difference
    p: float
    detectable: float | None

    @property
    def preferred(self) -> float:
        """The share of deciding answers in which people prefer a to b, as the strengths have it."""
        return float(special.expit(self.difference.value))


@dataclass(frozen=True)
class Strengths:
    """systems: one a system, by its number. ties: ν, None where there are no strengths. pairs: of systems with a
    strength, where something tells how sure their difference is. method: of the intervals, None where there are none;
    note: why not."""

    systems: tuple[Strength, ...]
    ties: float | None
    pairs: tuple[Apart, ...]
    method: str | None
    note: str | None = None


def strengths(answers: Compared) -> Strengths:
    """Of all systems, as far as the answers tell."""
    kept, why = _comparable(answers)
    if not kept:
        return Strengths(_without(answers, why), None, (), None)
    own = answers.among(kept)
    lam, log_ties = _fitted(own)
    spread = _covariance(own, lam, log_ties)
    ties = 0.0 if log_ties is None else float(np.exp(log_ties))
    found = list(_without(answers, why))
    if spread.degrees < 1:
        few = "rater" if spread.n_raters < 2 else "item"
        for place, system in enumerate(kept):
            found[system] = _strength(answers, system, float(lam[place]), None)
        return Strengths(
            tuple(found), ties, (), None, f"one {few} says nothing of others, so there are no intervals"
        )
    centred = np.eye(len(kept)) - 1 / len(kept)
    half = student(spread.degrees) * np.sqrt(spread.variance(centred))
    for place, system in enumerate(kept):
        found[system] = _strength(answers, system, float(lam[place]), float(half[place]))
    method = f"95% t {METHOD}"
    return Strengths(tuple(found), ties, tuple(_pairs(kept, lam, spread)), method)


def _pairs(kept: Sequence[int], lam: Floats, spread: Crossed) -> list[Apart]:
    both = list(itertools.combinations(range(len(kept)), 2))
    contrasts = np.zeros((len(both), len(kept)))
    for line, (a, b) in enumerate(both):
        contrasts[line, [a, b]] = 1, -1
    errors = np.sqrt(spread.variance(contrasts))
    said = f"t over {spread.n_raters} raters and {spread.n_items} items"
    found = [
        estimated(float(lam[a] - lam[b]), float(error), spread.degrees, said)
        for (a, b), error in zip(both, errors, strict=True)
    ]
    return [
        Apart(kept[a], kept[b], own, *tested)
        for (a, b), own, tested in zip(both, found, in_one_family(found, higher=True), strict=True)
    ]


def _strength(
    answers: Compared, system: int, value: float | None, half: float | None, why: str | None = None
) -> Strength:
    won = ((answers.first == system) & (answers.outcome == 1)) | (
        (answers.second == system) & (answers.outcome == -1)
    )
    own = (answers.first == system) | (answers.second == system)
    low, high = (None, None) if value is None or half is None else (value - half, value + half)
    tied = int((own & (answers.outcome == 0)).sum())
    return Strength(value, low, high, int(own.sum()), int(won.sum()), tied, why)


def _without(answers: Compared, why: Sequence[str]) -> tuple[Strength, ...]:
    return tuple(_strength(answers, system, None, None, why[system]) for system in range(answers.n_systems))


def _comparable(answers: Compared) -> tuple[list[int], list[str]]:
    """The systems that have strengths among each other, and of every system why it would have none."""
    n = answers.n_systems
    if not len(answers):
        return [], ["nobody compared it with another system"] * n
    if (answers.outcome == 0).all():
        return [], ["every answer is a tie, so that no strength is larger than another by any number"] * n
    at_least = _graph(answers, n)
    parts, part = connected_components(at_least, directed=True, connection="strong")
    sizes = np.bincount(part, minlength=parts)
    largest = int(sizes.argmax())
    alone = int((sizes == sizes[largest]).sum()) == 1 and sizes[largest] > 1
    kept = np.flatnonzero(part == largest).tolist() if alone else []
    _, side = connected_components(at_least, directed=False)
    why = [_why(answers, system, kept, part, side) for system in range(n)]
    own = answers.among(kept)
    if kept and _runs_off(own):
        told = "the preferences and ties fit the better, the larger all strengths are, without end"
        if (own.outcome == 0).all():
            told = "among those that can be compared every answer is a tie"
        return [], [told if system in kept else why[system] for system in range(n)]
    return kept, why


def _graph(answers: Compared, n: int) -> sparse.csr_array:
    """An edge from i to j where i was preferred to j or tied with it once at least."""
    a, b, said = answers.first, answers.second, answers.outcome
    start = np.concatenate([a[said >= 0], b[said <= 0]])
    end = np.concatenate([b[said >= 0], a[said <= 0]])
    return sparse.csr_array((np.ones(len(start)), (start, end)), shape=(n, n))


def _why(answers: Compared, system: int, kept: Sequence[int], part: Places, side: Places) -> str:
    """Why a system that is not kept has no strength."""
    own = (answers.first == system) | (answers.second == system)
    if not own.any():
        return "nobody compared it with another system"
    signed = np.where(answers.first == system, answers.outcome, -answers.outcome)[own]
    if (signed == 1).all():
        return f"it won all its {len(signed)} comparisons: its strength has no upper bound"
    if (signed == -1).all():
        return f"it lost all its {len(signed)} comparisons: its strength has no lower bound"
    if len(set(side.tolist())) > 1 and not (kept and side[system] == side[kept[0]]):
        return "it was not compared with all of the others, not even by way of third ones"
    with_it = (part == part[system]).sum() - 1
    group = f"it and {with_it} others" if with_it > 1 else "it and another one" if with_it else "it"
    return f"{group} won or lost all comparisons with the rest: how far they are apart has no bound"


def _runs_off(answers: Compared) -> bool:
    """Whether the likelihood grows without end in some direction of λ and log ν, though wins and ties connect all
    systems: every win would have to be a drop of at least twice the step of log ν, every tie a step within it. A
    linear programme decides (Konis 2007)."""
    if not (answers.outcome == 0).any():
        return False
    k = answers.n_systems
    seen = np.unique((answers.first * k + answers.second) * 3 + answers.outcome + 1)
    rows = []
    for a, b, said in zip(seen // 3 // k, seen // 3 % k, seen % 3 - 1, strict=True):
        drop = np.zeros(k + 1)
        drop[[a, b]] = (1, -1) if said >= 0 else (-1, 1)
        if said:
            rows += [drop, drop - 2 * np.eye(k + 1)[k]]
        else:
            rows += [2 * np.eye(k + 1)[k] - drop, 2 * np.eye(k + 1)[k] + drop]
    margins = np.array(rows)
    best = optimize.linprog(-margins.sum(axis=0), A_ub=-margins, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
    return bool(-best.fun > 1e-7)


def _parameters(answers: Compared) -> tuple[Floats, bool]:
    """(K − 1 contrasts of mean 0) × K, orthonormal; and whether there are ties."""
    basis = np.linalg.svd(np.ones((1, answers.n_systems)))[2][1:]
    return basis, bool((answers.outcome == 0).any())


def _fitted(answers: Compared) -> tuple[Floats, float | None]:
    """λ, with mean 0, and log ν, None without ties."""
    basis, tied = _parameters(answers)
    theta = np.zeros(len(basis) + tied)
    value = _likelihood(answers, basis, theta)
    for _ in range(STEPS):
        scores, information = _derivatives(answers, basis, theta)
        gradient = scores.sum(axis=0)
        if np.abs(gradient).max() <= PRECISE * len(answers):
            break
        step = np.linalg.solve(information, gradient)
        while (moved := _likelihood(answers, basis, theta + step)) < value - 1e-9:
            step = step / 2
        theta, value = theta + step, moved
    lam = np.round(theta[: len(basis)] @ basis, DIGITS) + 0.0  # no negative zero
    return lam, float(theta[-1]) if tied else None


def _logits(answers: Compared, basis: Floats, theta: Floats) -> Floats:
    """(N, 2 or 3): of the first, of the second, of a tie."""
    lam = theta[: len(basis)] @ basis
    half = (lam[answers.first] - lam[answers.second]) / 2
    rest = [np.full(len(half), theta[-1])] if len(theta) > len(basis) else []
    return np.stack([half, -half, *rest], axis=1)


def _likelihood(answers: Compared, basis: Floats, theta: Floats) -> float:
    """The logarithm of it."""
    logits = _logits(answers, basis, theta)
    chosen = np.choose(answers.outcome + 1, [1, 2, 0]) if logits.shape[1] == 3 else (answers.outcome < 0) * 1
    return float(
        (np.take_along_axis(logits, chosen[:, None], 1)[:, 0] - special.logsumexp(logits, axis=1)).sum()
    )


def _derivatives(answers: Compared, basis: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """What each answer adds to the gradient (N, P), and the information (P, P)."""
    shares = special.softmax(_logits(answers, basis, theta), axis=1)
    apart = (basis[:, answers.first] - basis[:, answers.second]).T / 2  # of the half difference
    expected = shares[:, 0] - shares[:, 1]
    scores = apart * (answers.outcome - expected)[:, None]
    within = shares[:, 0] + shares[:, 1] - expected**2
    information = (apart * within[:, None]).T @ apart
    if len(theta) == len(basis):
        return scores, information
    tie = shares[:, 2]
    scores = np.column_stack([scores, (answers.outcome == 0) - tie])
    across = -(apart * (expected * tie)[:, None]).sum(axis=0)
    last = float((tie * (1 - tie)).sum())
    return scores, np.block([[information, across[:, None]], [across[None, :], np.array([[last]])]])


def _covariance(answers: Compared, lam: Floats, log_ties: float | None) -> Crossed:
    """Of λ, as that of sums over answers: each one's influence on the estimate."""
    basis, _ = _parameters(answers)
    theta = basis @ lam if log_ties is None else np.append(basis @ lam, log_ties)
    scores, information = _derivatives(answers, basis, theta)
    influence = np.linalg.solve(information, scores.T).T[:, : len(basis)] @ basis
    return crossed(influence, answers.raters, answers.items)
