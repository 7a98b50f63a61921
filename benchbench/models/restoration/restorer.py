"""What learned restorers share: they see patches that are degraded as they train, and restore images of any size.

Pattern: a family supplies a network on planes in [0, 1] and its loss. Which degradation it undoes it is told before it
is built (`ImageSpec.degradation`). A network of one channel, as papers train them, sees the luma of colour images in
super-resolution, where the chroma is enlarged by bicubic interpolation (Dong et al. 2014, section 4.1), and every
channel alone in denoising and deblocking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.colour import grey_of_luma, luma_of_grey, rgb, ycbcr
from benchbench.core.errors import InputError
from benchbench.core.images import is_grey
from benchbench.core.protocols import Batch, Degradation, ImageSpec, Phase
from benchbench.data.degrade.resize import imresize
from benchbench.models.nn.whole_images import dihedral, ensemble, tiled

RANGE = 255.0


class RestorerSampling(BaseModel, extra="forbid", frozen=True):
    """How images are restored with the same weights."""

    ensemble: bool = Field(default=False, description="the mean over the eight turns and flips of the input")
    tile: int | None = Field(
        default=None,
        ge=16,
        description="side of the tiles that large images go through in, in pixels of what the network is given",
    )


class RestorerConfig(BaseModel, extra="forbid", frozen=True):
    """What every learned restorer can be told."""

    colour: bool = Field(default=False, description="learn all three channels at once, from colour images")


class LearnedRestorer(nn.Module):
    """A network that undoes a degradation.

    Attributes:
        patch: The side of the square pieces of images that it learns from, in pixels of what it makes.
        undoes: The tasks that it is made for.
        blind: Whether what it learns to undo is the same whatever it is asked to undo.
        radius: How far away, in pixels of the network's input, what one pixel depends on may lie.
        factor: By which the network itself enlarges.
    """

    patch: ClassVar[int]
    undoes: ClassVar[tuple[str, ...]]
    blind: ClassVar[bool] = False
    Sampling = RestorerSampling
    sampling = RestorerSampling()
    radius: int
    factor: int = 1

    def __init__(self, config: RestorerConfig, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.channels = 3 if config.colour else 1
        self.degradation = told(spec, type(self).__name__)

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"restorer": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on patches, turned and flipped at random, and the PSNR of what was made of them."""
        clean = self.planes(batch.x)
        given = self.degraded(clean)
        made = self(given).float()
        error = (made.detach() - clean).square().mean()
        return self.distance(made, clean), {"psnr": -10 * error.log10()}

    def distance(self, made: Tensor, clean: Tensor) -> Tensor:
        """What is minimised: half the mean squared error."""
        return 0.5 * (made - clean).square().mean()

    def planes(self, x: Tensor) -> Tensor:
        """Patches as the network makes them: floats in [-1, 1] to planes in [0, 1], N×channels×H×W, turned and flipped
        by torch's global generator."""
        levels = dihedral((x + 1) * (RANGE / 2), int(torch.randint(8, ())))
        luma = self.sees_luma and not self.blind
        if self.channels == 3 and x.shape[1] == 1:
            raise InputError(
                f"{type(self).__name__} with colour=true learns from colour images, and these are grey; leave it out"
            )
        if self.channels == 1 and x.shape[1] == 3:
            levels = ycbcr(levels)[:, :1] if luma else levels.reshape(-1, 1, *levels.shape[2:])
        elif self.channels == 1 and luma:
            levels = luma_of_grey(levels)
        return levels / RANGE

    @property
    def sees_luma(self) -> bool:
        """Whether a network of one channel sees the luma: where sizes change; else it sees every channel alone."""
        return self.degradation.scale > 1

    def degraded(self, clean: Tensor) -> Tensor:
        """Planes as the network is given them, N×channels×h×w."""
        return self.prepared(self.degradation.of_patches(clean * RANGE) / RANGE)

    def prepared(self, planes: Tensor) -> Tensor:
        """Degraded planes as the network takes them: as they are."""
        return planes

    # Restorer

    def restore(self, degraded: Tensor) -> Tensor:
        """Images of any size, restored; uint8 RGB of uint8 RGB, float32 grey levels of such."""
        levels = degraded.float()
        if self.channels == 3:
            return like(degraded, self.whole(levels))
        if all(torch.equal(levels[:, 0], levels[:, other]) for other in (1, 2)):
            made = self._of_grey(levels[:, :1])
            return like(degraded, made.expand(-1, 3, -1, -1))
        if not self.sees_luma:
            n, channels, height, width = levels.shape
            return like(
                degraded, self.whole(levels.reshape(-1, 1, height, width)).reshape(n, channels, height, width)
            )
        scale = self.degradation.scale
        planes = ycbcr(levels)
        height, width = (side * scale for side in levels.shape[2:])
        chroma = imresize(planes[:, 1:], height, width)
        return like(degraded, rgb(torch.cat([self.whole(planes[:, :1]), chroma], dim=1)))

    def _of_grey(self, levels: Tensor) -> Tensor:
        """One channel of grey images restored."""
        return grey_of_luma(self.whole(luma_of_grey(levels))) if self.sees_luma else self.whole(levels)

    def whole(self, levels: Tensor) -> Tensor:
        """Planes of grey levels restored, as `sampling` says."""

        def run(planes: Tensor) -> Tensor:
            return tiled(
                self, self.prepared(planes), radius=self.radius, scale=self.factor, tile=self.sampling.tile
            )

        planes = levels / RANGE
        return (ensemble(run, planes) if self.sampling.ensemble else run(planes)) * RANGE

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """PSNR in dB over patches of images that are not learned from, the same degraded patches each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            own = images[:, :1] if self.channels == 1 and is_grey(images) else images
            clean = self.planes(own.float() / (RANGE / 2) - 1)
            made = self(self.degraded(clean))
        errors = (made.float().clamp(0, 1) - clean).square().mean((1, 2, 3)).clamp_min(1e-12)
        return {"held_out_psnr": float(-10 * errors.log10().mean())}


def told(spec: ImageSpec, name: str) -> Degradation:
    """The degradation that a model is told of; `InputError` where it is asked for something else."""
    if spec.degradation is None:
        raise InputError(
            f"{name} restores images, and nothing is to be restored here; ask for a task that degrades"
        )
    return spec.degradation


def like(degraded: Tensor, levels: Tensor) -> Tensor:
    """Grey levels in the form of what was given: rounded and clipped to uint8, or as they are."""
    if degraded.dtype != torch.uint8:
        return levels
    return levels.round().clamp(0, 255).to(torch.uint8)
