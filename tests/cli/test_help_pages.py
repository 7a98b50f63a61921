"""Help as a stranger reads it: nothing cut, nothing wider than the terminal, and its width used."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from benchbench.cli import WIDEST, cli


def pages() -> list[list[str]]:
    """The words before `--help`: none, each verb, and each verb of a verb."""
    found: list[list[str]] = [[]]
    for name, verb in cli.commands.items():
        found.append([name])
        found += [[name, inner] for inner in (verb.commands if isinstance(verb, click.Group) else ())]
    return found


def shown(words: list[str], width: int) -> list[str]:
    """The page on a terminal of that width."""
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=width)
    assert result.exit_code == 0
    return result.output.splitlines()


@pytest.mark.parametrize("words", pages(), ids=" ".join)
def test_a_page_fits_eighty_columns(words: list[str]) -> None:
    """Examples too, which nobody wraps; they can be copied."""
    assert [line for line in shown(words, 80) if len(line) > 80] == []


def test_wider_terminals_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as the terminal, up to a width at which lines can still be read."""
    for columns, widest in ((100, 100), (120, 120), (300, WIDEST)):
        monkeypatch.setenv("COLUMNS", str(columns))
        page = click.Context(
            cli.commands["run"], parent=click.Context(cli, **cli.context_settings)
        ).get_help()
        assert widest - 15 < max(map(len, page.splitlines())) <= widest


def test_the_first_page_cuts_nothing_and_keeps_the_order_of_work() -> None:
    """What each verb does in a line of its own, making before looking."""
    page = shown([], 80)
    assert not [line for line in page if line.startswith("  ") and line.endswith("...")]
    listed = [
        line.split()[0] for line in page if line.startswith("  ") and line.split()[:1][0] in cli.commands
    ]
    assert listed == list(cli.commands)
    assert listed.index("run") < listed.index("leaderboard") < listed.index("migrate")
