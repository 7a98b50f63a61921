"""VQ-VAE (van den Oord et al. 2017): an autoencoder whose code is a map of codebook entries, and a prior on such
maps.

Pattern: two players. The autoencoder minimises the squared error of its reconstruction and β times the commitment
(equation 3; the gradient passes the codebook straight through, and the codebook moves by averages, appendix A.1). The
prior is the gated network of PixelCNN++ with a softmax over the entries; it learns the codes of the images, and no
gradient of it reaches the autoencoder. With `pretrain` the autoencoder learns alone for so many steps and then stands
still while the prior learns, the two stages of the paper; with 0 both learn in every step.

Trade-offs: p(x | z) is a Gaussian of unit variance in units of [-1, 1], so that its logarithm is the squared error up
to a constant; what is reported of it is an error and no likelihood. The weights of the autoencoder are not averaged
where a training averages: its codebook is an average already, and belongs to the encoder as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.autoregressive.codebook import Codebook, Quantized, perplexity, unused
from benchbench.models.autoregressive.logistic import choose
from benchbench.models.autoregressive.pixels import one_hot
from benchbench.models.autoregressive.two_streams import Plan, TwoStreams
from benchbench.models.nn.given import check_conditional, classes_asked_for, own_images


class VQVAE(nn.Module):
    """Vector-quantised autoencoder with a pixelcnn prior on its codes, by which it samples."""

    reference: ClassVar[str] = (
        "van den Oord et al. 2017, Neural Discrete Representation Learning, arXiv:1711.00937"
    )

    class Config(BaseModel, extra="forbid", frozen=True):
        """The autoencoder of section 4.1, and the prior."""

        width: int = Field(default=64, ge=1, le=8192, description="filters of the autoencoder")
        depth: int = Field(default=2, ge=1, le=6, description="halvings of the sides between image and code")
        residual: int = Field(default=2, ge=0, le=64, description="residual blocks on each side of the code")
        codes: int = Field(default=128, ge=2, le=65_536, description="entries of the codebook")
        dim: int = Field(default=32, ge=1, le=8192, description="numbers of an entry")
        beta: float = Field(default=0.25, ge=0, allow_inf_nan=False, description="weight of the commitment")
        decay: float = Field(default=0.99, ge=0, lt=1, description="γ of the codebook's averages")
        restart: float = Field(
            default=0.0,
            ge=0,
            allow_inf_nan=False,
            description="average choices a step below which an entry is moved to a vector of the batch; 0 = never",
        )
        pretrain: int = Field(
            default=0,
            ge=0,
            le=1_000_000,
            description="steps of the autoencoder alone, after which the prior learns alone; 0 = both in every step",
        )
        prior_width: int = Field(default=64, ge=1, le=4096, description="channels of the prior")
        prior_blocks: int = Field(
            default=2, ge=1, le=64, description="residual blocks of each stream of the prior on a level"
        )
        prior_levels: int = Field(default=1, ge=1, le=8, description="sizes of the maps in the prior")
        prior_dropout: float = Field(
            default=0.0, ge=0, lt=1, description="share of the prior's activations left out in training"
        )
        conditional: bool = Field(default=False, description="whether the prior is told the class")

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How codes are drawn."""

        temperature: float = Field(default=1.0, gt=0, le=10, description="divides the logits of the prior")

    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if config.conditional:
            check_conditional(spec)
        self.config, self.spec, self.conditional = config, spec, config.conditional
        # Sides that do not divide are padded on the way in and cropped on the way out.
        factor = 2**config.depth
        self.map = (-(-spec.height // factor), -(-spec.width // factor))
        self.padding = (0, self.map[1] * factor - spec.width, 0, self.map[0] * factor - spec.height)
        self.encoder = _encoder(config, spec.channels)
        self.codebook = Codebook(config.codes, config.dim, config.decay, config.restart)
        self.decoder = _decoder(config, spec.channels)
        plan = Plan(
            config.prior_width,
            config.prior_blocks,
            config.prior_levels,
            config.prior_dropout,
            spec.n_classes if config.conditional else 0,
        )
        self.embedding = nn.Embedding(config.codes, config.prior_width)
        self.prior = TwoStreams(config.prior_width, config.codes, plan)

    # Inside.

    def quantized(self, x: Tensor) -> Quantized:
        """Images in [-1, 1], N×C×H×W, to their codes, N×dim×map."""
        z = self.encoder(F.pad(x, self.padding, mode="replicate"))
        # In float32 whatever is around it, as the averages of the entries are kept.
        with torch.autocast(x.device.type, enabled=False):
            found: Quantized = self.codebook(z.float())
        return found

    def decoded(self, vectors: Tensor) -> Tensor:
        """Entries N×dim×map to images, float32 N×C×H×W."""
        x: Tensor = self.decoder(vectors)
        return x[..., : self.spec.height, : self.spec.width].float()

    def prior_nats(self, indices: Tensor, labels: Tensor | None) -> Tensor:
        """-log p of each entry after those before it, nats: int64 N×map to float32 N×map."""
        condition = None if labels is None else one_hot(labels, self.spec.n_classes)
        logits = self.prior(self.embedding(indices).movedim(-1, 1), condition)
        return F.cross_entropy(logits, indices, reduction="none")

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """The autoencoder, whose codebook moves without a gradient, and the prior."""
        return {
            "autoencoder": nn.ModuleList([self.encoder, self.decoder]),
            "prior": nn.ModuleList([self.embedding, self.prior]),
        }

    def turns(self, step: int) -> Sequence[str]:
        """Who learns in a step: by stages, so not by phases, which are in every step."""
        if not self.config.pretrain:
            return "autoencoder", "prior"
        return ("autoencoder",) if step < self.config.pretrain else ("prior",)

    def averaged(self) -> Sequence[nn.Module]:
        """The prior."""
        return [self.embedding, self.prior]

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 3 with averages for the codebook, a mean over values; or the prior's nats, a mean over entries."""
        if batch.total_steps <= self.config.pretrain:
            raise InputError(
                f"pretrain={self.config.pretrain} leaves the prior none of the {batch.total_steps} steps; lower "
                "model.pretrain or train for more steps"
            )
        if player == "prior":
            with torch.no_grad():
                z = self.encoder(F.pad(batch.x, self.padding, mode="replicate")).float()
                indices = self.codebook.nearest(z)
            labels = batch.labels if self.conditional else None
            nats = self.prior_nats(indices, labels).mean()
            return nats, {"bits_per_code": nats.detach() / math.log(2)}
        vectors, indices, commitment = self.quantized(batch.x)
        error = F.mse_loss(self.decoded(vectors), batch.x)
        logs = {
            "reconstruction": error,
            "commitment": commitment,
            "perplexity": perplexity(indices, self.config.codes),
        }
        return error + self.config.beta * commitment, {name: value.detach() for name, value in logs.items()}

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """Of held-out images: the error, how many entries are in use, how evenly, and what one costs the prior."""
        x = own_images(images, self.spec, self._device)
        vectors, indices, commitment = self.quantized(x)
        statistics = {
            "held_out_reconstruction": float(F.mse_loss(self.decoded(vectors), x)),
            "held_out_commitment": float(commitment),
            "held_out_perplexity": float(perplexity(indices, self.config.codes)),
            "dead_codes": float(unused(indices, self.config.codes)),
        }
        if not self.conditional:
            statistics["held_out_bits_per_code"] = float(self.prior_nats(indices, None).mean()) / math.log(2)
        return statistics

    # Autoencoder

    def encode(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W to the entries that stand for them, float32 (N, dim·map)."""
        return self.quantized(own_images(images, self.spec, self._device)).vectors.flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to uint8 RGB N×3×H×W; a vector that is no entry counts as the nearest one."""
        z = codes.view(len(codes), self.config.dim, *self.map).float()
        return quantize(self.decoded(self.codebook.vectors(self.codebook.nearest(z))))

    def reconstruct(self, images: Tensor) -> Tensor:
        """`decode(encode(images))`."""
        return self.decode(self.encode(images))

    # Generator

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images: a map of entries from the prior, one after the other, then the decoder. A conditional
        prior draws the labels that are not given, uniformly and first."""
        condition = None
        if self.conditional:
            asked = classes_asked_for(labels, self.spec.n_classes, rng, self._device)
            condition = one_hot(asked, self.spec.n_classes)
        draws = rng.on_device()
        indices = torch.zeros(n, *self.map, dtype=torch.int64, device=self._device)

        def entry(logits: Tensor, y: int, x: int) -> Tensor:
            indices[:, y, x] = choose(logits / self.sampling.temperature, draws.uniform().to(self._device))
            vectors: Tensor = self.embedding(indices[:, y, x])
            return vectors

        self.prior.draw(
            self.embedding.weight.new_zeros(n, self.config.prior_width, *self.map), entry, condition
        )
        return quantize(self.decoded(self.codebook.vectors(indices)))

    @property
    def _device(self) -> torch.device:
        return self.embedding.weight.device


class Residual(nn.Module):
    """ReLU, 3×3, ReLU, 1×1, and what came in (section 4.1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to the same shape."""
        made: Tensor = x + self.layers(x)
        return made


def _encoder(config: VQVAE.Config, channels: int) -> nn.Sequential:
    """Images to vectors: halving 4×4 convolutions, residual blocks, and a 1×1 convolution to the size of an entry."""
    layers: list[nn.Module] = []
    for level in range(config.depth):
        before = config.width if level else channels
        layers += [nn.Conv2d(before, config.width, 4, stride=2, padding=1), nn.ReLU()]
    layers.append(nn.Conv2d(config.width, config.width, 3, padding=1))
    layers += [Residual(config.width) for _ in range(config.residual)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(config.width, config.dim, 1))


def _decoder(config: VQVAE.Config, channels: int) -> nn.Sequential:
    """The way back, by doubling 4×4 transposed convolutions."""
    layers: list[nn.Module] = [nn.Conv2d(config.dim, config.width, 3, padding=1)]
    layers += [Residual(config.width) for _ in range(config.residual)]
    for level in range(config.depth):
        after = channels if level == config.depth - 1 else config.width
        layers += [nn.ReLU(), nn.ConvTranspose2d(config.width, after, 4, stride=2, padding=1)]
    return nn.Sequential(*layers)
