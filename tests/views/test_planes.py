"""Planes of the report: which are drawn, and who is on the front of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchbench.core.hashing import digest
from benchbench.results.load import load_results
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.summary import MODEL, summarise
from benchbench.results.tables import write_rows
from benchbench.views.planes import planes
from benchbench.views.report_model import ReportFigure
from benchbench.views.text import model_name

MakeRow = Callable[..., Row]
Swept = Sequence[tuple[str, float, float, float]]  # variant, evaluations, fd, bits per dimension


def drawn(root: Path, make_row: MakeRow, swept: Swept) -> list[ReportFigure]:
    """The planes of one model under these variants, each with a recall of 1 / (1 + fd) and one image a second and
    evaluation; `real`, a control of no evaluations, stands beside."""
    for model, variant, evaluations, fd, bits in [("ddpm", *own) for own in swept] + [
        ("real", "", 0, 0.1, 9.0)
    ]:
        cell = digest([model, variant])
        common = {"cell": cell, "model": model, "variant": variant}
        cost = {
            "aspect": "cost",
            "extractor": None,
            "resize": None,
            "n_reference": None,
            "low": None,
            "high": None,
        }
        rows = [
            make_row(**common, value=fd, low=fd / 2, high=fd * 2),
            make_row(**common, metric="recall_efficientnet_lite0", aspect="diversity", value=1 / (1 + fd), low=0.0,
                     high=1.0, higher_is_better=True),
            make_row(**common, metric="bits_per_dim_elbo", value=bits, **{**cost, "aspect": "quality"}),
            make_row(**common, metric="network_evaluations", value=evaluations, **cost),
            make_row(**common, metric="sampling_rate", value=1 / (1 + evaluations), unit="images/s",
                     higher_is_better=True, **{**cost, "aspect": "throughput"}),
        ]  # fmt: skip
        facts = RunFacts(
            seed=0,
            variant=variant,
            control=model == "real",
            data={"fingerprint": "f" * 64},
            machine={"device_name": "a processor", "cores": 2, "device": "cpu"},
        )  # type: ignore[arg-type]
        with Store(root).write("digits", model, cell, facts) as folder:
            write_rows(folder / "metrics.csv", rows)
    summary = summarise(load_results(root))
    summary = summary.assign(name=[model_name(*who) for who in summary[MODEL].itertuples(index=False)])
    lead = summary[summary["metric"] == "fd_efficientnet_lite0"]
    lead = lead.assign(control=lead["control"].fillna(False).astype(bool))
    looks = {name: place for place, name in enumerate(sorted(set(summary["name"])))}
    return planes(summary, lead, looks)


def test_a_sweep_is_drawn_against_what_it_costs(tmp_path: Path, make_row: MakeRow) -> None:
    """FD, recall and bits per dimension, each against evaluations and the rate. By hand: 20 evaluations with FD 9 are
    beaten by 10 with FD 8, so the front has 5, 10 and 50; bits fall to 20 evaluations alone, so 50 is not on that one.
    The control is on neither."""
    found = drawn(
        tmp_path,
        make_row,
        [("steps=5", 5, 30.0, 5.0), ("steps=10", 10, 8.0, 4.0), ("steps=20", 20, 9.0, 3.0), ("steps=50", 50, 2.0, 3.5)],
    )  # fmt: skip
    captions = {str(figure.label): str(figure.caption) for figure in found}
    metrics = ("fd_efficientnet_lite0", "bits_per_dim_elbo", "recall_efficientnet_lite0")
    expected = {f"{m} against {cost}" for m in metrics for cost in ("network evaluations", "sampling rate")}
    assert expected <= set(captions)
    fronts = {label: caption.partition("front: ")[2].rstrip(".") for label, caption in captions.items()}
    said = ", ".join(f"ddpm steps={n}" for n in (10, 5, 50))
    assert sorted(fronts["fd_efficientnet_lite0 against network evaluations"].split(", ")) == said.split(", ")
    assert "steps=50" not in fronts["bits_per_dim_elbo against network evaluations"]
    assert not [front for front in fronts.values() if "real" in front]


def test_models_of_one_evaluation_are_not_drawn_against_it(tmp_path: Path, make_row: MakeRow) -> None:
    """Of two generators that are asked once, the rate is told and nothing else."""
    found = drawn(tmp_path, make_row, [("width=1", 1, 3.0, 5.0), ("width=2", 1, 2.0, 4.0)])
    labels = [str(figure.label) for figure in found]
    assert "fd_efficientnet_lite0 against sampling rate" in labels
    assert not [label for label in labels if "evaluations" in label or "bits" in label]


def test_a_plane_has_who_has_both(tmp_path: Path, make_row: MakeRow) -> None:
    """The control is evaluated no time, which a logarithmic axis does not have: the two others are drawn."""
    found = drawn(tmp_path, make_row, [("steps=5", 5, 3.0, 5.0), ("steps=9", 9, 2.0, 4.0)])
    (plane,) = [f for f in found if str(f.label) == "bits_per_dim_elbo against network evaluations"]
    assert str(plane.svg).count("ddpm") == 2
    assert "real" not in str(plane.svg)
