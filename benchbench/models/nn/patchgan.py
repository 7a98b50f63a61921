"""PatchGAN (Isola et al. 2017, section 3.2.2 and appendix 6.1.2): a discriminator of patches, not of images.

Convolutions alone, so that each output looks at one patch and the game is about texture at the size of that patch;
what holds the whole together is another loss (L1, the cycle). C64-C128-C256-C512 in the paper's words: 4×4
convolutions with LeakyReLU of slope 0.2, `layers` of them halving, the next and the last, which makes the scores,
with stride 1; a norm everywhere but at the first and the last. Three halving layers see patches of 70×70.

Trade-off: at 32×32 pixels a 70×70 patch is the whole image with its padding (the four scores of three layers differ
in what they see of the border alone); two layers see 34×34, one 16×16.
"""

from __future__ import annotations

from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.dcgan import SLOPE, channels_by_level
from benchbench.models.nn.unet import NORMS, Norm
from benchbench.models.translation.translator import conv_weights

KERNEL = 4


class PatchGAN(nn.Module):
    """Images N×in_channels×H×W to one score a patch, N×1×h×w; higher for what it takes for real.

    in_channels: those of `spec`, and of the condition where there is one. width: channels of the first layer, doubled
    with each up to 8 times. Raises `InputError` for images that `layers` halvings leave no score for.
    """

    def __init__(self, spec: ImageSpec, in_channels: int, width: int, layers: int, norm: Norm) -> None:
        super().__init__()
        if min(spec.height, spec.width) < 3 * 2**layers:
            raise InputError(
                f"a PatchGAN with {layers} halving layers needs images of at least "
                f"{3 * 2**layers}×{3 * 2**layers} pixels but these are {spec.width}×{spec.height}; "
                "lower disc_layers or resize the dataset"
            )
        channels = channels_by_level(width, layers + 1)
        stack: list[nn.Module] = []
        for level, (before, after) in enumerate(zip([in_channels, *channels], channels, strict=False)):
            stride = 2 if level < layers else 1
            stack.append(nn.Conv2d(before, after, KERNEL, stride, padding=1, bias=not level))
            if level:
                stack.append(NORMS[norm](after))
            stack.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*stack, nn.Conv2d(channels[-1], 1, KERNEL, padding=1))
        conv_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.float()

    def receptive_field(self) -> int:
        """The side of the patch a score looks at, pixels, from the layers there are.

        Backwards from one output: r ← (r - 1)·stride + kernel (Isola et al. 2017, appendix 6.1.2: 70 for 3 layers).
        """
        field = 1
        for conv in reversed([layer for layer in self.layers if isinstance(layer, nn.Conv2d)]):
            field = (field - 1) * conv.stride[0] + conv.kernel_size[0]
        return field
