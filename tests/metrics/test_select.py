"""Choosing metrics by name, and what happens when one of them fails."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import benchbench
import benchbench.metrics.sets.prdc as prdc_module
from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Aspect, Estimate, Metric, Need
from benchbench.metrics.select import (
    MEASURED,
    STYLIZATION,
    TRANSLATION,
    balanced,
    build_metric,
    needs_of,
    score,
    select_metrics,
)
from benchbench.metrics.sets.prdc import PRDC, prdc

LITE = "efficientnet_lite0"


class Count(Metric):
    """Number of reference rows it was shown."""

    family = "count"
    aspect: ClassVar[Aspect] = "quality"
    higher_is_better = True
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})

    def compute(self, evidence: Evidence) -> Estimate:
        features = evidence.seen("reference", self.extractor).features
        assert features is not None
        if len(features) > 6:
            raise MetricFailed("too many rows")
        return Estimate(float(len(features)))


class BalancedCount(Count):
    family = "balanced_count"
    balanced = True


def evidence(n: int, m: int) -> Evidence:
    def side(rows: int) -> FeatureEvidence:
        x = torch.arange(rows * 2.0).reshape(rows, 2)
        return FeatureEvidence(Moments.of(x), x, x)

    return Evidence({"generated": {"net": side(n)}, "reference": {"net": side(m)}})


def test_families_pair_with_each_extractor() -> None:
    """A family that reads an extractor has one metric for each; one that does not has one."""
    names = [m.name for m in select_metrics(["fd", "ssim"], [LITE, "other"])]
    assert names == ["fd_efficientnet_lite0", "fd_other", "ssim"]


@pytest.mark.costly
def test_families_pair_only_with_extractors_they_are_defined_on() -> None:
    """CMMD is of CLIP embeddings and class shares of the dataset's own classifiers: a set leaves out what could
    never succeed, a family asked for by name finds its extractor among the others."""
    everything = {m.name for m in select_metrics(["all"], [LITE, "cnn_digits"])}
    assert {"modes_cnn_digits", "class_kl_cnn_digits", "class_tv_cnn_digits", "ct_cnn_digits"} <= everything
    assert f"ct_{LITE}" in everything
    assert not [name for name in everything if name.startswith(("cmmd", "modes_eff", "class_kl_eff"))]
    assert [m.name for m in select_metrics(["modes"], [LITE, "cnn_digits"])] == ["modes_cnn_digits"]
    assert [m.name for m in select_metrics(["cmmd"], ["clip_vit_b_32"])] == ["cmmd_clip_vit_b_32"]
    gaussian = {m.name for m in select_metrics(["all"], ["modes_grid25"])}
    assert {"modes_grid25", "class_kl_modes_grid25", "high_quality_modes_grid25"} <= gaussian
    assert "high_quality_cnn_digits" not in everything
    for judge in ("cnn_digits", "modes_ring8", "modes_stacked-digits"):
        assert [m.name for m in select_metrics(["conditional_accuracy"], [LITE, judge])] == [
            f"conditional_accuracy_{judge}"
        ]


def test_a_class_judge_is_read_by_metrics_on_classes_alone() -> None:
    """`standard` on one network and the judge of the digits: what is defined on every network is computed on the one
    that was named, and the judge adds the classes. `high_quality` is of Gaussians, so grid25's judge adds it too."""
    for judge, classes in (
        ("cnn_digits", {"modes", "class_kl", "conditional_accuracy", "is"}),
        ("modes_grid25", {"modes", "class_kl", "conditional_accuracy", "high_quality"}),
    ):
        found = select_metrics(["standard"], [LITE], judge)
        assert {m.family for m in found if m.extractor == judge} == classes
        plain = {m.name for m in select_metrics(["standard"], [LITE])}
        assert plain == {m.name for m in found if m.extractor != judge}
        assert f"duplicate_rate_{LITE}" in plain


def test_a_family_without_its_extractor_says_which_to_name() -> None:
    """Asked for by name and never computable: refused before anything runs, with what to add."""
    with pytest.raises(InputError, match=rf"modes is not defined on {LITE}; .*--extractor: .*cnn_digits"):
        select_metrics(["fd", "modes"], [LITE])


def test_a_full_name_that_cannot_be_is_a_row_with_a_reason() -> None:
    """`modes_efficientnet_lite0` names a metric that nobody can compute: its row says why."""
    (metric,) = select_metrics([f"modes_{LITE}"], ["cnn_digits"])
    (outcome,) = score([metric], Evidence())
    assert outcome.status == "failed"
    assert outcome.reason is not None
    assert f"{LITE} was not trained on them" in outcome.reason


def test_full_names_bring_their_extractor() -> None:
    """`fd_efficientnet_lite0` is that metric whatever --extractor says, and once however often it is asked."""
    (metric,) = select_metrics(["fd_efficientnet_lite0", "fd"], [LITE])
    assert (metric.family, metric.extractor) == ("fd", LITE)


@pytest.mark.costly
def test_field_names_are_found() -> None:
    """What the field calls a family on its own network brings that network, without asking for it."""
    found = select_metrics(["sfid", "mind"], [LITE])
    assert [(m.name, m.family, m.extractor) for m in found] == [
        ("mind", "swd", "inception_v3"),
        ("sfid", "fd", "inception_v3_spatial"),
    ]


@pytest.mark.costly
def test_a_border_is_part_of_the_name() -> None:
    """As super-resolution papers write it, on any metric on pairs; none to cut, or of features, is no name."""
    found = select_metrics(["psnr_y_crop4", "psnr_y", "ms_ssim_crop16"], [LITE])
    assert [(m.name, m.family) for m in found] == [
        ("ms_ssim_crop16", "ms_ssim"),
        ("psnr_y", "psnr_y"),
        ("psnr_y_crop4", "psnr_y"),
    ]
    for name in ("psnr_crop0", "psnr_crop", "psnr_crop4_crop4", "fd_crop4", f"fd_{LITE}_crop4"):
        with pytest.raises(InputError, match=f"unknown metric '{name}'"):
            select_metrics([name], [LITE])


@pytest.mark.costly
def test_hints_are_part_of_the_name() -> None:
    """What a model may see of the truth is another number, and whoever plans learns that hints are needed; the suffix
    stands after that of a border."""
    found = select_metrics(["psnr_hints5", "psnr", "ssim_crop2_hints20"], [LITE])
    assert [(m.name, m.family, set(m.needs)) for m in found] == [
        ("psnr", "psnr", {"truth"}),
        ("psnr_hints5", "psnr", {"truth", "hints"}),
        ("ssim_crop2_hints20", "ssim", {"truth", "hints"}),
    ]
    for name in ("psnr_hints0", "psnr_hints", "psnr_hints5_crop2", "psnr_hints5_hints5", f"fd_{LITE}_hints5"):
        with pytest.raises(InputError, match=f"unknown metric '{name}'"):
            select_metrics([name], [LITE])


@pytest.mark.costly
def test_only_comparisons_with_the_truth_have_suffixes() -> None:
    """A cycle has no right answer to take hints from, and its errors are gathered under one name."""
    for name in ("cycle_mae_hints5", "cycle_mae_crop2", "identity_mae_hints5", "cycle_growth_noise_crop1"):
        with pytest.raises(InputError, match=f"unknown metric '{name}'"):
            select_metrics([name], [LITE])


def test_standard_depends_on_the_task() -> None:
    """The word stands for what the task says; the sets of translation and stylization are names that there are, and
    what reads an extractor is computed on the one that was named. Other words mean what they always do."""
    translation = [m.name for m in select_metrics(["standard"], [LITE], standard=TRANSLATION)]
    assert {f"fd_{LITE}", "cycle_growth_noise", "psnr_hints20", f"input_diversity_{LITE}"} <= set(translation)
    assert not {f"is_{LITE}", f"coverage_{LITE}"} & set(translation)
    assert [m.name for m in select_metrics(["standard"], [LITE], standard=("psnr_hints5", "mse"))] == [
        "mse",
        "psnr_hints5",
    ]
    assert {m.family for m in select_metrics(["standard"], [LITE], standard=STYLIZATION)} == set(STYLIZATION)
    assert [m.name for m in select_metrics(["psnr"], [LITE], standard=TRANSLATION)] == ["psnr"]


def test_unknown_metric_names_the_nearest() -> None:
    """`sim` is one letter from `ssim`."""
    with pytest.raises(InputError, match="unknown metric 'sim'; did you mean 'ssim'"):
        select_metrics(["sim"], [LITE])
    with pytest.raises(InputError, match="no metric was asked for"):
        select_metrics([], [LITE])


@pytest.mark.parametrize(
    "name", ["bits_per_dim_elbo", "sampling_rate", "flops_per_image", "peak_memory_cuda"]
)
def test_what_is_measured_of_a_model_is_no_metric_of_images(name: str) -> None:
    """A name that stands in every record is not called unknown; the sentence says what to do."""
    with pytest.raises(InputError, match=f"{name} is no metric of images: .* leave it out of the metrics"):
        select_metrics([name], [LITE])


def test_what_is_measured_is_told_by_its_name() -> None:
    """Of all rows of published records, by their aspect: costs and rates are, metrics are not."""
    rows = benchbench.load_results(Path(__file__).parents[2] / "results")
    for aspect, name in set(zip(rows["aspect"], rows["metric"], strict=True)):
        measured = any(fnmatchcase(name, own) for own in MEASURED)
        assert measured == (aspect in ("cost", "throughput")) or name.startswith("bits_per_dim"), name


def test_needs_are_the_union() -> None:
    """What two metrics need of one extractor is asked of it once."""
    assert needs_of([Count("net"), BalancedCount("net"), Count("other")], "net") == {"features"}


def test_a_failed_metric_stops_no_other() -> None:
    """8 reference rows: the plain one fails with its reason, the balanced one sees the 5 it may see."""
    plain, fair = score([Count("net"), BalancedCount("net")], evidence(5, 8))
    assert (plain.estimate, plain.status, plain.reason) == (None, "failed", "too many rows")
    assert fair.estimate == Estimate(5.0)


def test_an_absent_extractor_fails_its_metrics_only() -> None:
    """The extractor's own status and reason reach the row."""
    absent = MetricFailed("fetch it first", status="unavailable")
    some = evidence(5, 5)
    some = replace(some, failures={"gone": absent})
    gone, there = score([Count("gone"), Count("net")], some)
    assert (gone.status, gone.reason) == ("unavailable", "fetch it first")
    assert there.status == "ok"


@pytest.mark.parametrize(("n", "m"), [(5, 40), (40, 5), (7, 7)])
def test_balanced_sides_have_one_size(n: int, m: int) -> None:
    """Whichever side is larger is cut to the other, to rows that are its own, no row twice, and the same ones each
    time; the smaller side stays as it is. Moments are of all rows: balanced metrics do not read them."""
    whole = evidence(n, m)
    first, again = balanced(whole), balanced(whole)
    for side in ("generated", "reference"):
        one, two, full = (some.sets[side]["net"] for some in (first, again, whole))
        assert torch.equal(one.features, two.features)
        assert torch.equal(one.features, one.logits)
        assert len(one.features.unique(dim=0)) == len(one.features) == min(n, m)
        assert {tuple(row) for row in one.features.tolist()} <= {tuple(row) for row in full.features.tolist()}
        assert one.moments is full.moments
    if n != m:
        features = first.features("reference" if m > n else "generated", "net")
        # A permutation of 40 rows that begins with 0 … 4 has probability 1e-8.
        assert features[:, 0].tolist() != [2.0 * i for i in range(5)]


def test_the_larger_side_does_not_help() -> None:
    """A narrow generator, 300 real images: coverage rises with the number of samples where both sides are not cut to
    one size, from 0.86 to 0.99 with ten times as many; as the metric is scored it stays within four binomial standard
    deviations of 0.02 of each other."""
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(300, 6, generator=rng), 0.5 * torch.randn(3000, 6, generator=rng)
    values = []
    for n in (300, 3000):
        sides = [{"net": FeatureEvidence(Moments.of(x), x)} for x in (fake[:n].contiguous(), real)]
        (outcome,) = score(
            [PRDC("net", "coverage")], Evidence(dict(zip(("generated", "reference"), sides, strict=True)))
        )
        assert outcome.estimate is not None
        values.append(outcome.estimate.value)
    assert abs(values[0] - values[1]) < 0.08
    assert prdc(real, fake)["coverage"] > 0.97


@pytest.mark.costly
def test_exclusions_of_extractors() -> None:
    """What looks at single distances says nothing on the judges of dots: a set leaves it out, a name is refused with
    those that can, a full name is a row with a reason. What counts modes stays."""
    families = ["density", "coverage", "kd", "is", "precision", "recall", "precision_k3", "recall_k3"]
    families += ["clipped_density", "clipped_coverage"]
    families += ["sym_precision", "sym_recall", "p_precision", "p_recall", "fld", "fld_gap"]
    for judge in ("modes_ring8", "modes_grid25"):
        found = {m.family for m in select_metrics(["all"], [judge])}
        assert not found & {*families, "duplicate_excess"}
        assert {"fd", "modes", "class_kl", "high_quality"} <= found
        for family in families:
            with pytest.raises(
                InputError, match=rf"{family} is not defined on {judge}; .*--extractor: .*cnn_digits"
            ):
                select_metrics([family], [judge])
    for family in ("density", "kd", "is"):
        (metric,) = select_metrics([f"{family}_modes_grid25"], [LITE])
        (outcome,) = score([metric], Evidence())
        assert (outcome.status, outcome.reason) == ("failed", f"{family} is not defined on modes_grid25")
    assert {m.family for m in select_metrics(["all"], ["modes_stacked-digits"])} >= set(families)


@pytest.mark.costly
def test_the_inception_score_of_a_stranger_is_not_standard() -> None:
    """`standard` has `is` where the dataset's own classes are known; a name has it where it is asked for, and `all`
    everywhere that it is defined."""
    for extractors, judge, expected in (
        ([LITE], None, []),
        ([LITE], "cnn_digits", ["is_cnn_digits"]),
        (["cnn_digits", LITE], "cnn_digits", ["is_cnn_digits"]),
        (["cnn_digits", LITE], None, ["is_cnn_digits"]),
        (["modes_grid25"], "modes_grid25", []),
    ):
        found = select_metrics(["standard"], extractors, judge)
        assert [m.name for m in found if m.family == "is"] == expected
    assert [m.name for m in select_metrics(["is"], [LITE], "cnn_digits")] == [f"is_{LITE}"]
    assert [m.name for m in select_metrics(["inception_score"], [LITE])] == ["inception_score"]
    assert f"is_{LITE}" in {m.name for m in select_metrics(["all"], [LITE], "cnn_digits")}


def test_what_stands_beside_a_metric_comes_with_it_or_is_asked_for() -> None:
    """`fd` brings `fd_infinity` where there are enough images; asked for both, each is there once; alone, it is alone,
    and says why it cannot be had. `all` asks for neither twice: keys know the metrics that were asked for."""
    rng = torch.Generator().manual_seed(0)
    sides = [torch.randn(n, 2, generator=rng) for n in (60, 60)]
    seen = Evidence(
        {
            role: {LITE: FeatureEvidence(Moments.of(x), x)}
            for role, x in zip(("generated", "reference"), sides, strict=True)
        }
    )
    few = replace(seen, sets={**seen.sets, "generated": evidence(5, 5).sets["generated"]})
    few = replace(few, sets={**few.sets, "generated": {LITE: few.sets["generated"]["net"]}})

    def found(names: list[str], some: Evidence = seen) -> list[tuple[str, str]]:
        return [(o.metric.output.name, o.status) for o in score(select_metrics(names, [LITE]), some)]

    assert found(["fd"]) == [("fd", "ok"), ("fd_infinity", "ok")]
    assert found(["fd", "fd_infinity"]) == [("fd", "ok"), ("fd_infinity", "ok")]
    assert found(["fd_infinity"]) == [("fd_infinity", "ok")]
    assert found(["fd"], few) == [("fd", "ok")]
    assert found(["fd_infinity"], few) == [("fd_infinity", "failed")]
    (limit,) = select_metrics(["fid_infinity"], [LITE])
    assert (limit.name, limit.extractor, limit.output.gated) == ("fid_infinity", "inception_v3", False)
    assert not {"fd_infinity", "kd_subsets", "is_one_split"} & {
        m.family for m in select_metrics(["all"], [LITE])
    }


def test_a_family_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with k = 5 come from one overlap, those with k = 3 from another."""
    calls = []
    overlap = prdc_module.overlap

    def counting(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[2])
        return overlap(*arguments, **options)

    monkeypatch.setattr(prdc_module, "overlap", counting)
    names = [
        "coverage",
        "density",
        "precision",
        "precision_k3",
        "recall",
        "recall_k3",
        "clipped_density",
        "clipped_coverage",
        "sym_precision",
        "sym_recall",
    ]
    metrics = [build_metric(name, "net") for name in names]
    assert [outcome.status for outcome in score(metrics, evidence(20, 20))] == ["ok"] * len(names)
    assert sorted(calls) == [3, 5]
    with pytest.raises(InputError, match="PRDC is registered as 'fd' but yields precision, recall"):
        PRDC("net", "fd")
