"""What a record of people's numbers says of the human study that they are from."""

from __future__ import annotations

from benchbench.core.progress import counted
from benchbench.results.part import Count, Part

FEW = 30
"""Items that two raters or more answered; with fewer their agreement says little."""

MAIN = {
    "pairwise": "human_strength",
    "closer-to-source": "human_strength",
    "real-or-fake": "human_error_rate",
    "triplet": "human_miss_rate",
}
"""The number of a system that a study is about, by its kind."""


def _hundredths(x: float) -> str:
    return f"{round(x, 2) + 0.0:.2f}"  # no negative zero


class LeftOut(Part):
    """A rater who does not count.

    Attributes:
        rater: Who, 16 hexadecimal digits.
        why: By which rule.
    """

    rater: str
    why: str


class FromOther(Part):
    """How far a system is from another one of its study, as people judged both.

    Attributes:
        other: What the study calls it.
        value: This one's strength, or rate of errors or misses, less that one's.
        low: The lower end of its interval.
        high: The upper end.
        p: Of no difference, corrected over all pairs of the study.
        detectable: The smallest difference that the study would have found with odds of 80%.
    """

    other: str
    value: float
    low: float
    high: float
    p: float
    detectable: float | None


class FromChance(Part):
    """Whether people tell a system's images from real ones.

    Attributes:
        metric: What is held against guessing.
        chance: What guessing gives.
        value: What it is.
        p: Of no difference, corrected over all systems of the study.
        detectable: The smallest distance from guessing that the study would have found with odds of 80%.
    """

    metric: str
    chance: float
    value: float
    p: float
    detectable: float | None


class Bounded(Part):
    """A number with its interval.

    Attributes:
        value: Null where there is none.
        low: The lower end of its interval; null where nothing tells how sure it is.
        high: The upper end.
    """

    value: float | None
    low: float | None
    high: float | None


class Agreement(Part):
    """How far raters agree.

    Attributes:
        alpha: Krippendorff's; null where it is not defined.
        low: The lower end of its interval.
        high: The upper end.
        items: That two raters or more answered.
    """

    alpha: float | None
    low: float | None
    high: float | None
    items: Count

    @property
    def words(self) -> str:
        """α with its interval, and how little few items say.

        Returns:
            Some words; none where there is no α.
        """
        if self.alpha is None:
            return ""
        ends = (
            ""
            if self.low is None or self.high is None
            else f" [{_hundredths(self.low)}, {_hundredths(self.high)}]"
        )
        few = (
            f"; only {counted(self.items, 'item')} with two answers, which says little"
            if self.items < FEW
            else ""
        )
        return f"{_hundredths(self.alpha)}{ends}{few}"


class People(Part):
    """The human study that numbers are from.

    Attributes:
        study: Its id, 16 hexadecimal digits.
        name: What it calls this system.
        kind: Of study.
        question: What was asked.
        ties: Whether "tie" could be answered.
        cell: The record whose images were shown.
        raters: Who count.
        left_out: Who do not.
        remarks: What else is seen of raters, a sentence each.
        pass_checks: The share of check items that a careful rater gets right.
        answers: That count.
        items: Which these are about.
        answers_sha256: Of all answers, counted or not.
        agreement: Of the raters.
        hype_infinity: Errors over all systems' images and real ones; null where nobody was asked which are real.
        apart: From the other systems.
        from_chance: From guessing; null where nobody can guess, or nothing tells how sure it is.
    """

    study: str
    name: str
    kind: str
    question: str
    ties: bool
    cell: str
    raters: Count
    left_out: list[LeftOut]
    remarks: list[str]
    pass_checks: float
    answers: Count
    items: Count
    answers_sha256: str
    agreement: Agreement
    hype_infinity: Bounded | None
    apart: list[FromOther]
    from_chance: FromChance | None = None

    @property
    def words(self) -> str:
        """What was asked, and of how many.

        Returns:
            One sentence without its full stop.
        """
        ties = ", ties allowed" if self.ties else ""
        gone = f", {len(self.left_out)} left out" if self.left_out else ""
        return (
            f"“{self.question}” ({self.kind}{ties}), {counted(self.raters, 'rater')}{gone}, "
            f"{counted(self.answers, 'answer')} about {counted(self.items, 'item')}"
        )

    @property
    def noted(self) -> str:
        """The same with how far raters agree, as a note below a board has it.

        Returns:
            One sentence without its full stop.
        """
        agreed = self.agreement.words
        return f"{self.words}; agreement of raters (Krippendorff's α) {agreed}" if agreed else self.words
