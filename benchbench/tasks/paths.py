"""Small steps of a generator's latent, for the path lengths (`metrics.pairs.path_length`).

Path i draws its two latents, and the place on it, from image i's own stream in a seed of its own: so the same paths
come out whatever the batch or the ranks, and no path begins where a sample of the run lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, MetricFailed
from benchbench.core.protocols import Navigable
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.metrics.evidence import PairEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.path_length import PPL, VGG, step_ends
from benchbench.models.latent_space import space_of
from benchbench.tasks.evidence import read_pairs

BATCH = 32
_STREAM = 2**61
"""Added to a run's seed, so that paths have streams that no image of a run has."""
NO_LATENT = "this asks a generator whose images are a function of one latent, a GAN's for example"
NO_STYLES = "this asks a generator with a space of styles w, stylegan2's for example"


def lacks_paths(metric: Metric, model: nn.Module) -> str | None:
    """Why a path length has no meaning for this model, in words for a record; None where it has one."""
    space = space_of(model)
    if space is None:
        return NO_LATENT
    return NO_STYLES if isinstance(metric, PPL) and metric.space not in space.spaces else None


def path_lengths(
    model: nn.Module,
    metrics: Sequence[Metric],
    n: int,
    seed: int,
    runtime: Runtime,
    labels: Tensor | None = None,
) -> PairEvidence:
    """What each path length among `metrics` says of `n` paths, by its name.

    labels: int64, the class that both ends of path i show in place i; None for a model that is told none. Where the
    network that measures is not at hand, nothing is painted and each fails for that.
    """
    found = PairEvidence({})
    asked = [metric for metric in metrics if isinstance(metric, PPL)]
    for failure in filter(None, runtime.comm.gather(_missing())):
        return PairEvidence({}, {metric.name: failure for metric in asked})
    if (space := space_of(model)) is None:  # the task says so
        return found
    shard = runtime.comm.shard(n)
    for metric in asked:
        pairs = _steps(space, metric, shard, seed, runtime, labels)
        title = f"walking along latents ({metric.name})"
        found |= read_pairs(pairs, len(shard), {metric.name: metric.of_pairs}, title, runtime)
    return found


def _missing() -> MetricFailed | None:
    """Why nothing can be measured here; None where it can."""
    try:
        VGG.locate()
    except MetricFailed as failure:
        return failure
    return None


def _steps(
    space: Navigable, metric: PPL, shard: Sequence[int], seed: int, runtime: Runtime, labels: Tensor | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images at both ends of the steps of these paths, float32 levels N×3×H×W, in batches."""
    for rng in image_rngs(_STREAM + seed, shard, runtime.batch(BATCH), runtime.device):
        asked = None if labels is None else labels[rng.indices].to(runtime.device)
        with torch.inference_mode():
            yield _of_one_batch(space, metric, rng, asked)


def _of_one_batch(
    space: Navigable, metric: PPL, rng: ImageRng, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    first, second = space.latents(rng, labels).unbind(1)
    at = rng.uniform().to(first) if metric.everywhere else first.new_zeros(len(first))
    if metric.space == "w":
        first, second = (space.styles(latents, labels) for latents in (first, second))
    ends = step_ends(first, second, at, interpolation=metric.interpolation)
    start, end = (_levels(space.paint(latents, metric.space, labels), len(rng)) for latents in ends)
    return start, end


def _levels(images: Tensor, n: int) -> Tensor:
    """Images in [-1, 1], N×C×H×W, as grey levels 0..255 of RGB."""
    if len(images) != n or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise CellFailed(
            f"of {n} latents the model paints {tuple(images.shape)}, and no N×C×H×W of 1 or 3 channels"
        )
    return images.float().add(1).mul(127.5).expand(-1, 3, -1, -1)
