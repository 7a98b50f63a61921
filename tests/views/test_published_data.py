"""What stands around the published boards: papers' numbers beside ours, why numbers are not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.lacking import failure_notes
from benchbench.views.published_data import of_published

Make = Callable[..., Row]


def table(rows: list[Row], control: bool = False) -> pd.DataFrame:
    frame = to_frame(rows)
    return frame.assign(control=pd.array([control] * len(frame), dtype="boolean"))


def row(make_row: Make, model: str, metric: str, value: float, **other: Any) -> Row:
    ends = {"low": value - 1, "high": value + 1, "interval": "95% delta"}
    return make_row(model=model, dataset="cifar10", metric=metric, value=value, **(ends | other))


def test_our_number_of_what_the_paper_measured(make_row: Make) -> None:
    """biggan's paper has FID 14.73. While there is none of ours the headline stands there as another measure; once
    there is one, of the weights that ship, that stands there. A landmark has no paper."""
    judged = row(make_row, "biggan", "fd_cnn_cifar10", 5.0, headline=True)
    scored = row(make_row, "biggan", "fid", 40.0, variant="pretrained", cell="f" * 16)
    before, after = ("\n".join(of_published(table(rows))) for rows in ([judged], [judged, scored]))
    assert "| cifar10 | biggan | fd\\_cnn\\_cifar10 5.000 \\[4.000, 6.000\\]; another measure |" in before
    assert "| cifar10 | biggan | fid 40.00 \\[39.00, 41.00\\] | FID 14.73 (Brock et al. 2019" in after
    assert list(of_published(table([row(make_row, "biggan", "fid", 1.0)], control=True))) == []


def test_a_model_without_a_number(make_row: Make) -> None:
    """One that failed is no reason to leave the paper out."""
    failed = make_row(model="biggan", dataset="cifar10", metric="fid", value=None)
    assert "| no number | FID 14.73" in "\n".join(of_published(table([failed])))


def test_why_numbers_failed(make_row: Make) -> None:
    """By hand: the reason that two of three runs give; one line a metric, without the name of its network; what has a
    value is not named."""
    reasons = ("few", "many", "few")
    rows = [make_row(cell=f"{n}" * 16, value=None, reason=why) for n, why in enumerate(reasons)]
    rows.append(make_row(metric="recall_x", value=0.5, low=None, high=None, interval=None))
    assert list(failure_notes(to_frame(rows))) == ["failed: fd: few"]
