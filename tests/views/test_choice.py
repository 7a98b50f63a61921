"""What of a board is shown: names as tables show them, patterns, columns of several aspects, both ways round."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from rich.console import Console

from benchbench.core.errors import InputError
from benchbench.features.networks.inception_v3 import InceptionV3, InceptionV3Spatial
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.board import boards
from benchbench.views.choice import FIELD, Choice, chosen, names_in
from benchbench.views.leaderboard import leaderboard
from benchbench.views.table import frame_table

MakeRow = Callable[..., Row]


@pytest.fixture
def frame(make_row: MakeRow) -> pd.DataFrame:
    """Three models on two distances, a recall and a rate."""
    rows = []
    for place, (model, variant) in enumerate((("vae", ""), ("beta-vae", "beta=4,latent=8"), ("gan", ""))):
        own = {
            "model": model,
            "variant": variant,
            "cell": f"{place:016x}",
            "low": None,
            "high": None,
            "interval": None,
        }
        rows += [
            make_row(value=3.0 - place, headline=True, **own),
            make_row(value=30.0 + place, metric="fd_cnn_digits", extractor="cnn_digits", **own),
            make_row(value=0.25 * place, metric="recall_efficientnet_lite0", aspect="diversity",
                     higher_is_better=True, **own),
            make_row(value=100.0 * place, metric="sampling_rate", aspect="throughput", extractor=None,
                     higher_is_better=True, unit="images/s", **own),
        ]  # fmt: skip
    return to_frame(rows)


def kept(frame: pd.DataFrame, choice: Choice) -> tuple[set[str], set[str]]:
    shown = chosen(frame, choice)
    return set(shown["model"]), set(shown["metric"])


def test_names_are_as_tables_show_them(frame: pd.DataFrame) -> None:
    """A model's name means all its variants, a row's that one; a metric's without its extractor every extractor, in
    full that one; a pattern what it fits; and capital letters do not matter."""
    everything = set(frame["model"]), set(frame["metric"])
    both = {"fd_cnn_digits", "fd_efficientnet_lite0"}
    assert kept(frame, Choice()) == everything
    assert kept(frame, Choice.of("beta-vae")) == ({"beta-vae"}, everything[1])
    assert kept(frame, Choice.of("gan,beta-vae beta=4,latent=8")) == ({"gan", "beta-vae"}, everything[1])
    assert kept(frame, Choice.of(["*VAE"])) == ({"vae", "beta-vae"}, everything[1])
    assert kept(frame, Choice.of(metrics="FD")) == (everything[0], both)
    assert kept(frame, Choice.of(metrics=("fd_cnn_digits", "re*"))) == (
        everything[0],
        {"fd_cnn_digits", "recall_efficientnet_lite0"},
    )


def test_what_run_is_asked_for_names_what_the_field_calls_otherwise(make_row: MakeRow) -> None:
    """`run --metrics fd,kd` leaves `fid` and `kid` on the network that these were published with, and the same names
    choose columns in their order, beside those of another network."""
    named = [("kid", "inception_v3"), ("fid", "inception_v3"), ("fd_cnn_digits", "cnn_digits")]
    rows = [make_row(metric=metric, extractor=extractor, value=1.0) for metric, extractor in named]
    frame = to_frame(rows)
    assert kept(frame, Choice.of(metrics="fd"))[1] == {"fid", "fd_cnn_digits"}
    assert kept(frame, Choice.of(metrics="fid"))[1] == {"fid"}
    (board,) = boards(frame, Choice.of(columns="fd,kd"))
    assert [measure.metric for measure in board.measures] == ["fd_cnn_digits", "fid", "kid"]


def test_the_names_of_the_field_are_those_of_our_networks() -> None:
    """Records name no family, so that boards keep a list of their own: it is what the extractors say of themselves."""
    said: dict[str, str] = {}
    for extractor in (InceptionV3, InceptionV3Spatial):
        said |= {alias: family for family, alias in extractor.field_names.items()}
    assert said == FIELD


def test_a_variant_keeps_its_commas() -> None:
    """No model is called with an equals sign, so that the piece after a comma that begins with a setting is none."""
    assert names_in("a x=1,y=2,b z=3,c") == ("a x=1,y=2", "b z=3", "c")
    assert names_in(["a", "b,c"]) == ("a", "b", "c")
    assert names_in(" a , ,b") == ("a", "b")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice.of("gna"), "no record here is of the model 'gna'; did you mean 'gan'?"),
        (Choice.of(metrics="recal"), "no record here has the metric 'recal'; did you mean 'recall'?"),
        (Choice.of(columns="fd,fid"), "no record here has the metric 'fid'"),
        (Choice.of(columns="rank"), "columns need a metric"),
        (Choice.of(metrics="recall", columns="fd"), "no record here has the metric 'fd'"),
    ],
)
def test_a_name_of_nothing_is_an_error(frame: pd.DataFrame, choice: Choice, said: str) -> None:
    """Never an empty board."""
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        list(boards(frame, choice))


def test_columns_are_one_table_in_their_order(frame: pd.DataFrame) -> None:
    """Of three aspects, rows by the first of the columns, two extractors of one name beside each other; the best of
    each by hand. `rank` is no metric."""
    (board,) = boards(frame, Choice.of(columns="sampling_rate,fd,rank,recall"))
    assert [measure.metric for measure in board.measures] == [
        "sampling_rate",
        "fd_efficientnet_lite0",
        "fd_cnn_digits",
        "recall_efficientnet_lite0",
    ]
    assert [name for name, _ in board.rows] == ["gan", "beta-vae beta=4,latent=8", "vae"]
    best = [
        [entry.text for _, row in board.rows if (entry := row[place]) and entry.rank == 1]
        for place in range(4)
    ]
    assert best == [["200.0"], ["1.000"], ["30.00"], ["0.5000"]]
    assert board.title == "digits: generation"
    assert len(list(boards(frame, Choice.of(metrics="fd,recall")))) == 2  # aspects stay apart


def test_the_other_way_round(frame: pd.DataFrame) -> None:
    """Metrics down and models across, by hand; the same in the terminal, whose star is then of a row."""
    choice = Choice.of(
        metrics="fd_cnn_digits,recall", models="vae,gan", columns="recall,fd_cnn_digits", transpose=True
    )
    text = leaderboard(frame, choice=choice)
    assert text.splitlines()[2:6] == [
        "| metric | gan | vae |",
        "| --- | ---: | ---: |",
        "| recall ↑ \\[1\\] | **0.5000** | <u>0</u> |",
        "| fd ↓ \\[2\\] | <u>32.00</u> | **30.00** |",
    ]
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(frame_table(frame, choice))
    assert "* the best of its row" in capture.get()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_lost_at_any_width(frame: pd.DataFrame, width: int) -> None:
    """Every number of every model on a terminal of that width, no line wider, both ways round."""
    for transpose in (False, True):
        console = Console(width=width)
        with console.capture() as capture:
            console.print(frame_table(frame, Choice(transpose=transpose)), crop=False)
        lines = capture.get().splitlines()
        assert max(map(len, lines)) <= width
        words = set(" ".join(lines).split())
        assert {
            "3.000",
            "2.000",
            "1.000",
            "30.00",
            "31.00",
            "32.00",
            "0.2500",
            "0.5000",
            "100.0",
            "200.0",
        } <= words


def test_programs_get_the_same_columns_always(frame: pd.DataFrame) -> None:
    """CSV is a contract: lines are chosen, columns never."""
    whole, some = (leaderboard(frame, format="csv", choice=c) for c in (Choice(), Choice.of("vae", "fd")))
    assert some.splitlines()[0] == whole.splitlines()[0]
    assert len(some.splitlines()) == 3
    for choice in (Choice.of(columns="fd"), Choice(transpose=True)):
        with pytest.raises(InputError, match="columns of their own"):
            leaderboard(frame, format="csv", choice=choice)
