"""From names to metrics, and from evidence to outcomes.

Names are families ("fd"), full names ("fd_efficientnet_lite0", "fid", "psnr_y_crop4") or sets: `standard`, `all`, and
those of a published protocol (`SETS`). A family that reads an extractor stands for one metric per extractor asked
for; one on pairs takes a border to be cut off first; one with settings has them behind its name ("vendi_q2").
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from benchbench.core.comm import ALONE, Comm, shared_by
from benchbench.core.errors import BenchbenchWarning, InputError, MetricFailed, because, unknown_name
from benchbench.core.names import spelled
from benchbench.core.registry import EXTRACTORS, METRICS
from benchbench.core.seeds import permutation
from benchbench.core.shares import spent_on
from benchbench.features.extractor import traits_of
from benchbench.metrics.checked import Numbers, check_declared, numbers_of
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate, Family, Metric, Need, full_name, output_of
from benchbench.metrics.numerics.one_image import OF_NETWORKS, one_image
from benchbench.metrics.pairs.checked_pairs import MOST
from benchbench.metrics.pairs.paired import PairedMetric

# What a paper would report: of any generator, with whether it collapsed; of any translation; of any stylization.
# Everything else is asked for by name or with "all".
STANDARD = (
    "fd", "is", "kd", "precision", "recall", "density", "coverage", "duplicate_rate", "duplicate_excess",
    "modes", "class_kl", "high_quality", "conditional_accuracy", "ssim", "psnr", "mse",
)  # fmt: skip
OF_CLASSES = ("intra_fd", "intra_diversity")
"""What `evaluate` adds where both sides have classes. A run has them where they are asked for: its keys hold what it
computes."""
TRANSLATION = (
    "ssim", "psnr", "mse", "mae", "pose_error", "psnr_hints5", "psnr_hints20", "ssim_hints5", "ssim_hints20",
    "fd", "kd", "precision", "recall", "content_distance", "conditional_accuracy", "input_diversity",
    "cycle_mae", "cycle_growth_rounded", "cycle_growth_noise", "identity_mae",
)  # fmt: skip
# Not `artfd`: it puts doing nothing before every stylization that was tried (docs/metrics/style.md).
STYLIZATION = ("gram_distance", "content_distance")
SETS: Mapping[str, Sequence[str]] = {
    "adm": ("fid", "sfid", "is_adm_inception_v3", "precision_adm_inception_v3", "recall_adm_inception_v3"),
}
"""Sets of metrics that a published protocol reports together, by what one asks for."""
OF_SETS = frozenset({"standard", "all", *SETS})
"""What stands for several metrics where names are asked for."""

MEASURED = (
    "bits_per_dim*", "sampling_rate", "training_rate", "training_steps_rate", "latency_*", "peak_memory_*",
    "parameters_*", "flops_per_image", "network_evaluations", "machine_*",
)  # fmt: skip
"""Rows of records that are no metrics of images: a run measures them of the model, whatever was asked for."""


@dataclass(frozen=True)
class Outcome:
    """What became of one metric.

    Attributes:
        metric: The metric, with its extractor.
        estimate: The number; None where there is none.
        status: "ok", "failed" (the evidence does not allow it) or "unavailable" (something that must be fetched first
            is not at hand).
        reason: Why there is no number, in one sentence; None where there is one.
    """

    metric: Metric
    estimate: Estimate | None
    status: str = "ok"
    reason: str | None = None


def select_metrics(
    names: Iterable[str],
    extractors: Sequence[str],
    class_extractor: str | None = None,
    standard: Sequence[str] = STANDARD,
) -> list[Metric]:
    """The metrics behind `names`, each once, sorted by full name.

    A full name brings its own extractor; families are paired with each of `extractors` that they are defined
    on. A family asked for by name of which none is: `InputError`; in a set such as `all` it is left out.
    class_extractor: an extractor for the families that are not defined on every one, those on classes. standard: what
    `standard` stands for in this task; of a family that says little on most extractors it has those on which it is
    `standard_on`.
    """
    known = set(METRICS.names())
    extractors = [EXTRACTORS.recorded(name) for name in extractors]
    chosen: dict[str, Metric] = {}
    for asked in names:
        for name in _expand(asked, known, standard):
            built = _build(name, known, extractors, class_extractor, asked == "standard")
            if not built and name == asked:
                raise _wrong_extractors(name, extractors)
            for metric in built:
                chosen[metric.name] = metric
    if not chosen:
        raise InputError("no metric was asked for; try --metrics standard, or see `benchbench list metrics`")
    return [chosen[name] for name in sorted(chosen)]


def spelled_metric(name: str) -> str:
    """The name of a metric or of a set of them as it is known, where only its capitals were others: "fid" for "FID"."""
    known = {*METRICS.names(), *OF_SETS}
    if name in known:
        return name
    if (found := spelled(name, known)) != name or name == name.lower():
        return found
    try:
        _build(name, set(METRICS.names()), (), None, standard=False)
    except InputError:
        return name.lower()
    return name


def _expand(asked: str, known: set[str], standard: Sequence[str]) -> Sequence[str]:
    if asked == "standard":
        return standard
    if asked in SETS:
        return SETS[asked]
    if asked == "all":  # what stands beside another comes with it
        return [name for name, family in _usable(known).items() if not output_of(family, name).beside]
    return (asked,)


def metric_class(name: str) -> type[Metric]:
    """The class that is registered under `name`; `InputError` where there is none, or it does not declare what a metric
    declares."""
    family: type[Metric] = METRICS.get(name)
    check_declared(name, family)
    return family


def _usable(known: Iterable[str]) -> dict[str, type[Metric]]:
    """The classes of those `known`, by name; a plug-in that cannot be used is named in a warning and left out."""
    found = {}
    for name in sorted(known):
        try:
            found[name] = metric_class(name)
        except InputError as error:
            warnings.warn(f"{error}; left out", BenchbenchWarning, stacklevel=2)
    return found


def build_metric(name: str, extractor: str | None = None) -> Metric:
    """The metric that is registered under `name`, on this extractor."""
    family = metric_class(name)
    try:
        metric: Metric = family(extractor, name) if issubclass(family, Family) else family(extractor)
        if not isinstance(metric.name, str) or not metric.name:
            raise TypeError(f"its name is {metric.name!r}")
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the metric {name!r} cannot be made: {because(error)}") from error
    return metric


_SUFFIXED = re.compile(r"([A-Za-z]\w*?)(?:_crop([1-9][0-9]*))?(?:_hints([1-9][0-9]*))?")


def _build(
    name: str, known: set[str], extractors: Sequence[str], class_extractor: str | None, standard: bool
) -> list[Metric]:
    if name in known:
        family = metric_class(name)
        if family.part:
            return _over(family, extractors)
        if not family.uses_extractor:
            return [build_metric(name)]
        if family.own_extractor:
            return [build_metric(name, family.own_extractor)]
        besides = family.standard_on if standard else frozenset()
        if class_extractor is not None and (family.on or family.extractors != "*" or besides):
            extractors = [*extractors, class_extractor]
        return [
            build_metric(name, extractor)
            for extractor in extractors
            if family.defined_on(extractor) and besides <= traits_of(extractor).words
        ]
    if (on_several := _on_several(name, known)) is not None:
        return on_several
    if (with_settings := _with_settings(name, known, extractors)) is not None:
        return with_settings
    suffixed = _SUFFIXED.fullmatch(name)
    if suffixed and suffixed[1] in known:
        family = metric_class(suffixed[1])
        if issubclass(family, PairedMetric) and family.role == "truth":
            for text, what in zip(
                suffixed.groups()[1:], ("pixels of a border", "points of the truth"), strict=True
            ):
                if text is not None and len(text) > len(str(MOST)):  # before Python reads digits without end
                    raise InputError(f"{name[:40]}…: more than {MOST} {what} cannot be meant")
            crop, hints = (int(number or 0) for number in suffixed.groups()[1:])
            return [family(crop_border=crop, hints=hints)]
    usable = _usable(known)
    return [_of_full_name(name, [family for family in usable if usable[family].uses_extractor])]


def _on_several(name: str, known: set[str]) -> list[Metric] | None:
    """The metric on several extractors behind its full name, with their number and theirs in it, and its parts on each;
    None for the name of something else."""
    for own in known:
        family = metric_class(own) if name.startswith(f"{own}_") else None
        if family is not None and family.part:
            asked = re.fullmatch(r"_([1-9][0-9]{0,3})_(.+)", name.removeprefix(own))
            if asked is not None:
                readers = asked[2].split("_and_")
                for one in readers:
                    EXTRACTORS.get(one)
                found = _over(family, readers)
                if found and found[-1].name == name:
                    return found
    return None


def _over(family: type[Metric], extractors: Sequence[str]) -> list[Metric]:
    """A metric on several extractors at once, behind its parts on each; none where it is defined on fewer than two."""
    readers = sorted(set(map(EXTRACTORS.recorded, extractors)))
    able = [one for one in readers if metric_class(family.part).defined_on(one)]
    return [*(build_metric(family.part, one) for one in able), family.over(able)] if len(able) > 1 else []


def _with_settings(name: str, known: set[str], extractors: Sequence[str]) -> list[Metric] | None:
    """The metrics of a name with settings in it, "vendi_q2" or "vendi_q2_cnn_digits"; None for one without."""
    for own in known:
        family = metric_class(own) if name.startswith(f"{own}_") else None
        if family is None or not family.settings:
            continue
        found = re.match(re.escape(own) + family.settings + r"(?=_|$)", name)
        if found is None or found[0] == own:
            continue
        behind = name.removeprefix(found[0]).removeprefix("_")
        if behind:
            EXTRACTORS.get(behind)
        readers = [behind] if behind else [one for one in extractors if family.defined_on(one)]
        if not readers:
            raise _wrong_extractors(own, extractors)
        canonical = family.of_settings(found.groupdict(), None).family
        if canonical != found[0]:
            raise InputError(f"{found[0]} is written {canonical}{'_' * bool(behind)}{behind}")
        return [family.of_settings(found.groupdict(), reader) for reader in readers]
    return None


def _of_full_name(name: str, families: Sequence[str]) -> Metric:
    """The metric of a name that has its extractor in it, "fd_cnn_digits", or stands for both, "fid"."""
    refused: InputError | None = None
    for family in sorted(families, key=len, reverse=True):  # fd_infinity_x is not the fd of infinity_x
        if name.startswith(f"{family}_"):
            extractor = name.removeprefix(f"{family}_")
            try:
                EXTRACTORS.get(extractor)
            except InputError as error:
                refused = error if EXTRACTORS.split(extractor)[1] else refused
                continue
            metric = build_metric(family, extractor)
            if metric.name == name:
                return metric
    for extractor in (
        *EXTRACTORS.names(),
        name,
    ):  # one of a family may name its metric after itself and be in no list
        for family, alias in traits_of(extractor).field_names.items():
            if alias == name and family in families:
                return build_metric(family, extractor)
    if refused is not None:
        raise refused
    if any(fnmatchcase(name, own) for own in MEASURED):
        raise InputError(
            f"{name} is no metric of images: `run` and `profile` measure it of the models that have it without being "
            "asked; leave it out of the metrics"
        )
    everything = [full_name(family, extractor) for family in families for extractor in EXTRACTORS.names()]
    # Every family on every network would be a list that nobody reads.
    near = get_close_matches(name, everything, n=1)
    raise unknown_name("metric", name, {*METRICS.names(), *near, *OF_SETS})


def _wrong_extractors(family: str, extractors: Sequence[str]) -> InputError:
    """For a family that is defined on none of `extractors`; raises at once for one of them that there is not."""
    for name in extractors:
        EXTRACTORS.get(name)
    if metric_class(family).part:
        return InputError(f"{family} is a mean over two networks or more; name them with --extractor")
    able = [name for name in EXTRACTORS.names() if metric_class(family).defined_on(name)]
    return InputError(
        f"{family} is not defined on {', '.join(extractors) or 'no extractor'}; "
        f"name one of these with --extractor: {', '.join(able)}"
    )


def needs_of(metrics: Iterable[Metric], extractor: str) -> set[Need]:
    """The union of what these metrics need of one extractor, so that each image goes through it once."""
    return {need for metric in metrics if extractor in metric.readers for need in metric.needs}


def score(metrics: Iterable[Metric], evidence: Evidence, comm: Comm = ALONE) -> list[Outcome]:
    """Compute every metric, and what stands beside it where it can be had. A family is computed once, whatever the
    number of its outputs that are asked for.

    Args:
        metrics: Those that are asked for.
        evidence: What extractors and paired metrics said; of several ranks all have all of it.
        comm: The ranks, which deal out what is computed of all pairs of images.

    Returns:
        One outcome a metric, in their order, each followed by what stands beside it; one that fails is an outcome with
        its reason and does not stop the others.
    """
    metrics = list(metrics)
    with spent_on("images that are equal"):
        evidence = with_one_image_each(evidence)
    evidence_of = {False: evidence, True: balanced(evidence)}
    names = {metric.name for metric in metrics}
    computed: dict[object, Numbers] = {}
    outcomes = []
    for metric in metrics:
        which = (type(metric), metric.extractor) if isinstance(metric, Family) else metric.name
        if which not in computed:
            own = evidence_of[metric.balanced]
            mine = own if _is_ours(metric) else own.copy(*metric.readers)
            with spent_on(_part_of(metric)), comm.in_step(), shared_by(comm if _is_ours(metric) else ALONE):
                computed[which] = numbers_of(metric, mine)
        found = computed[which]
        outcomes.append(_outcome(metric, found[metric.output.name]))
        if isinstance(metric, Family):
            for beside in (metric.of(o.name) for o in metric.outputs if o.beside == metric.output.name):
                if beside.name not in names and isinstance(found[beside.output.name], Estimate):
                    outcomes.append(_outcome(beside, found[beside.output.name]))
    return outcomes


def _part_of(metric: Metric) -> str:
    """What the computation of a metric is called where its time is measured: a family yields several numbers."""
    if len(metric.declared()) == 1:
        return metric.name
    first = metric.declared()[0].name
    return f"{full_name(first, metric.extractor)} and {len(metric.declared()) - 1} beside it"


def _is_ours(metric: Metric) -> bool:
    """Whether a metric is of this package, whose tests hold that it writes into nothing that it reads: features of many
    images are not copied for it."""
    return type(metric).__module__.partition(".")[0] == __name__.partition(".")[0]


def _outcome(metric: Metric, found: Estimate | MetricFailed) -> Outcome:
    if isinstance(found, MetricFailed):
        return Outcome(metric, None, found.status, found.reason)
    return Outcome(metric, found)


def with_one_image_each(evidence: Evidence) -> Evidence:
    """The same evidence in which all that an extractor says of one image is equal, in whichever set, batch or cache it
    was read (`numerics.one_image`): only then do copies decide ties by definition and not by rounding."""
    sets = {role: dict(sides) for role, sides in evidence.sets.items()}
    for name in {name for sides in sets.values() for name in sides}:
        roles = [role for role, sides in sets.items() if name in sides and _comparable(sides[name].features)]
        rows = [sets[role][name].features for role in roles]
        if len({(own.shape[1], own.dtype, own.device) for own in rows if own is not None}) != 1:
            continue
        try:
            settled = one_image(*(own for own in rows if own is not None), agree=OF_NETWORKS)
        except MetricFailed:  # features too large to compare, of which their metrics will say so
            continue
        for role, own in zip(roles, settled, strict=True):
            sets[role][name] = replace(sets[role][name], features=own)
    return replace(evidence, sets=sets)


def _comparable(features: Tensor | None) -> bool:
    """Whether they are one vector an image, and finite."""
    if features is None or features.ndim != 2 or not features.numel():
        return False
    return features.is_floating_point() and bool(torch.isfinite(features.sum()))


def balanced(evidence: Evidence) -> Evidence:
    """The same evidence with equally many generated and reference rows of each extractor, as many as the smaller side
    has.

    Metrics on neighbourhoods compare the spacing of two point sets, which shrinks as a set grows: they are
    only fair between sets of one size (Naeem et al. 2020, section 5). Of the larger side those rows are kept that come
    first in a permutation which depends on its number of rows alone: such a metric is a function of the images.
    """
    generated, reference = (dict(evidence.sets.get(role, {})) for role in ("generated", "reference"))
    for name in generated.keys() & reference.keys():
        n = min(generated[name].moments.n, reference[name].moments.n)
        generated[name], reference[name] = _first(generated[name], n), _first(reference[name], n)
    return replace(evidence, sets={**evidence.sets, "generated": generated, "reference": reference})


def _first(side: FeatureEvidence, n: int) -> FeatureEvidence:
    if side.moments.n <= n:
        return side
    rows = permutation(0, side.moments.n)[:n]
    return replace(
        side,
        features=None if side.features is None else side.features[rows],
        logits=None if side.logits is None else side.logits[rows],
    )


def is_named(metric: Metric, names: Iterable[str]) -> bool:
    """Whether somebody asked for this metric, and not for a set in which it is."""
    return not {metric.family, metric.name}.isdisjoint(names)
