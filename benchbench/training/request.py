"""What training refuses before anything is computed, each in one sentence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.protocols import Standing, Trainable, Translator
from benchbench.data.pipeline.image_source import Images, size_of
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.step.diffaugment import policy_names
from benchbench.training.step.standing import batch_norms
from benchbench.training.watch.monitor import Monitor

_PRECISIONS = {"cuda": ("fp32", "tf32", "bf16", "fp16"), "cpu": ("fp32", "bf16")}
"""In which precisions products can be computed while training, by the kind of device."""


def check_request(
    model: nn.Module,
    data: TrainingData,
    config: TrainingConfig,
    device: torch.device,
    monitor: Monitor | None,
) -> None:
    """Raise `InputError` for what cannot be done."""
    name = type(model).__name__
    if not isinstance(model, Trainable):
        raise InputError(f"{name} has nothing to train: it defines no players and loss")
    _check_images(data.images, "training images")
    _check_images(data.held_out, "held-out images")
    if not len(data.images) or not len(data.held_out):
        raise InputError("training needs at least one training image and one held-out image")
    able = _PRECISIONS.get(device.type, ("fp32",))
    if config.precision not in able:
        raise InputError(
            f"precision {config.precision} needs a CUDA device but training runs on {device.type}; use "
            f"{' or '.join(able)}"
        )
    if isinstance(model, Translator):
        _check_domains(model, data, config)
    players = model.players()
    for setting, named in (("player_lr", config.player_lr), ("player", config.player)):
        for player in named:
            if player not in players:
                raise InputError(
                    f"{setting} names {player!r} but the players of {name} are: {', '.join(players)}"
                )
    if config.patience and len(players) > 1:
        raise InputError(
            f"{name} has several players ({', '.join(players)}), whose losses do not say which epoch is "
            "best; leave patience at 0"
        )
    if data.conditions is not None:
        if len(data.conditions) != len(data.images):
            raise InputError(
                f"there are {len(data.conditions)} captions of {len(data.images)} training images; give each image one"
            )
        if config.selects:
            raise InputError(
                f"{name} learns from captions, and weights are chosen by images without any; leave patience at 0 and "
                "checkpoint at last"
            )
    if config.class_balanced and data.labels is None:
        raise InputError(
            "class_balanced needs labels but the training images have none; leave it off, or use a dataset "
            "with labels"
        )
    if config.standing_statistics and not (isinstance(model, Standing) and batch_norms(model)):
        raise InputError(
            f"{name} has no batch norms that standing statistics could be taken of; leave "
            "standing_statistics at 0"
        )
    if config.monitor_every and monitor is None:
        raise InputError(
            f"monitor_every={config.monitor_every} asks for scans of what {name} generates but there is no "
            "monitor; leave it at 0, or pass one"
        )


def _check_images(images: Images, what: str) -> None:
    """Of a source, the first image."""
    if isinstance(images, Tensor):
        check_images(images, what)
    elif len(images):
        check_images(images.batch(torch.zeros(1, dtype=torch.int64)), what)


def _check_domains(model: Translator, data: TrainingData, config: TrainingConfig) -> None:
    name, images, held_out, other = type(model).__name__, data.images, data.held_out, data.second
    if other is None:
        raise InputError(f"{name} turns one domain into another but was given one domain only")
    for title, a, b in (("training", images, other.images), ("held-out", held_out, other.held_out)):
        _check_images(b, f"{title} images of the other domain")
        if not len(b):
            raise InputError(f"the other domain has no {title} images")
        (h0, w0), (h1, w1) = size_of(a), size_of(b)
        if (h0, w0) != (h1, w1):
            raise InputError(
                f"the {title} images of one domain are {w0}×{h0} but those of the other are {w1}×{h1}; "
                "resize them to one size"
            )
    if model.paired and not (other.aligned and len(images) == len(other.images)):
        raise InputError(
            f"{name} learns from pairs but the {len(images)} and {len(other.images)} training images of the two "
            "domains are not paired; use a model for unpaired images, for example cyclegan"
        )
    if model.paired and "color" in policy_names(config.diffaugment):
        raise InputError(
            f"the discriminator of {name} sees input and output as one image, whose colours diffaugment=color would "
            "mix; use translation and cutout"
        )
