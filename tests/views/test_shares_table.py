"""The table of where the time went."""

from __future__ import annotations

from rich.console import Console

from benchbench.core.shares import Share
from benchbench.views.shares import shares_table


def drawn(parts: dict[str, Share]) -> list[list[str]]:
    """The cells of each line, as 80 columns show them."""
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(shares_table(parts))
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in captured.get().splitlines()
    ]


def test_the_most_costly_part_is_first_and_the_sum_is_last() -> None:
    """By hand: 6 and 2 of 8 processor seconds are 75% and 25%; of the clock's 4 they are 1 and 3."""
    lines = drawn({"network": Share(2, 3), "vendi": Share(6, 1)})
    assert ["vendi", "6.00", "75.0%", "1.00", "25.0%"] in lines
    assert lines.index(["vendi", "6.00", "75.0%", "1.00", "25.0%"]) < lines.index(
        ["network", "2.00", "25.0%", "3.00", "75.0%"]
    )
    assert lines[-1] == ["all", "8.00", "100.0%", "4.00", "100.0%"]


def test_small_parts_are_one_line() -> None:
    """Two of 0.1% each beside one of 99.8%."""
    lines = drawn({"network": Share(99.8, 99.8), "a": Share(0.1, 0.1), "b": Share(0.1, 0.1)})
    assert ["2 more, each below 0.5%", "0.20", "0.2%", "0.20", "0.2%"] in lines
    assert not any(line[0] == "a" for line in lines if line)


def test_nothing_took_time() -> None:
    """No quotient of zeros."""
    assert drawn({"rest": Share()})[-1] == ["all", "0.00", "–", "0.00", "–"]
