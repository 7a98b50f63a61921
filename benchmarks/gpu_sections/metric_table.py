"""Every public pure function of `benchbench.metrics` that reads tensors, as a call on inputs that are made up here.

A test holds the table to the package: a function that is in neither `CALLS` nor `LEFT_OUT` fails it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from benchbench.core.seeds import ImageRng
from benchbench.metrics.numerics import (
    arguments,
    centred_mixture,
    gaussians,
    gram,
    grouped,
    halved_supports,
    linalg,
    log_squares,
    neighbours,
    one_image,
    own_balls,
    products,
)
from benchbench.metrics.pairs import (
    captions,
    checked_pairs,
    cycle,
    dists,
    fsim,
    gmsd,
    greys,
    hole,
    lpips,
    lpips_vgg,
    niqe,
    paired,
    path_length,
    pose,
    preservation,
    ssim,
    vif,
)
from benchbench.metrics.sets import (
    adm,
    class_wise,
    cmmd,
    feature_likelihood,
    frechet,
    frechet_ratio,
    inception_score,
    intra_class,
    kernel,
    memorization,
    mode_collapse,
    modes,
    prdc,
    probabilistic,
    real_side,
    retrieval,
    rke,
    sliced,
    vendi,
)

CLASSES = 5


@dataclass(frozen=True)
class Inputs:
    """x, y, z: features N×D of generated, real and held-out images, no two of one distribution. logits: N×5. labels,
    other: int64 (N,). images, partners: uint8 12×3×48×48; large, large_partners: 4×3×161×161. signed: `images` in
    [-1, 1]."""

    x: Tensor
    y: Tensor
    z: Tensor
    logits: Tensor
    labels: Tensor
    other: Tensor
    images: Tensor
    partners: Tensor
    large: Tensor
    large_partners: Tensor
    signed: Tensor

    @classmethod
    def make(cls, n: int, d: int, dtype: torch.dtype) -> Inputs:
        """The same for the same arguments, on the processor."""
        rng = torch.Generator().manual_seed(3)
        base = [torch.randn(n, d, generator=rng, dtype=torch.float64) for _ in range(3)]
        spectrum = torch.linspace(2, 0.3, d, dtype=torch.float64)
        x, y, z = base[0] * spectrum + 0.3, base[1] * spectrum.flip(0), base[2] * 1.2 - 0.1
        images, partners = (_shades(12, 48, rng) for _ in range(2))
        large, large_partners = (_shades(4, 161, rng) for _ in range(2))
        return cls(
            x=x.to(dtype),
            y=y.to(dtype),
            z=z.to(dtype),
            logits=3 * torch.randn(n, CLASSES, generator=rng).to(dtype),
            labels=torch.randint(CLASSES, (n,), generator=rng),
            other=torch.arange(n) % CLASSES,
            images=images,
            partners=partners,
            large=large,
            large_partners=large_partners,
            signed=images.float() / 127.5 - 1,
        )

    def to(self, device: torch.device) -> Inputs:
        """The same on another device."""
        return Inputs(*(getattr(self, field.name).to(device) for field in fields(self)))

    @property
    def shares(self) -> Tensor:
        """Of the classes among `other`."""
        return torch.bincount(self.other, minlength=CLASSES).double() / len(self.other)

    @property
    def covariances(self) -> tuple[Tensor, Tensor]:
        """Of x and y."""
        return torch.cov(self.x.double().T), torch.cov(self.y.double().T)


def _shades(n: int, side: int, rng: torch.Generator) -> Tensor:
    coarse = torch.rand(n, 3, 6, 6, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (255 * smooth).to(torch.uint8)


Call = Callable[[Inputs], Any]


def _sides(i: Inputs) -> tuple[Any, Any]:
    centre = neighbours.mean_row(i.y)
    return tuple(neighbours.Side.of(rows, centre, torch.float64) for rows in (i.x, i.y))  # type: ignore[return-value]


def _grams(i: Inputs) -> tuple[Any, Any]:
    centre = neighbours.mean_row(i.y)
    return tuple(gram.Side.of(rows, centre, torch.float64) for rows in (i.x, i.y))  # type: ignore[return-value]


def _similar(i: Inputs) -> tuple[Tensor, Tensor]:
    """All of x against at least 100 directions of y, and which of these is each one's own."""
    several = torch.cat([i.y * scale + scale for scale in range(1, 2 + 100 // len(i.y))])
    images, captions = (rows / rows.norm(dim=1, keepdim=True) for rows in (i.x, several))
    return retrieval.similarities(images, captions), torch.arange(len(i.x), device=i.x.device)


def _close(i: Inputs) -> float:
    return 0.6 * mode_collapse.typical_distance(i.x)


def _nearest(i: Inputs) -> tuple[Tensor, Tensor]:
    return tuple(neighbours.kth_neighbour(side, 1, i.y)[0] for side in (i.x, i.z))  # type: ignore[return-value]


def _closer(i: Inputs) -> Any:
    a, b = _sides(i)
    centre = neighbours.mean_row(i.y)
    limit = torch.full((len(i.x), 1), _close(i) ** 2, dtype=torch.float64, device=i.x.device)
    return neighbours.closer_than(i.x, i.y, a, b, centre, [limit])[0]


def _own_balls(i: Inputs) -> Tensor:
    merged = neighbours.Merged.of(i.x)
    limits = neighbours.merged_kth_neighbour(merged, 4)[0]
    return own_balls.balls_of_others(merged, limits, neighbours.Candidates.of(merged, 9))


def _kd(i: Inputs) -> Any:
    subsets = kernel.Subsets.draw(len(i.x), len(i.y), subsets=4, size=50)
    return kernel.kernel_distance(i.x, i.y, subsets)


def _grey_pair(i: Inputs) -> Any:
    return greys.grey_pair(i.images, i.partners, levels=False, smallest=11, name="a measure")


def _niqe(i: Inputs) -> Tensor:
    images = torch.nn.functional.interpolate(i.large.double(), size=(192, 288)).to(torch.uint8)
    noisy = torch.where(torch.arange(288, device=images.device) % 2 == 0, images, images // 2)
    return niqe.niqe(
        noisy, niqe.Pristine(torch.zeros(niqe.NUMBERS).double(), torch.eye(niqe.NUMBERS).double())
    )


CALLS: dict[str, Call] = {
    "adm.inception_scores_of_parts": lambda i: adm.inception_scores_of_parts(i.logits, 50),
    "captions.clip_score": lambda i: captions.clip_score(i.x, i.y),
    "class_wise.diversity_by_class": lambda i: class_wise.diversity_by_class(i.x, i.other, i.y, i.other),
    "class_wise.frechet_distance_by_class": lambda i: class_wise.frechet_distance_by_class(
        i.x, i.other, i.y, i.other
    ),
    "cmmd.cmmd": lambda i: cmmd.cmmd(i.x, i.y),
    "cycle.round_levels": lambda i: cycle.round_levels(i.signed),
    "cycle.add_noise": lambda i: cycle.add_noise(i.signed, ImageRng(0, range(len(i.signed)))),
    "dists.dists": lambda i: dists.dists(i.images, i.partners),
    "frechet.frechet_distance": lambda i: frechet.frechet_distance(
        i.x.double().mean(0), i.covariances[0], i.y.double().mean(0), i.covariances[1]
    ),
    "frechet.frechet_distance_from_features": lambda i: [
        frechet.frechet_distance_from_features(i.x, i.y),
        frechet.frechet_distance_from_features(i.x[:9], i.y[:9]),
    ],
    "frechet.distance_with_error": lambda i: frechet.distance_with_error(i.x, i.y),
    "frechet.frechet_influence": lambda i: frechet.frechet_influence(i.x, i.y),
    "frechet.frechet_standard_error": lambda i: frechet.frechet_standard_error(i.x, i.y),
    "frechet.fd_infinity": lambda i: frechet.fd_infinity(i.x, i.y),
    "fsim.fsim": lambda i: fsim.fsim(i.images, i.partners),
    "gmsd.gmsd": lambda i: gmsd.gmsd(i.images, i.partners),
    "gmsd.similarity": lambda i: gmsd.similarity(i.x.double(), i.y.double(), 1.0),
    "gmsd.gradient_length": lambda i: gmsd.gradient_length(greys.grey(i.images), ((1.0, 0.0, -1.0),) * 3, 3),
    "greys.grey_pair": _grey_pair,
    "greys.grey": lambda i: greys.grey(i.images),
    "greys.of_some": lambda i: greys.of_some(
        lambda a, b: (a.double() - b.double()).mean((1, 2, 3)), i.images, i.partners
    ),
    "gram.sums_within": lambda i: gram.sums_within(
        _grams(i)[0], kernel.cubic_kernel(i.x.shape[1]), torch.eye(len(i.x), 3).double().to(i.x.device)
    ),
    "centred_mixture.distances": lambda i: torch.cat([d for _, d in centred_mixture.distances(i.x, i.y)]),
    "centred_mixture.fit": lambda i: centred_mixture.fit(i.x.float(), i.y.float())[0].variances,
    "feature_likelihood.likelihoods": lambda i: feature_likelihood.likelihoods(i.y, i.z, i.x).held_out,
    "feature_likelihood.feature_likelihood_divergence": lambda i: (
        feature_likelihood.feature_likelihood_divergence(i.y, i.z, i.x)
    ),
    "feature_likelihood.generalization_gap": lambda i: feature_likelihood.generalization_gap(i.y, i.z, i.x),
    "gaussians.moments_of": lambda i: gaussians.moments_of(i.x),
    "gram.sums_across": lambda i: gram.sums_across(*_grams(i), kernel.cubic_kernel(i.x.shape[1]), None, None),
    "inception_score.inception_score": lambda i: [
        inception_score.inception_score(i.logits, splits) for splits in (1, 10)
    ],
    "intra_class.intra_class_ms_ssim": lambda i: intra_class.intra_class_ms_ssim(
        i.large, torch.arange(len(i.large), device=i.large.device) % 2, pairs=2
    ),
    "kernel.kernel_distance": _kd,
    "arguments.largest": lambda i: arguments.largest(i.x),
    "linalg.unit_rows": lambda i: linalg.unit_rows(i.x),
    "linalg.check_covariance": lambda i: (
        lambda own: [own.matrix, own.root @ own.root.T]
    )(  # any root is as good
        linalg.check_covariance(i.covariances[0], "a covariance")
    ),
    "linalg.nuclear_norm": lambda i: linalg.nuclear_norm(i.x.double()),
    "linalg.trace_sqrt_product": lambda i: linalg.trace_sqrt_product(*map(linalg.Covariance, i.covariances)),
    "halved_supports.log_radius": lambda i: halved_supports.log_radius(i.x.abs(), i.y.abs(), 1.2),
    "log_squares.squares": lambda i: log_squares.squares(i.x, i.y, *_sides(i), neighbours.mean_row(i.y)),
    "log_squares.log_squares": lambda i: log_squares.log_squares(
        i.x, i.y, *_sides(i), neighbours.mean_row(i.y)
    ),
    "lpips.lpips": lambda i: lpips.lpips(i.images, i.partners),
    "lpips_vgg.lpips_vgg": lambda i: lpips_vgg.lpips_vgg(i.images, i.partners),
    "memorization.nn_distance_ratio": lambda i: memorization.nn_distance_ratio(i.x, i.y, i.z),
    "memorization.ratio_of_medians": lambda i: memorization.ratio_of_medians(*_nearest(i)),
    "memorization.authentic": lambda i: memorization.authentic(i.y, i.x),
    "memorization.authpct": lambda i: memorization.authpct(i.y, i.x),
    "memorization.ct_score": lambda i: [
        memorization.ct_score(i.y, i.z, i.x),
        memorization.ct_score(i.y, i.z, i.x, [i.labels, i.other, i.other]),
    ],
    "memorization.ct_estimate": lambda i: memorization.ct_estimate(*_nearest(i)),
    "mode_collapse.class_shares": lambda i: mode_collapse.class_shares(i.labels, CLASSES),
    "mode_collapse.modes_covered": lambda i: mode_collapse.modes_covered(i.labels, CLASSES, 30),
    "mode_collapse.class_kl": lambda i: mode_collapse.class_kl(i.labels, i.shares),
    "mode_collapse.class_tv": lambda i: mode_collapse.class_tv(i.labels, i.shares),
    "mode_collapse.ndb": lambda i: mode_collapse.ndb(i.y, i.x, bins=5),
    "mode_collapse.exact_duplicates": lambda i: mode_collapse.exact_duplicates(
        torch.cat([i.images, i.images])
    ),
    "mode_collapse.duplicate_rate": lambda i: mode_collapse.duplicate_rate(torch.cat([i.images, i.images])),
    "mode_collapse.typical_distance": lambda i: mode_collapse.typical_distance(i.x),
    "mode_collapse.has_twin": lambda i: mode_collapse.has_twin(i.x, _close(i)),
    "mode_collapse.birthday_support": lambda i: mode_collapse.birthday_support(i.x, _close(i)),
    "mode_collapse.twins": lambda i: mode_collapse.twins(torch.cat([i.x, i.x[:5] + 1e-3]), i.y),
    "modes.classes_of": lambda i: modes.classes_of(i.logits, "cnn_digits"),
    "modes.class_histogram": lambda i: modes.class_histogram(i.logits, "cnn_digits"),
    "modes.modes_estimate": lambda i: modes.modes_estimate(i.labels, CLASSES),
    "modes.kl_bias": lambda i: modes.kl_bias(i.labels, i.other, CLASSES),
    "modes.kl_standard_error": lambda i: modes.kl_standard_error(i.labels, i.other, CLASSES),
    "modes.kl_error": lambda i: modes.kl_error(i.labels, i.other, CLASSES),
    "modes.tv_standard_error": lambda i: modes.tv_standard_error(i.labels, i.other, CLASSES),
    "neighbours.shared_rows": lambda i: neighbours.shared_rows(i.x, torch.cat([i.y, i.x[:5]])),
    "niqe.niqe": _niqe,
    "one_image.one_image": lambda i: one_image.one_image(i.x, torch.cat([i.x * (1 + 1e-7), i.y])),
    "arguments.near_one": lambda i: list(arguments.near_one(i.x, i.y)[:2]),
    "neighbours.mean_row": lambda i: neighbours.mean_row(i.x),
    "neighbours.lower_bounds": lambda i: neighbours.lower_bounds(*_sides(i)),
    "neighbours.pair_distances": lambda i: neighbours.pair_distances(i.x, i.y, i.labels, i.other),
    "neighbours.kth_neighbour": lambda i: [
        neighbours.kth_neighbour(i.x, 3),
        neighbours.kth_neighbour(i.x, 2, i.y),
    ],
    "neighbours.merged_kth_neighbour": lambda i: neighbours.merged_kth_neighbour(
        neighbours.Merged.of(torch.cat([i.x, i.x[:7]])), 3
    )[0],
    "neighbours.count_within": lambda i: neighbours.count_within(i.x, _close(i)),
    "neighbours.closer_than": _closer,
    "neighbours.below": lambda i: neighbours.below(i.x, i.x.mean(1, keepdim=True)),
    "paired.ssim": lambda i: paired.ssim(i.images, i.partners),
    "paired.ms_ssim": lambda i: paired.ms_ssim(i.large, i.large_partners),
    "paired.mse": lambda i: paired.mse(i.images, i.partners),
    "paired.mae": lambda i: paired.mae(i.images, i.partners),
    "paired.psnr": lambda i: paired.psnr(i.images, i.partners, y_channel=True, crop_border=2),
    "checked_pairs.rgb_pair": lambda i: checked_pairs.rgb_pair(i.images, i.partners),
    "checked_pairs.luma": lambda i: checked_pairs.luma(i.images),
    "paired.mean_over_images": lambda i: paired.mean_over_images(
        paired.mae(i.images, i.partners), (0.0, 1.0)
    ),
    "checked_pairs.pair_in_channels": lambda i: checked_pairs.pair_in_channels(
        i.images, i.partners, True, 2, False
    ),
    "checked_pairs.cropped": lambda i: checked_pairs.cropped(i.images, 2),
    "checked_pairs.checked_pair": lambda i: checked_pairs.checked_pair(i.images, i.partners),
    "grouped.mean_over_groups": lambda i: grouped.mean_over_groups(
        i.x[:, 0], i.labels, (None, None), "classes"
    ),
    "grouped.share_over_groups": lambda i: grouped.share_over_groups(
        1.0 * (i.x[:, 0] > 0), i.labels, "classes"
    ),
    "hole.psnr_hole": lambda i: hole.psnr_hole(i.images, i.partners, i.images[:, :1] > 127),
    "hole.mae_hole": lambda i: hole.mae_hole(i.images, i.partners, i.images[:, :1] > 127),
    "hole.ssim_hole": lambda i: hole.ssim_hole(i.images, i.partners, i.images[:, :1] > 127),
    "path_length.step_ends": lambda i: path_length.step_ends(
        i.x, i.y, torch.linspace(0, 1, len(i.x)), interpolation="spherical"
    ),
    "path_length.trimmed": lambda i: path_length.trimmed(i.x[:, 0]),
    "pose.edges": lambda i: pose.edges(i.images),
    "pose.pose_error": lambda i: pose.pose_error(i.images, i.partners),
    "prdc.overlap": lambda i: prdc.overlap(i.y, i.x),
    "prdc.prdc": lambda i: prdc.prdc(i.y, i.x),
    "prdc.clipped_density_coverage": lambda i: prdc.clipped_density_coverage(i.y, i.x),
    "prdc.clipped_numbers": lambda i: prdc.clipped_numbers(prdc.overlap(i.y, i.x)),
    "own_balls.closed": lambda i: own_balls.closed(i.x.double().square()[:, 0]),
    "own_balls.middle": lambda i: own_balls.middle(i.x[:, 0]),
    "own_balls.balls_of_others": _own_balls,
    "frechet_ratio.fd_ratio": lambda i: frechet_ratio.fd_ratio(i.x, i.y, i.z),
    "frechet_ratio.fd_ratio_standard_error": lambda i: frechet_ratio.fd_ratio_standard_error(i.x, i.y, i.z),
    "real_side.effective_rank": lambda i: real_side.effective_rank(i.x),
    "real_side.effective_rank_of_moments": lambda i: real_side.effective_rank_of_moments(
        gaussians.moments_of(i.x)
    ),
    "rke.rke": lambda i: [rke.rke(i.x), rke.rke(i.x, 3.0)],
    "kernel.centred_square": lambda i: kernel.centred_square(
        1e9, *(i.x.double().abs().sum(axis) for axis in (1, 0)), i.x.shape[1], len(i.x)
    ),
    "rke.rke_estimate": lambda i: rke.rke_estimate(i.x),
    "rke.rke_with_error": lambda i: list(rke.rke_with_error(i.x)),
    "prdc.share_estimate": lambda i: prdc.share_estimate(i.labels > 1, "images"),
    "prdc.symmetric_precision_recall": lambda i: prdc.symmetric_precision_recall(i.y, i.x),
    "probabilistic.supports": lambda i: probabilistic.supports(i.y, i.x, halves=True),
    "probabilistic.p_precision_recall": lambda i: probabilistic.p_precision_recall(i.y, i.x),
    "preservation.cosine_distance": lambda i: preservation.cosine_distance(i.x, i.y),
    "preservation.input_diversity": lambda i: preservation.input_diversity(torch.stack([i.x, i.y, i.z], 1)),
    "products.product": lambda i: products.product(i.x.double(), i.y.double()),
    "products.float64_rows": lambda i: torch.cat([rows for _, rows in products.float64_rows(i.x)]),
    "retrieval.similarities": lambda i: _similar(i)[0],
    "retrieval.retrieval_ranks": lambda i: retrieval.retrieval_ranks(*_similar(i)),
    "retrieval.r_precision": lambda i: retrieval.r_precision(*_similar(i), seed=5),
    "sliced.sliced_wasserstein": lambda i: sliced.sliced_wasserstein(i.x, i.y[:-3], projections=32),
    "ssim.ssim_map": lambda i: ssim.ssim_map(i.images, i.partners),
    "ssim.ssim_planes": lambda i: ssim.ssim_planes(i.images, i.partners),
    "ssim.ms_ssim_planes": lambda i: ssim.ms_ssim_planes(i.large, i.large_partners),
    "vendi.vendi_score": lambda i: [
        vendi.vendi_score(i.x, q, t) for q, t in ((1.0, None), (2.0, None), (1.0, 9))
    ],
    "vendi.score_of_eigenvalues": lambda i: vendi.score_of_eigenvalues(
        i.x[:, 0].double().square().sort().values, 2
    ),
    "vif.vif": lambda i: vif.vif(i.images, i.partners),
    "vendi.vendi_standard_error": lambda i: vendi.vendi_standard_error(i.x),
    "vendi.vendi_estimate": lambda i: vendi.vendi_estimate(i.x, 2.0, 9),
}

LEFT_OUT = {
    "gram.rounding_error": "it estimates the rounding errors themselves",
    "arguments.check_finite": "it answers with an error or not at all",
    "arguments.check_directions": "it answers with an error or not at all",
    "greys.check_side": "it answers with an error or not at all",
    **{
        f"disturbances.{name}": "it spoils the images of an audit, on the processor"
        for name in ("checkerboard", "elastic", "gamma", "halves", "jpeg", "of_pixels", "shift", "square")
    },
    "niqe.fit_pristine": "it puts what it finds on the processor",
    "checked_pairs.check_one_shape": "it answers with an error or not at all",
    "checked_pairs.check_levels": "it answers with an error or not at all",
    "neighbours.row_tiles": "it says how rows are cut, which depends on the device",
    "products.at_once": "it says how rows are cut, which depends on the device",
    "prdc.half_sample_estimate": "it reads numbers that are on the processor",
    "sliced.directions": "it reads no tensor",
}
