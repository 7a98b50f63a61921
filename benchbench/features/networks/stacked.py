"""Extractors of `stacked-digits` and `stacked-mnist`: the base dataset's classifier on each colour channel.

As in Metz et al. 2017, Srivastava et al. 2017 and Lin et al. 2018: each channel is shown to a classifier of single
digits as a grey image, and the three answers make one of 1,000 classes. The channels are judged independently, so the
log-probability of class 100a + 10b + c is the sum of three log-softmaxes. An error in one digit is an error in the
class: a classifier that is right on 98.3% of digits is right on about 95.0% of stacked ones. Of a base with K classes
there are K³, class aK² + bK + c.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.networks.cnn import CNN


class Stacked(FrozenExtractor):
    """The extractor of `stacked-<base>`; `Stacked.of(base)` makes the class."""

    batch_size = CNN.batch_size // 3
    alone = True

    base: ClassVar[type[CNN]]

    @classmethod
    def of(cls, base: str) -> type[Stacked]:
        """The class of a base dataset; `InputError` as `CNN.of`."""
        return _stacked(CNN.of(base))  # type: ignore[arg-type]  # a class is hashable

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        """`MetricFailed(status="unavailable")` in the classifier's own words where its weights are missing."""
        single = self.base(device, precision=precision)
        self.dim, self.n_logits = 3 * single.dim, single.n_logits**3
        self.resize, self.input_side = single.resize, single.input_side
        super().__init__(single.network, device, single.weights_sha256, single.weights_source, precision)
        self.single = single

    def forward(self, images: Tensor) -> Features:
        channels = images.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        seen = self.single.forward(channels)
        assert seen.logits is not None
        a, b, c = seen.logits.log_softmax(dim=1).unflatten(0, (-1, 3)).unbind(1)
        classes = a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]
        return Features(seen.features.unflatten(0, (-1, 3)).flatten(1), classes.flatten(1))


@cache
def _stacked(base: type[CNN]) -> type[Stacked]:
    name = f"modes_stacked-{base.dataset}"
    about = f"Which class of stacked-{base.dataset}: `{base.name}` on each colour channel."
    said = {"name": name, "classes_of": f"stacked-{base.dataset}", "field_names": {"modes": name}}
    seen = {which: getattr(base, which) for which in ("resize", "input_side") if hasattr(base, which)}
    return type("ModesStacked", (Stacked,), {"__doc__": about, "base": base, **said, **seen})
