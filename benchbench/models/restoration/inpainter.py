"""What inpainters share: what they refuse, how learned ones are taught, and how they fill images of any size.

Pattern: a family supplies a network that fills what it can see (`once`) and says how far it reached; where it did not,
for the hole is wider than what it sees, the image at half its sides is filled in the same way and enlarged. Images are
filled one by one, so that none depends on those beside it.

A network of one channel, as grey photographs train it, fills each channel of a colour image alone.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.arrays import dtype_text, shape_text
from benchbench.core.errors import InputError
from benchbench.core.images import check_images, quantize, to_signed
from benchbench.core.protocols import Batch, ImageSpec
from benchbench.data.degrade.holes import drawn
from benchbench.models.nn.whole_images import dihedral
from benchbench.models.restoration.restorer import RestorerConfig, told


def check_holes(images: Tensor, holes: Tensor) -> None:
    """`InputError` for what is no batch of images, for holes that are not theirs, and for an image of which nothing is
    known. An image without a hole is none of these: it stays as it is."""
    check_images(images, "images with holes")
    n, _, height, width = images.shape
    if holes.dtype != torch.bool or holes.shape != (n, 1, height, width):
        raise InputError(
            f"holes must be bool {n}×1×{height}×{width}, one plane an image and True where a pixel is missing, "
            f"but are {dtype_text(holes)} {shape_text(holes)}"
        )
    if whole := int(holes.flatten(1).all(1).sum()):
        raise InputError(
            f"of {whole} of {n} images all pixels are missing, and nothing is left to fill them from; give smaller "
            "holes"
        )


class LearnedInpainter(nn.Module):
    """A network that fills holes.

    Attributes:
        patch: The side of the square pieces of images that it learns from, in pixels.
        undoes: The tasks that it is made for.
        blind: It learns holes of all kinds and sizes, whichever it is asked to fill.
    """

    patch: ClassVar[int]
    undoes: ClassVar[tuple[str, ...]] = ("inpaint",)
    blind: ClassVar[bool] = True

    def __init__(self, config: RestorerConfig, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.channels = 3 if config.colour else 1
        told(spec, type(self).__name__)

    def once(self, planes: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of one image at this size.

        Args:
            planes: float32 in [-1, 1], N×channels×H×W; whatever lies in the hole is not looked at.
            hole: bool 1×1×H×W, the same for all planes.

        Returns:
            Planes of the same shape, of which those in the hole count, and how far each pixel was reached, float32
            1×1×H×W from 0 (not at all) to 1.
        """
        raise NotImplementedError

    # Trainable

    def planes(self, x: Tensor) -> Tensor:
        """Pieces as the network takes them, float32 in [-1, 1], N×channels×H×W, turned and flipped by torch's global
        generator."""
        if self.channels == 3 and x.shape[1] == 1:
            raise InputError(
                f"{type(self).__name__} with colour=true learns from colour images, and these are grey; leave it out"
            )
        turned = dihedral(x, int(torch.randint(8, ())))
        return turned.reshape(-1, self.channels, *turned.shape[2:])

    def with_holes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a loss is computed on: planes, and their holes, bool N×1×H×W."""
        planes = self.planes(batch.x)
        return planes, drawn(len(planes), *planes.shape[2:]).to(planes.device)

    # Inpainter

    def inpaint(self, images: Tensor, holes: Tensor) -> Tensor:
        """As `Inpainter.inpaint`."""
        check_holes(images, holes)
        made = [
            self._filled(image, hole) for image, hole in zip(images[:, None], holes[:, None], strict=True)
        ]
        return torch.where(holes, torch.cat(made), images)

    def _filled(self, image: Tensor, hole: Tensor) -> Tensor:
        """One image, uint8 RGB 1×3×H×W, and its hole, bool 1×1×H×W."""
        if not hole.any():
            return image
        levels = to_signed(image.masked_fill(hole, 0))
        if self.channels == 3:
            return quantize(self.fill(levels, hole))
        grey = all(torch.equal(levels[:, 0], levels[:, other]) for other in (1, 2))
        made = self.fill(levels[0, :1, None] if grey else levels[0, :, None], hole)
        return quantize(made[:, 0][None].expand(1, 3, -1, -1))

    def fill(self, planes: Tensor, hole: Tensor) -> Tensor:
        """Planes without a hole: those of `once`, and where it did not reach, those of the image at half its sides.

        Args:
            planes: As for `once`.
            hole: Likewise.

        Returns:
            float32 in [-1, 1], N×channels×H×W.
        """
        made, reached = self.once(planes.masked_fill(hole, 0), hole)
        made = made.clamp(-1, 1)
        height, width = planes.shape[2:]
        if max(height, width) > self.patch and bool((reached[hole] < 1).any()):
            coarse = F.interpolate(self.fill(*halved(planes, hole)), scale_factor=2.0, mode="bilinear")
            made = reached * made + (1 - reached) * coarse[..., :height, :width]
        return torch.where(hole, made, planes)

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """PSNR in dB in the holes of pieces that are not learned from, the same holes each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            planes = self.planes(to_signed(images[:, : self.channels]))
            holes = drawn(len(planes), *planes.shape[2:]).to(planes.device)
            made = self(planes, holes).float().clamp(-1, 1)
        return {"held_out_psnr_hole": float(psnr_in(made, planes, holes))}


def halved(planes: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """An image at half its sides, rounded up: each pixel is the mean of the known ones among its four, and missing
    where none is.

    Args:
        planes: float32 N×C×H×W.
        hole: bool 1×1×H×W.

    Returns:
        float32 N×C×h×w, 0 where a pixel is missing, and bool 1×1×h×w.
    """
    odd = (0, planes.shape[3] % 2, 0, planes.shape[2] % 2)
    known = F.pad((~hole).to(planes.dtype), odd)
    shares = F.avg_pool2d(known, 2)
    means = F.avg_pool2d(F.pad(planes, odd) * known, 2) / shares.clamp_min(0.25)
    return means, shares == 0


def mean_in(values: Tensor, holes: Tensor) -> Tensor:
    """Mean of N×C×H×W over the missing pixels of all images, one number."""
    weights = holes.to(values.dtype).expand_as(values)
    return (values * weights).sum() / weights.sum()


def psnr_in(made: Tensor, planes: Tensor, holes: Tensor) -> Tensor:
    """PSNR in dB over the missing pixels of planes in [-1, 1], the mean over images."""
    weights = holes.to(made.dtype)
    errors = ((made - planes).square().mean(1, keepdim=True) * weights).sum((1, 2, 3)) / weights.sum(
        (1, 2, 3)
    )
    return -10 * (errors / 4).clamp_min(1e-12).log10().mean()
