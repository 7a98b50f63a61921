"""Who finds the codes of given images for a model.

A model that has `invert` and `decode` does it itself. For ours, classes by name: who looks for their codes. They are
imported when a model of such a class is asked, and stand for its subclasses too; the nearest one counts. Any other
`Autoencoder` has its encoder.
"""

from __future__ import annotations

from importlib import import_module

from torch import nn

from benchbench.core.protocols import Autoencoder, Invertible
from benchbench.models.by_class import of_nearest_class
from benchbench.models.inversion.descent import Descent
from benchbench.models.inversion.encoder import Encoded

INVERTERS = {
    "benchbench.models.flows.real_nvp:RealNVP": "benchbench.models.inversion.exact:Normal",
    "benchbench.models.diffusion.flow_matching:FlowMatching": "benchbench.models.inversion.ode:FlowNoise",
    "benchbench.models.diffusion.edm:EDM": "benchbench.models.inversion.ode:EDMNoise",
    "benchbench.models.diffusion.ddpm:DDPM": "benchbench.models.inversion.ode:DDIMNoise",
    "benchbench.models.gan.adversarial:Adversarial": "benchbench.models.inversion.latents:Latents",
    "benchbench.models.gan.stylegan2:StyleGAN2": "benchbench.models.inversion.latents:Styles",
}


def inverter_of(model: nn.Module, descent: Descent) -> Invertible | None:
    """Who finds the codes of images for this model.

    Args:
        model: Built; trained or not.
        descent: How codes are looked for where nothing tells them.

    Returns:
        The model itself, or what looks for its codes; None for a model without codes of images.

    Raises:
        InputError: It has some, but not as it is drawn from: noise on the way cannot be undone.
    """
    if isinstance(model, Invertible):
        return model
    if (found := of_nearest_class(model, INVERTERS)) is not None:
        module, name = found.split(":")
        inverter: Invertible = getattr(import_module(module), name)(model, descent)
        return inverter
    return Encoded(model) if isinstance(model, Autoencoder) else None
