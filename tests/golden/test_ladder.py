"""The metric ladder (benchmarks/ladder.py): what docs/ordering.md says of it is what its table says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import ladder
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchbench.core.registry import METRICS
from benchbench.data.edits.edit import EDITS, NEEDS_ALPHA
from benchbench.features.extractor import load_extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import select_metrics

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(DOCS / "ladder.csv")


@pytest.fixture(scope="module")
def page() -> str:
    """The page on one line."""
    return re.sub(r"\s+", " ", (DOCS / "ordering.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def moved(published: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: ladder.moves(published, name) for name in ladder.LOADED}


def test_every_metric_meets_every_edit(published: pd.DataFrame) -> None:
    """Five strengths of each edit that the images can have, every registered metric on sets or pairs that is defined on
    the extractor and is no other's restatement; a failure has its reason."""
    expected = {metric.output.name for metric in ladder.metrics_of(ladder.EXTRACTOR)}
    assert len(expected) > 25
    assert expected <= set(METRICS.names())
    for dataset, own in published.groupby("dataset"):
        edits = {name: set(rows.strength) for name, rows in own.groupby("edit")}
        able = EDITS.keys() - (NEEDS_ALPHA if dataset == "photographs" else ())
        assert edits == {ladder.NONE: {0.0}} | {name: set(EDITS[name].strengths) for name in able}
        for _, rows in own.groupby(["edit", "strength"]):
            assert expected <= set(rows.metric)
    assert published.value.notna().eq(published.reason.isna()).all()


def test_tables_and_pictures_are_on_the_page(moved: dict[str, pd.DataFrame]) -> None:
    """What `ladder.markdown` makes of docs/ladder.csv, and a picture of each."""
    text = (DOCS / "ordering.md").read_text(encoding="utf-8")
    for dataset, own in moved.items():
        assert ladder.markdown(own) in text
        assert f"(ladder-{dataset}.png)" in text
        with Image.open(DOCS / f"ladder-{dataset}.png") as picture:
            assert np.asarray(picture).std() > 0


SAID = [
    ("photographs", "take PSNR through {}% of its range", "psnr", "crop", 0.02),
    ("photographs", "and SSIM through {}%;", "ssim", "crop", 0.02),
    ("photographs", "FD moves by {}%. Half a pixel", "fd", "crop", 0.02),
    ("photographs", "to the right costs PSNR {}%", "psnr", "translate", 0.5),
    ("photographs", "which anybody sees ({}% against", "psnr", "rotate", 1),
    ("photographs", "against {}%). They are made", "psnr", "blur", 2.5),
    ("photographs", "forgives the half pixel ({}%)", "ms_ssim", "translate", 0.5),
    ("photographs", "and not sixteen ({}%)", "ms_ssim", "translate", 16),
    ("photographs", "moved by sixteen pixels move FD by {}%", "fd", "translate", 16),
    ("photographs", "and KD by {}%, mirrored", "kd", "translate", 16),
    ("photographs", "mirrored ones by {}% and", "fd", "flip", 1),
    ("photographs", "% and {}%; emoji moved", "kd", "flip", 1),
    ("openmoji", "a quarter of the width move FD by {}%", "fd", "object", 0.25),
    ("photographs", "washes a photograph out, is {}% to FD", "fd", "brightness", 64),
    ("photographs", "to FD, {}% to KD", "kd", "brightness", 64),
    ("photographs", "leaves `ssim_y` at {}%", "ssim_y", "colour", 180),
    ("photographs", "and `pose_error` at {}%", "pose_error", "colour", 180),
    ("photographs", "reads colour, and SSIM at {}%", "ssim", "colour", 180),
    ("photographs", "an ImageNet network moves by {}%", "fd", "colour", 180),
    ("photographs", "is what it sees first ({}%)", "gram_distance", "colour", 180),
    ("photographs", "made half as large ({}%)", "gram_distance", "scale", 0.5),
    ("photographs", "cropped to its middle ({}%)", "gram_distance", "crop", 0.5),
    ("photographs", "turned by 90° ({}%)", "gram_distance", "rotate", 90),
    ("openmoji", "move FD on emoji by {}%", "fd", "noise", 4),
    ("openmoji", "KD by {}%, coverage", "kd", "noise", 4),
    ("openmoji", "coverage by {}%", "coverage", "noise", 4),
    ("openmoji", "and density by {}%", "density", "noise", 4),
    ("openmoji", "drowns the drawing, moves FD by {}%", "fd", "noise", 64),
    ("photographs", "σ = 4 moves FD by {}%", "fd", "noise", 4),
    ("openmoji", "of their area erased have FD at {}%", "fd", "erase", 0.5),
    ("photographs", "all of Vendi's range ({}%)", "vendi", "crop", 0.5),
    ("photographs", "all of the Inception Score's ({}%)", "is", "erase", 0.5),
]


@pytest.mark.parametrize(("dataset", "words", "metric", "edit", "strength"), SAID)
def test_numbers_of_the_page(
    dataset: str,
    words: str,
    metric: str,
    edit: str,
    strength: float,
    page: str,
    moved: dict[str, pd.DataFrame],
) -> None:
    """Each sentence has the number of docs/ladder.csv in it."""
    percent = f"{100 * moved[dataset].loc[metric, (edit, float(strength))]:.0f}".replace("-", "−")
    assert words.format(percent) in page


def test_what_the_page_says_without_numbers(moved: dict[str, pd.DataFrame], published: pd.DataFrame) -> None:
    """PSNR: what is lost between half a pixel and sixteen is less than the first half took, a degree of rotation is
    worse than blur of 2.5, and brightness is the worst of all. Precision and recall move by less than 2% as photographs
    get brighter. Authenticity never gets worse, and blur and noise take it to its end; most edits raise Vendi and the
    Inception Score. PSNR has no value for emoji that are mirrored or whose hue is turned, of which 7 have no colour."""
    own = moved["photographs"]
    psnr = own.loc["psnr"]
    assert psnr["translate", 16] - psnr["translate", 0.5] < psnr["translate", 0.5]
    assert psnr["rotate", 1] > psnr["blur", 2.5]
    assert psnr.idxmax() == own.loc["mae"].idxmax() == ("brightness", 64)
    assert (own.loc[["precision", "recall"], "brightness"].abs() < 0.02).all(axis=None)
    assert (own.loc["authenticity"] <= 0).all()
    assert own.loc["authenticity"][[("blur", 5), ("noise", 64)]].round(3).tolist() == [-1, -1]
    rises = ladder.wrong_way(own)
    for metric in ("vendi", "is"):
        assert sum(name == metric for name, _ in rises) > len(own.columns.unique("edit")) / 2
    assert moved["openmoji"].loc["psnr", ["flip", "colour"]].isna().all()
    rows = published[(published.metric == "psnr") & (published.edit == "colour")]
    assert (
        rows[(rows.dataset == "openmoji") & (rows.strength == 90)].reason.item().startswith("7 of 75 pairs")
    )


def test_who_over_reacts_and_who_stays(moved: dict[str, pd.DataFrame], published: pd.DataFrame) -> None:
    """The two words of the page, by their thresholds: on photographs PSNR and VIF alone are taken through half of their
    ranges by a mildest strength, but for `fld_gap`, whose whole range is narrower than its mean interval, and the
    metrics on sets that it names are invariant to brightness."""
    own = moved["photographs"]
    assert {metric for metric, _ in ladder.over_reacts(own)} - {"fld_gap"} == {"psnr", "psnr_y", "vif"}
    gap = published[(published.dataset == "photographs") & (published.metric == "fld_gap")]
    assert gap.value.max() - gap.value.min() < (gap.high - gap.low).mean()
    blind = {metric for metric, edit in ladder.invariant(own) if edit == "brightness"}
    assert {"fd", "kd", "precision", "recall"} <= blind
    assert not {"psnr", "mae", "mse", "ssim"} & blind


def test_moves_by_hand() -> None:
    """Unedited 2, rotated 3 and 6, of a distance: a quarter of the range and all of it; turned round for a score. PSNR
    begins at one grey level, 48.13 dB, and is nothing above it. What nothing moves is left out."""
    strengths = EDITS["rotate"].strengths[:2]
    values = {
        "fd": (2, 3, 6), "ssim": (6, 5, 2), "psnr": (np.nan, 50, 20), "kd": (1, 1, 1), "mse": (1, np.nan, 0.5),
    }  # fmt: skip
    rows = [
        {"dataset": "d", "edit": edit, "strength": strength, "metric": metric, "value": value,
         "higher_is_better": metric in ("ssim", "psnr")}
        for metric, own in values.items()
        for (edit, strength), value in zip(
            [("none", 0.0), *(("rotate", strength) for strength in strengths)], own, strict=True
        )
    ]  # fmt: skip
    found = ladder.moves(pd.DataFrame(rows), "d")
    assert found.loc["fd"].tolist() == found.loc["ssim"].tolist() == [0.25, 1]
    assert found.loc["psnr"].tolist() == [0, 1]
    assert found.loc["mse"].tolist()[1:] == [-1]
    assert np.isnan(found.loc["mse"].tolist()[0])
    assert "kd" not in found.index


@pytest.mark.costly
def test_the_script_goes_on_where_it_was(tmp_path: Path) -> None:
    """Six small emoji, two metrics: every edit is measured once, whatever stops the script, and a metric that comes
    later is added beside the others, which stay as they are. Without an edit pairs are
    equal; the mean squared error of a mirrored set is that of the mirrored pixels."""
    extractor = load_extractor("cnn_digits")
    path = tmp_path / "ladder.csv"

    class Stopping(ladder.Ladder):
        asked = 0

        def rows(self, edit: str, strength: float, metrics: Sequence[Metric]) -> list[dict[str, object]]:
            if Stopping.asked == 7:
                raise KeyboardInterrupt
            Stopping.asked += 1
            return super().rows(edit, strength, metrics)

    real = ladder.openmoji(6, 20)
    own = Stopping(real, extractor, select_metrics(["mse", "content_distance"], ["cnn_digits"]))
    with pytest.raises(KeyboardInterrupt):
        ladder.measure(own, path)
    kept = pd.read_csv(path)
    assert set(kept.edit) == {"none", "crop"}
    Stopping.asked = -1000
    ladder.measure(own, path)
    assert Stopping.asked == -1000 + 12 * 5  # thirteen, and crop was there
    Stopping.asked = -1000
    before = pd.read_csv(path)
    more = Stopping(real, extractor, select_metrics(["mse", "content_distance", "mae"], ["cnn_digits"]))
    ladder.measure(more, path)  # of a metric that is new only its own rows are made
    assert Stopping.asked == -1000 + 13 * 5 + 1
    table = pd.read_csv(path)
    assert list(table.metric[:3]) == ["content_distance", "mae", "mse"]
    assert set(table.metric[table.edit == "noise"]) == {"content_distance", "mae", "mse"}
    pd.testing.assert_frame_equal(table[table.metric != "mae"].reset_index(drop=True), before)
    mse = table[table.metric == "mse"].set_index(["edit", "strength"]).value
    assert mse["none", 0] == 0
    wrong = (real.edited.double() - real.edited.flip(-1).double()).square().mean() / 255**2
    assert mse["flip", 1] == pytest.approx(float(wrong), rel=1e-5)
    assert torch.equal(real.alpha, ladder.openmoji(6, 20).alpha)
