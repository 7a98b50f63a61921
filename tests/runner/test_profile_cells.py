"""Variants as cells, and profiles beside them: keys, labels, what is trained once, what is refused before it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from noted import Notes

import benchbench
import benchbench.verbs.profile as verb
from benchbench.cli import cli
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.runtime import Runtime
from benchbench.results.load import load_results, load_runs
from benchbench.runner import profile
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.profile import ProfileOptions
from benchbench.runner.spec import CellSpec
from benchbench.verbs.profile import _plans
from benchbench.views.board import boards
from benchbench.views.pareto import pareto

DCGAN: dict[str, Any] = {
    "overrides": {"width": 4, "latent": 4, "steps": 2, "batch_size": 8},
    "metrics": ["fd"],
    "extractors": ["cnn:digits"],
    "samples": 16,
}


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(Runtime())


def planned(desk: Desk, variant: str, model: str = "dcgan", **changes: Any) -> Plan:
    spec = CellSpec.of(**{"model": model, "dataset": "digits", **DCGAN, **changes, "variant": variant})
    (plan,) = make_plans(spec, [0], desk)
    return plan


@pytest.mark.costly
def test_each_variant_has_a_key_of_its_own_and_what_is_done_afterwards_the_same_training(desk: Desk) -> None:
    """What a key says: techniques, the order of which means nothing. Weights depend on them where layers are changed
    before training, and not otherwise."""
    plans = {
        v: planned(desk, v)
        for v in ("", "fused", "int8", "pruned=0.5", "pruned=0.25", "fused+int8", "depthwise")
    }
    assert len({plan.key for plan in plans.values()}) == len(plans)
    assert planned(desk, "int8+fused").key == plans["fused+int8"].key
    same = {plan.training_key for v, plan in plans.items() if v != "depthwise"}
    assert len(same) == 1
    assert plans["depthwise"].training_key not in same


def test_no_name_makes_one_of_a_model_and_its_variant(desk: Desk) -> None:
    """Rows call it by its technique, beside what was set, and under a name of its owner's too."""
    assert planned(desk, "").variant == "batch_size=8,latent=4,steps=2,width=4"
    assert planned(desk, "int8").variant == "batch_size=8,latent=4,steps=2,width=4,int8"
    assert planned(desk, "int8", name="mine").variant == "int8"
    assert planned(desk, "", name="mine").variant == ""
    assert planned(desk, "int8").settings["technique"] == "int8"
    assert "technique" not in planned(desk, "").settings


@pytest.mark.costly
def test_fewer_steps_are_the_setting_that_they_stand_for(desk: Desk) -> None:
    """The same cell, down to its key, as with --set sampling.steps."""
    small = {"width": 4, "multiples": [1], "training.steps": 2, "batch_size": 8}
    by_variant = planned(desk, "steps=3", "flow-matching", overrides=small)
    by_setting = planned(desk, "", "flow-matching", overrides={**small, "sampling.steps": 3})
    assert (by_variant.key, by_variant.variant) == (by_setting.key, by_setting.variant)
    assert planned(desk, "distilled-steps=3", "flow-matching", overrides=small).key == by_variant.key
    with pytest.raises(InputError, match=r"sampling\.steps is set, and the variant steps=3 sets it too"):
        planned(desk, "steps=3", "flow-matching", overrides={**small, "sampling.steps": 4})


@pytest.mark.parametrize(
    ("model", "variant", "why"),
    [
        ("dcgan", "fp16", "fp16 is for CUDA devices"),
        (
            "dcgan",
            "steps=3",
            "steps=3 is for models that draw in steps, and dcgan does not; choose another variant",
        ),
        ("dcgan", "distilled-steps=3", "distilled-steps=3 is for models that draw in steps"),
        ("dcgan", "int9", "did you mean 'int8'"),
        ("noise", "int8", "none is seen in this model's answer"),
        ("vae", "fused", "none behind a convolution"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    desk: Desk, model: str, variant: str, why: str
) -> None:
    """When it is planned, on a copy that nobody trained."""
    with pytest.raises(InputError, match=why):
        planned(desk, variant, model, overrides={})


@pytest.mark.parametrize("variant", [5, ["int8", 5], {5: "int8"}])
def test_what_is_no_name_of_a_variant_is_said(desk: Desk, variant: Any) -> None:
    """From Python anything may come."""
    with pytest.raises(InputError, match="is no name; names are texts"):
        _plans(CellSpec.of(model="vae", dataset="digits"), variant, desk)


def test_what_is_trained_anew_has_no_published_weights(desk: Desk) -> None:
    """Those of the plain model would not fit its layers."""
    with pytest.raises(InputError, match="depthwise is trained anew"):
        planned(desk, "depthwise", overrides={}, pretrained=True)


@pytest.mark.costly
def test_models_that_neither_draw_nor_classify_have_no_variants(desk: Desk) -> None:
    """A restorer is told so in a sentence, and that it has no profile, before it is trained."""
    asked: dict[str, Any] = {"dataset": "photographs", "overrides": {}, "extractors": None, "samples": None}
    with pytest.raises(InputError, match="variants are for models that draw images or name classes"):
        planned(desk, "int8", "srcnn", **asked)
    with pytest.raises(
        InputError, match="a profile is of models that draw images or name classes, and srcnn"
    ):
        _plans(CellSpec.of(model="srcnn", dataset="photographs", metrics=["standard"]), "", desk)


def test_a_classifier_is_timed_without_reading(desk: Desk) -> None:
    """Of each number of images the first answer reads them, which is the one that no clock counts; outside of inference
    mode they serve as well."""
    plan = planned(
        desk, "", "cnn", overrides={"steps": 2}, extractors=None, samples=None, metrics=["standard"]
    )
    model = plan.build().eval()
    with mock.patch.object(profile, "take", wraps=profile.take) as reads:
        make = profile.maker(plan, model, torch.device("cpu"))
        with torch.inference_mode():
            first = make(2), make(2)
        asked = [make(n) for n in (2, 3, 3)]
    assert [call.args[1].tolist() for call in reads.call_args_list] == [[0, 1], [0, 1, 2]]
    assert torch.equal(first[0], asked[0])  # type: ignore[arg-type]


@pytest.mark.costly
def test_of_all_variants_those_that_cannot_be_are_told_and_left_out() -> None:
    """Named ones are refused; `all` is what a model can have, on a processor without fp16."""
    notes = Notes()
    spec = CellSpec.of(model="dcgan", dataset="digits", **DCGAN)
    with mock.patch("benchbench.models.variants.compiled.COMPILERS", ("no such compiler",)):
        found = [name for name, _ in _plans(spec, "fused,all", Desk(Runtime(progress=notes)))]
    assert found[:2] == ["", "fused"]
    assert {"int8", "bf16", "channels-last", "depthwise", "pruned=0.5"} <= set(found)
    assert {"fp16", "steps=10", "compile"}.isdisjoint(found)
    assert sorted(text.partition(":")[0] for text in notes.said if text.startswith("without")) == [
        "without compile",
        "without fp16",
        "without steps=10",
    ]
    with pytest.raises(InputError, match="a name is empty"):
        _plans(spec, "fused,,int8", Desk(Runtime()))


@pytest.mark.parametrize(
    "error", [InputError("cannot write it: No space left on device"), OSError(28, "No space left")]
)
def test_a_full_disk_costs_one_number_of_a_profile(
    desk: Desk, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of a model alone is measured last, by a process that reads its weights from a file: where there is no
    room for that, the row says so, and what was measured for minutes before is kept."""
    plan = planned(desk, "")
    monkeypatch.setattr(profile, "save_weights", mock.Mock(side_effect=error))
    found = list(profile._memory(plan, plan.build(), plan.build(), lambda n: None, [], torch.device("cpu")))
    assert found[-1].metric == "peak_memory_alone"
    assert found[-1].estimate is None
    assert "No space left" in str(found[-1].reason)


@pytest.mark.parametrize("options", [{"most": 0}, {"time_to": 0.0}, {"time_to": float("nan")}])
def test_how_a_profile_is_made_has_bounds(options: dict[str, Any]) -> None:
    """One sentence each."""
    with pytest.raises(InputError):
        ProfileOptions(**options)


QUICK = mock.patch.multiple(
    "benchbench.runner.profile",
    LATENCIES=3,
    peak_alone=lambda asked: 3.0,
    product_rate=lambda device, precision: 1e9,
    copy_rate=lambda device: 2e9,
)
"""What takes seconds is answered at once."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A DCGAN of two steps, folded and in 8 bits; what takes seconds is answered at once."""
    root = tmp_path_factory.mktemp("profiled")
    with (
        QUICK,
        mock.patch("benchbench.tasks.profiling.training_rate.STEPS", 3),
    ):
        frame = benchbench.profile(
            "dcgan",
            "digits",
            variant=["fused", "int8"],
            most_batch=2,
            time_to=1e9,
            device="cpu",
            plot=root / "plane.svg",
            out=root / "runs",
            **{**DCGAN, "overrides": {**DCGAN["overrides"], "monitor_every": 1}},
        )
    return root, frame


@pytest.mark.costly
def test_a_profile_is_a_record_like_any_other(measured: tuple[Path, pd.DataFrame]) -> None:
    """Two records a variant. Of the profile: rates by doubling, percentiles in their order, the shares of what the
    machine was said to do, and a reason for each number that nobody has."""
    root, frame = measured
    runs = load_results(root / "runs")
    assert runs["cell"].nunique() == 6
    own = frame[(frame["task"] == "profile") & ~frame["variant"].str.contains("fused|int8")]
    values = dict(zip(own["metric"], own["value"], strict=True))
    assert {"rate_at_1", "rate_at_2", "training_rate", "machine_busy", "peak_memory_alone"} <= set(values)
    assert "rate_at_4" not in values
    assert values["latency_p50"] <= values["latency_p95"] <= values["latency_p99"]
    assert values["best_rate"] == max(values["rate_at_1"], values["rate_at_2"])
    share = values["flops_per_image"] * values["best_rate"] / 1e9
    assert values["share_of_matmul"] == pytest.approx(share)
    assert values["share_of_copy"] == pytest.approx(values["bytes_per_image"] * values["best_rate"] / 2e9)
    assert values["time_to_fd1e+09_cnn_digits"] > 0
    assert values["peak_memory_alone"] == 3.0
    lost = own[own["status"] != "ok"]
    assert list(lost["metric"]) == ["energy_per_image"]
    assert "NVML" in str(lost.iloc[0]["reason"])
    told = load_runs(root / "runs").set_index("cell").loc[own["cell"].iloc[0]]
    assert told["batch_curve.end"] == "no more than 2 images at once are tried"


@pytest.mark.costly
def test_quality_is_measured_anew_and_training_is_not(measured: tuple[Path, pd.DataFrame]) -> None:
    """One training of all: equal numbers of training in all cells. Folding moves the distance by rounding alone, 8 bits
    by little; and the weights in 8 bits take less room."""
    _, frame = measured
    fd = frame[frame["metric"] == "fd_cnn_digits"].set_index("variant")["value"].astype(float)
    plain = next(name for name in fd.index if not name.endswith(("fused", "int8")))
    assert fd[f"{plain},fused"] == pytest.approx(fd[plain], rel=1e-3)
    assert fd[f"{plain},int8"] == pytest.approx(fd[plain], rel=0.1)
    trained = frame[(frame["metric"] == "training_rate") & (frame["task"] == "training")]["value"]
    assert len(trained) == 3
    assert trained.nunique() == 1
    weights = frame[frame["metric"] == "weights"].set_index("variant")["value"].astype(float)
    assert weights[f"{plain},int8"] < weights[plain]
    assert (root := measured[0] / "plane.svg").read_text().startswith("<svg")
    assert "int8" in root.read_text()


@pytest.mark.costly
def test_boards_show_variants_beside_their_model_and_never_as_it(measured: tuple[Path, pd.DataFrame]) -> None:
    """Three lines on the board of the distance, one value each."""
    root, _ = measured
    quality = next(board for board in boards(load_results(root / "runs")) if board.headline)
    names = [run.name for run in quality.runs]
    assert len(names) == 3
    assert {name.rsplit(",", 1)[-1] for name in names} >= {"fused", "int8"}
    assert all(run.n_seeds == 1 for run in quality.runs)


@pytest.mark.costly
def test_the_benchmark_names_the_load_under_its_table(measured: tuple[Path, pd.DataFrame]) -> None:
    """A line a variant, and the median and the highest of what profiles measured of others."""
    import variants

    _, frame = measured
    lines = variants.markdown(pareto(frame)).splitlines()
    named = sorted(line.split(" | ")[0] for line in lines[2:5])
    assert [name.rpartition(",")[2] for name in named] == ["width=4", "fused", "int8"]
    busy = frame[(frame["metric"] == "machine_busy") & (frame["task"] == "profile")]["value"]
    assert f"kept {busy.median():.2f} cores busy (at most {busy.max():.2f})" in variants.load_of(frame)


@pytest.mark.costly
def test_a_profile_is_answered_from_its_record(measured: tuple[Path, pd.DataFrame]) -> None:
    """The same call again measures nothing: what would measure raises."""
    root, frame = measured

    def never(*given: object) -> None:
        raise AssertionError("measured again")

    with mock.patch("benchbench.runner.profile._measured", never):
        again = benchbench.profile(
            "dcgan",
            "digits",
            variant="fused,int8",
            most_batch=2,
            time_to=1e9,
            device="cpu",
            out=root / "runs",
            **{**DCGAN, "overrides": {**DCGAN["overrides"], "monitor_every": 1}},
        )
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.costly
def test_a_variant_that_fails_stops_no_other(tmp_path: Path) -> None:
    """In Python and on the command line: those that were carried out have their records, table and plane, and the error
    names the one that was not."""
    true = verb.profile_cell

    def broken(plan: Plan, *given: Any) -> Any:
        if plan.variant.endswith("channels-last"):
            raise CellFailed("the weights are gone")
        return true(plan, *given)

    named = r"1 of 2 variants failed. channels-last: the weights are gone"
    asked = ["--model=dcgan", "--variant=channels-last", "--metrics=fd", "--extractor=cnn:digits"]
    asked += ["--samples=16", "--most-batch=1", "--device=cpu", f"--out={tmp_path / 'runs'}"]
    asked += [f"--set={name}={value}" for name, value in DCGAN["overrides"].items()]
    with QUICK, mock.patch("benchbench.verbs.profile.profile_cell", broken):
        with pytest.raises(CellFailed, match=named):
            benchbench.profile(
                "dcgan",
                variant="channels-last",
                most_batch=1,
                device="cpu",
                out=tmp_path / "runs",
                plot=tmp_path / "x.svg",
                **DCGAN,
            )
        assert load_results(tmp_path / "runs")["cell"].nunique() == 3
        assert (tmp_path / "x.svg").exists()
        told = CliRunner().invoke(cli, ["profile", *asked])
    assert isinstance(told.exception, CellFailed)
    assert "front" in told.output
    assert "the weights are gone" in str(told.exception)


@pytest.mark.costly
def test_a_published_model_is_profiled_with_its_training(tmp_path: Path) -> None:
    """How fast it is trained is measured on fresh weights, so it is asked of loaded ones too."""
    asked = {name: value for name, value in DCGAN.items() if name != "overrides"}
    with QUICK:
        frame = benchbench.profile(
            "dcgan", "digits", pretrained=True, most_batch=1, device="cpu", out=tmp_path, **asked
        )
    own = frame[(frame["task"] == "profile") & (frame["metric"] == "training_rate")]
    assert (own["value"] > 0).all()
    assert len(own) == 1
