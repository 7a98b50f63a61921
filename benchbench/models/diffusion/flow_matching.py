"""Flow matching (Lipman et al. 2023), rectified flow (Liu et al. 2023) and optimal transport coupling (Tong et al.
2024).

The network is asked for the velocity of a path from noise to an image (`paths`), by the squared error of conditional
flow matching (Lipman et al., equation 9). Which noise goes to which image of a batch is drawn, or chosen so that the
ways are short (`coupling="ot"`, of models that are told neither class nor caption). Images are noise carried along the
velocity by a solver of `ode`; the same equation backwards is their probability (`density`), of models without a class
told.

Time runs from noise at 0 to images at 1. Scope: no reflow (Liu et al., section 2.2: a second model on the couplings
of a first).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from benchbench.core.device_rng import DeviceRng
from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.diffusion.density import Flow, FlowConfig, FlowSampling, Way
from benchbench.models.diffusion.diffusion import Ask
from benchbench.models.diffusion.ode import Solver, dopri5, fixed, heun_to_images
from benchbench.models.diffusion.paths import PATHS, PathName, at, optimal_coupling

TIMES = 1000  # on the network's scale, where a step of 1 is small


class FlowMatching(Flow):
    """A velocity field that carries noise to images."""

    reference: ClassVar[str] = "Lipman et al. 2023, Flow Matching for Generative Modeling, arXiv:2210.02747"

    class Config(FlowConfig, frozen=True):
        """The network, the path, and how images and noise meet."""

        path: PathName = Field(default="ot", description="from noise to an image")
        coupling: Literal["independent", "ot"] = Field(
            default="independent", description="which noise goes to which image of a batch"
        )

    class Sampling(FlowSampling, frozen=True):
        """Lipman et al.'s own: solver dopri5, tolerance 1e-5."""

        solver: Solver | Literal["dopri5"] = "euler"
        steps: int = Field(
            default=50,
            ge=1,
            le=10_000,
            description="of euler, midpoint and heun; the last two ask the network twice, heun not at the end",
        )

    config: Config
    sampling: Sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        # Noise that was chosen for an image knows its class, and images of a class are drawn from noise that does not.
        if config.coupling == "ot" and (config.conditional or spec.condition_dim):
            raise InputError(
                "coupling=ot chooses noise by the image, and a model that is told the class or caption of an image "
                "draws it from noise that nobody chose; use coupling=independent"
            )
        super().__init__(config, spec)

    def coupled(self, x: Tensor, noise: Tensor) -> Tensor:
        """The same noise in another order where the coupling is optimal."""
        return noise[optimal_coupling(x, noise)] if self.config.coupling == "ot" else noise

    def errors(self, x: Tensor, noise: Tensor, u: Tensor, ask: Ask) -> Tensor:
        """Lipman et al. 2023, equation 9, at the time u."""
        place, velocity = at(PATHS[self.config.path], x, noise, u)
        return (ask(place, TIMES * u) - velocity).square()

    def draw(self, noise: Tensor, draws: DeviceRng, ask: Ask) -> Tensor:
        """Along the velocity from 0 to 1, by the solver that `sampling` names."""
        how, shape = self.sampling, noise.shape

        def velocity(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
            return ask(y.view(-1, *shape[1:]), TIMES * t, rows).flatten(1)

        start = noise.flatten(1)
        if how.solver == "dopri5":
            return dopri5(velocity, start, 0.0, 1.0, how.tolerance).view(shape)
        if how.solver == "heun":
            return heun_to_images(velocity, start, 0.0, 1.0, how.steps).view(shape)
        return fixed(velocity, start, 0.0, 1.0, how.steps, how.solver).view(shape)

    def way(self, ask: Ask) -> Way:
        """The same equation backwards."""
        return Way(lambda t, x, rows: ask(x, TIMES * t, rows), 1.0, 0.0, 1.0)
