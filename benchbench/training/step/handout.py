"""The weights that are handed out: those of the last step, their average, or the best that were kept.

Whatever scans a model while it trains sees these weights, with generators of its own: scanning moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.device import synchronize
from benchbench.core.errors import CellFailed
from benchbench.training.config import TrainingConfig
from benchbench.training.isolation import private_random_state
from benchbench.training.step.ema import EMA
from benchbench.training.step.standing import measure_batch_norms


class Handout:
    """Keeps what may be handed out at the end.

    labels: of the training images, on the device; standing statistics are taken in their shares. early: weights of the
    epoch with the lowest validation loss; best: of the scan with the lowest distance; on the CPU, None before there
    are any.
    """

    def __init__(
        self, model: nn.Module, config: TrainingConfig, labels: Tensor | None, device: torch.device
    ) -> None:
        self._model, self._config, self._labels, self._device = model, config, labels, device
        self._ema = EMA(model, config.average) if config.average else None
        self.early: dict[str, Tensor] | None = None
        self.best: dict[str, Tensor] | None = None

    def update(self, images: int) -> None:
        """Take in the weights after one more step on batches of so many images."""
        if self._ema:
            self._ema.update(images)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Eval mode, the weights that would be handed out now, no gradients; no generator moves."""
        training = {key: value.clone() for key, value in self._model.state_dict().items()}
        with private_random_state(self._device), torch.inference_mode():
            self._put_current()
            yield
        self._model.load_state_dict(training)
        synchronize(self._device)  # else what is still under way would count as training time

    def _put_current(self) -> None:
        """Put the averaged weights, where there is an average, into the model, and it into eval mode."""
        if self._ema:
            self._model.load_state_dict(self._model.state_dict() | self._ema.state)
        self._model.eval()
        if n := self._config.standing_statistics:
            measure_batch_norms(self._model, n, self._config.batch_size, self._device, self._labels)

    def copy(self) -> dict[str, Tensor]:
        """The weights that are in the model now, on the CPU."""
        with torch.inference_mode(False):  # what is made in inference mode stays bound to it
            return {key: value.to("cpu", copy=True) for key, value in self._model.state_dict().items()}

    def hand_out(self) -> None:
        """Put the weights that training ends with into the model: the best, where best was asked for."""
        kept = self.best if self._config.checkpoint == "best" else self.early
        if self._config.checkpoint == "best" and kept is None:
            raise CellFailed("no scan of the monitor found a distance that is a number; use checkpoint=last")
        if kept is None:
            with torch.inference_mode():
                self._put_current()
        else:
            self._model.load_state_dict(kept)
            self._model.eval()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        average = (self._ema.state, self._ema.updates) if self._ema else None
        return {"ema": average, "early": self.early, "best": self.best}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """What `state_dict` returned, among other things."""
        if self._ema:
            state, self._ema.updates = saved["ema"]
            self._ema.state = {key: state[key].to(self._device) for key in self._ema.state}
        self.early, self.best = saved["early"], saved["best"]
