"""The family `cnn:<dataset>`: the project's own `cnn` classifiers, trained on the dataset itself, as extractors.

ImageNet networks have no class for "a seven". Which modes of a dataset a generator covers is asked of a
classifier of that dataset (Srivastava et al. 2017), and this is it: the weights that `benchbench
run --model cnn --dataset NAME` leaves, one extractor a dataset, whoever's the dataset is.

The weights are those that `BENCHBENCH_CNN_<DATASET>_WEIGHTS` names, else those in `baselines/cnn-<dataset>/`. There a
`extractor.toml` beside them says what they do not: to which side images are brought (`Shipped`). Of weights that a user
names for a dataset of which we know nothing, the record beside them, `run.json`, says at which size they were trained.

The network is read off the weights' names and shapes (`levels.<level>.<layer>`, 3×3 convolutions in turn with
batch norms, averages of 2×2 between levels) with every batch norm folded into the convolution before it. The
class that trains is in the models room, which this room does not know; a test holds the two together.

Scope: images of another size than the classifier was trained on are resized by antialiased bilinear
interpolation in float32. A classifier of grey images looks at the mean of the channels.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.baselines import TRAITS, WEIGHTS, baselines_folder
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.toml import read_toml
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, fold_batch_norm
from benchbench.features.weights import check_sha256, read_state_dict, wrong_shape

_LAYERS = 3  # convolution, batch norm, ReLU


class FoldedCNN(nn.Module):
    """Float images in [-1, 1], N×C×H×W -> float32 features N×D and logits N×K, as the weights say."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """`weights`: the state dict of a trained `cnn`. KeyError or RuntimeError for another network's."""
        super().__init__()
        left = dict(weights)

        def take(prefix: str) -> dict[str, Tensor]:
            names = [name for name in left if name.startswith(f"{prefix}.")]
            return {name.removeprefix(f"{prefix}."): left.pop(name) for name in names}

        levels = []
        for number in itertools.count():
            level: list[nn.Module] = []
            for layer in itertools.count(step=_LAYERS):
                conv = take(f"levels.{number}.{layer}")
                if not conv:
                    break
                norm = take(f"levels.{number}.{layer + 1}")
                weight, bias = fold_batch_norm(conv["weight"], norm, eps=1e-5)
                folded = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=3, padding=1)
                folded.load_state_dict({"weight": weight, "bias": bias})
                level += [folded, nn.ReLU(inplace=True)]
            if not level:
                break
            levels.append(nn.Sequential(*level))
        head = take("head")
        self.head = nn.Linear(head["weight"].shape[1], head["weight"].shape[0])
        self.head.load_state_dict(head)
        if left or not levels:
            raise KeyError(f"{next(iter(left), 'nothing')} is not what a cnn has")
        self.levels = nn.ModuleList(levels)
        self.channels = weights["levels.0.0.weight"].shape[1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for number, level in enumerate(self.levels):
            x = level(F.avg_pool2d(x, 2) if number else x)
        features = x.float().mean(dim=(2, 3))
        return features, self.head(features)


MIN_SIDE, MAX_SIDE = 8, 4096  # of training images, in pixels


class Shipped(BaseModel, extra="forbid", frozen=True):
    """What `extractor.toml` in `baselines/cnn-<dataset>/` says of our extractor of that dataset.

    input_side: in pixels, to which images are brought. n_classes: how many the dataset has. sha256: how the digest of
    the weights begins; "" where none ship.
    """

    input_side: int
    n_classes: int
    sha256: str = ""


class CNN(FrozenExtractor):
    """The project's own classifier of a labelled dataset, any that `benchbench run --model cnn` was trained on."""

    takes: ClassVar[str] = "dataset"
    batch_size = 64

    dataset: ClassVar[str]
    shipped: ClassVar[Shipped | None]  # None for a dataset of which we know nothing

    @classmethod
    def members(cls) -> list[str]:
        """Our datasets, and those of the user's whose weights have their record beside them."""
        ours = [file.parent.name.removeprefix("cnn-") for file in baselines_folder().glob(f"cnn-*/{TRAITS}")]
        return sorted({*ours, *_of_the_user()})

    @classmethod
    def of(cls, what: str) -> type[Self]:
        """The extractor of the dataset of that name, as records call it; `InputError` where nobody has its weights."""
        shipped = _shipped(what)
        possible = _may_be_called(what)
        if not possible or (shipped is None and not os.environ.get(variable(what))):
            called = f"cnn:{what}" if what.isprintable() else repr(f"cnn:{what}")
            why = "for there are no weights of it here" if possible else "for records call no dataset so"
            raise InputError(
                f"there is no extractor {called}{_near(what, cls.members())}, {why}: train them with benchbench run "
                f"--model cnn and that dataset, then point {variable(what if possible else 'name')} to the "
                f"weights.safetensors in its record (known: {', '.join(f'cnn:{known}' for known in cls.members())})"
            )
        return _of_dataset(cls, what, shipped)  # type: ignore[arg-type]  # a class is hashable

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        """`MetricFailed(status="unavailable")` says how to train the weights where there are none."""
        path, expected, source = self._locate()
        sha256 = check_sha256(path, self.name, expected)
        try:
            network = FoldedCNN(read_state_dict(path, self.name))
        except (KeyError, RuntimeError) as error:
            raise wrong_shape(self.name, error) from error
        self.dim, self.n_logits = network.head.in_features, network.head.out_features
        if self.shipped is None:
            self.input_side = _trained_side(path, variable(self.dataset))
            self.resize = _resize(self.input_side)
        elif self.n_logits != self.shipped.n_classes:
            raise MetricFailed(
                f"the weights given for {self.name} tell {self.n_logits} classes apart, and {self.dataset} has "
                f"{self.shipped.n_classes}; name weights that were trained on it",
                status="unavailable",
            )
        super().__init__(network.to(memory_format=torch.channels_last), device, sha256, source, precision)

    def _locate(self) -> tuple[Path, str, str]:
        """The file, how its sha256 must begin, and where it comes from in words."""
        env = variable(self.dataset)
        if given := os.environ.get(env):
            if not Path(given).is_file():
                raise MetricFailed(f"{env} names {given}, which is not a file", status="unavailable")
            trained_on = _record(Path(given)).get("dataset", self.dataset)
            if trained_on != self.dataset:
                raise MetricFailed(
                    f"{env} names {given}, whose record says that it was trained on {trained_on} and not on "
                    f"{self.dataset}; name weights of that dataset",
                    status="unavailable",
                )
            return Path(given), "", f"a file named by {env}"
        folder = f"cnn-{self.dataset}"
        file = baselines_folder() / folder / WEIGHTS
        if self.shipped is None or not file.is_file():
            raise MetricFailed(
                f"{self.name} needs a classifier trained on {self.dataset}: run benchbench run --model cnn "
                f"--dataset {self.dataset}, then point {env} to the weights.safetensors in its record",
                status="unavailable",
            )
        return file, self.shipped.sha256, f"shipped, baselines/{folder}"

    def forward(self, images: Tensor) -> Features:
        x = images.to(torch.float32)
        if self.network.channels == 1:
            x = x.mean(dim=1, keepdim=True)  # exact where R = G = B
        assert self.input_side is not None
        side = (self.input_side, self.input_side)
        if x.shape[2:] != side:
            x = F.interpolate(x, side, mode="bilinear", antialias=True, align_corners=False)
        x = x.contiguous(memory_format=torch.channels_last)
        return Features(*self.network(x.div_(127.5).sub_(1).to(self.dtype)))


def variable(dataset: str) -> str:
    """The environment variable that may name the weights for a dataset: a shell knows no hyphens, nor dots, and of
    letters only ours; others are written by their numbers, as U732B."""
    plain = re.sub("[^ -~]", lambda letter: f"U{ord(letter[0]):X}", dataset.upper())
    return f"BENCHBENCH_CNN_{re.sub('[^A-Z0-9]', '_', plain)}_WEIGHTS"


def _may_be_called(dataset: str) -> bool:
    """Whether records can call a dataset so: it is fit for the name of a folder, and leads nowhere else."""
    return bool(re.fullmatch(r"\w[\w.-]*", _without_marks(dataset)))


def _without_marks(name: str) -> str:
    """A name without combining marks, which belong to letters of many scripts and count as none."""
    return "".join(letter for letter in name if unicodedata.category(letter)[0] != "M")


def _near(what: str, members: Sequence[str]) -> str:
    """The member that may be meant, as a question, or ""."""
    plain = re.sub(r".*[:/\\]", "", what.rstrip("/\\")).casefold()
    own = [
        name for name in members if plain and plain in (name.casefold(), name.casefold().partition("-")[2])
    ]
    near = own or get_close_matches(what, members, n=1, cutoff=0.5)
    return f" (did you mean cnn:{near[0]}?)" if near else ""


def _resize(side: int) -> str:
    return f"bilinear-antialias-{side}"


def _shipped(dataset: str) -> Shipped | None:
    """What ships of the extractor of a dataset; None where nothing does."""
    file = baselines_folder() / f"cnn-{dataset}" / TRAITS
    if not dataset or Path(dataset).name != dataset or not file.is_file():
        return None
    return _read(file, file.stat().st_mtime_ns)


@cache
def _read(file: Path, changed: int) -> Shipped:
    """The content of an `extractor.toml`, which every name of a metric asks for. changed: when the file was."""
    return Shipped.model_validate(read_toml(file, "extractor"))


@cache
def _of_dataset(base: type[CNN], dataset: str, shipped: Shipped | None) -> type[Any]:
    """The class for one dataset."""
    said: dict[str, Any] = {
        "name": f"cnn_{dataset}",
        "dataset": dataset,
        "classes_of": dataset,
        "shipped": shipped,
    }
    where = "the weights are those that the user names"
    if shipped is not None:
        said |= {"input_side": shipped.input_side, "resize": _resize(shipped.input_side)}
        where = "train it once with `benchbench run --model cnn`"
        if shipped.sha256:
            where = "its weights are shipped, its accuracy is in their card"
    return type("CNN", (base,), {"__doc__": f"The project's own classifier of {dataset}; {where}.", **said})


def _of_the_user() -> list[str]:
    """The datasets of the weights that environment variables name, as the records beside these files have it."""
    found = []
    for env, given in os.environ.items():
        if env.startswith("BENCHBENCH_CNN_") and given:
            dataset = str(_record(Path(given)).get("dataset", ""))
            if dataset and variable(dataset) == env:
                found.append(dataset)
    return found


def _record(weights: Path) -> dict[str, Any]:
    """The `run.json` beside a file of weights; empty where there is none that can be read."""
    file = weights.parent / "run.json"
    if not file.is_file():  # a pipe would be waited for
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _trained_side(weights: Path, env: str) -> int:
    """The side in pixels of the images on which the weights were trained, as the record beside them has it."""
    data = _record(weights).get("data")
    size = str(data.get("size", "")) if isinstance(data, dict) else ""
    sides = re.fullmatch(r"(\d+)×(\d+)", size)
    if sides is None:
        raise MetricFailed(
            f"{env} names {weights}, and no run.json beside it says at which size it was trained; name the "
            "weights.safetensors in the folder of its record",
            status="unavailable",
        )
    if sides[1] != sides[2]:
        raise MetricFailed(
            f"{env} names {weights}, which was trained on images of {size} pixels; an extractor reads square "
            "ones, so train it with --size",
            status="unavailable",
        )
    side = int(sides[1])
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise MetricFailed(
            f"{env} names {weights}, and the run.json beside it says a size of {size} pixels, at which no cnn was "
            "trained; name the weights.safetensors in the folder of its record",
            status="unavailable",
        )
    return side
