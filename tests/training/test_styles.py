"""Styles that are trained together are trained as if each were alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchbench.core.protocols import ImageSpec
from benchbench.models.style.fast_style import FastStyle
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

CPU = torch.device("cpu")


def pictures(n: int, seed: int) -> Tensor:
    """uint8 N×3×32×32: 4×4 blocks of colour."""
    blocks = torch.randint(0, 250, (n, 3, 4, 4), generator=torch.Generator().manual_seed(seed))
    return blocks.repeat_interleave(8, 2).repeat_interleave(8, 3).to(torch.uint8)


STYLES, CONTENTS = pictures(2, 1), pictures(5, 2)


def model(styles: Tensor) -> FastStyle:
    torch.manual_seed(0)
    made = FastStyle(
        FastStyle.Config(width=4, blocks=1), ImageSpec(32, 32, grey=False, n_classes=len(styles))
    )
    made.show_styles(styles)
    return made


def go(styled: FastStyle) -> TrainingResult:
    """Adam, averaged weights, and a limit below the norm of every gradient."""
    config = TrainingConfig(steps=5, batch_size=2, lr=5e-3, clip_norm=1e-3, ema_decay=0.9)
    return train(styled, TrainingData(CONTENTS, None, CONTENTS), config, seed=3, device=CPU)


@pytest.mark.costly
def test_styles_do_not_touch_each_other() -> None:
    """Two styles together and each alone, from the same initial weights, on the same batches, all gradients longer than
    the limit: the same weights and the same loss of a network, bit for bit. Clipped by their joint norm, each network's
    steps would depend on the other's gradient. Exact: the same operations on one thread in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        together = model(STYLES)
        networks = [
            {key: value.clone() for key, value in own.state_dict().items()} for own in together.networks
        ]
        both = go(together).curves[-1]
        for k in range(2):
            alone = model(STYLES[k : k + 1])
            alone.networks[0].load_state_dict(networks[k])
            row = go(alone).curves[-1]
            assert row["grad_norm"] > 1e-2
            assert row["loss"] == both[f"loss_style{k}"]
            trained = together.networks[k].state_dict()
            for key, value in alone.networks[0].state_dict().items():
                assert torch.equal(value, trained[key]), key
                assert key.endswith("bias") or not torch.equal(value, networks[k][key])
    finally:
        torch.set_num_threads(threads)
