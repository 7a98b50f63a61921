"""Generators that others exported with TorchScript: images made on the spot, from latents that are ours.

The module is called with float32 N×latent standard normal latents, and int64 labels (N,) if it is
conditional. Image i of a run draws both from its own stream (`core.seeds`), labels first. The images are
made in batches of a fixed size, so that they do not depend on how many the consumer asks for at a time.

TorchScript has its own interpreter and unpickler: loading such a file does not run Python code of its author.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng, image_rngs

BATCH = 32
"""Images a forward pass. Fixed, because a network's last bits change with it."""

SLACK = 1e-3
"""How far beyond [-1, 1] rounding may carry a tanh, with room to spare; a quarter of half a grey level."""


class ScriptedGenerator:
    """A TorchScript generator in eval mode, and what to ask it for."""

    def __init__(
        self,
        path: Path,
        *,
        latent: int,
        samples: int,
        classes: int | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """`InputError` if `path` is not TorchScript, or cannot be called with what is given.

        latent: length of a latent vector. samples: how many images. classes: labels are uniform on
        0..classes-1, for a conditional generator only.
        """
        for name, value in (("latent", latent), ("samples", samples), ("classes", classes)):
            if value is not None and value < 1:
                raise InputError(f"--{name} {value} is not possible; use 1 or more")
        self.path, self.latent, self.samples, self.classes = path, latent, samples, classes
        self.seed, self.device = seed, torch.device(device)
        try:
            with warnings.catch_warnings():
                # torch deprecates making such files; there will be files for years.
                warnings.filterwarnings("ignore", message=".*torch.jit.load", category=FutureWarning)
                self._module = torch.jit.load(path, map_location=self.device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(
                f"{path} is not a TorchScript file ({str(error).splitlines()[0]}); "
                "export the generator with torch.jit.trace(generator, latents).save(PATH)"
            ) from error
        self._check_arguments()

    def labels(self) -> Tensor | None:
        """The labels of all images, int64 (samples,); None for an unconditional generator."""
        if self.classes is None:
            return None
        return ImageRng(self.seed, range(self.samples)).integers(self.classes)

    def images(self) -> Generator[Tensor, None, None]:
        """All images, uint8 N×3×H×W on the CPU, `BATCH` at a time."""
        for rng in image_rngs(self.seed, range(self.samples), BATCH, self.device):
            yield self._forward(rng)

    def repeats_itself(self) -> bool:
        """Whether the first images come out the same twice; a generator with noise of its own fails this."""
        first, again = (
            self._forward(ImageRng(self.seed, range(min(BATCH, self.samples)), self.device)) for _ in range(2)
        )
        return torch.equal(first, again)

    def _check_arguments(self) -> None:
        if not hasattr(self._module, "forward"):
            raise InputError(f"{self.path} has no forward method; export the generator itself")
        arguments = self._module.forward.schema.arguments[1:]
        required = sum(not argument.has_default_value() for argument in arguments)
        if required > 2 or not arguments:
            raise InputError(
                f"the generator in {self.path} takes {required} arguments; "
                "it may take latents, or latents and labels"
            )
        if required == 2 and self.classes is None:
            raise InputError(
                f"the generator in {self.path} is conditional (it takes {arguments[0].name} and "
                f"{arguments[1].name}); pass --classes K for random labels 0..K-1"
            )
        if len(arguments) < 2 and self.classes is not None:
            raise InputError(f"the generator in {self.path} takes no labels; leave --classes out")

    def _forward(self, rng: ImageRng) -> Tensor:
        n = len(rng)
        labels = [] if self.classes is None else [rng.integers(self.classes)]
        latents = rng.normal(self.latent)
        try:
            # Not around a whole pass: inference mode belongs to a thread, and passes may end in another one.
            with torch.inference_mode():
                made = self._module(latents, *labels)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(
                f"the generator in {self.path} failed on {n}×{self.latent} latents ({reason}); "
                "check --latent, and that it was exported for any batch size"
            ) from error
        return self._to_uint8(made, n, first=rng.indices[0] == 0).cpu()

    def _to_uint8(self, made: object, n: int, first: bool) -> Tensor:
        what = f"the generator in {self.path}"
        if not isinstance(made, Tensor):
            raise InputError(f"{what} returns a {type(made).__name__}; it must return one tensor of images")
        if made.ndim != 4 or made.shape[0] != n or made.shape[1] not in (1, 3):
            raise InputError(
                f"{what} returns {'×'.join(map(str, made.shape))} for {n} latents; it must return N×3×H×W"
            )
        if made.dtype == torch.uint8:
            return made.expand(-1, 3, -1, -1)
        if not made.is_floating_point():
            raise InputError(
                f"{what} returns {made.dtype}; it must return floats in [-1, 1] or uint8 in 0..255"
            )
        images = made.float()
        if not images.isfinite().all():
            raise InputError(f"{what} returns values that are not numbers (NaN or infinite)")
        low, high = images.min().item(), images.max().item()
        if low < -1 - SLACK or high > 1 + SLACK:
            raise InputError(
                f"{what} returns floats from {low:g} to {high:g}; "
                "it must return [-1, 1] (clamp or scale at its end) or uint8 in 0..255"
            )
        if first and low >= 0:
            raise InputError(
                f"{what} returns floats from {low:g} to {high:g}, which seem to be in [0, 1]; "
                "it must return [-1, 1] (multiply by 2 and subtract 1 at its end) or uint8 in 0..255"
            )
        return quantize(images)
