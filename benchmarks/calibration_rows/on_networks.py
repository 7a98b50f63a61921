"""From images to numbers through a network, on the same seeded random weights: resize, layers and estimator."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from random_networks import random_inception, with_statistics
from torch import Tensor, nn

from benchbench.features.networks.inception_v3 import InceptionV3, InceptionV3Clean, InceptionV3Torch
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import kernel_distance
from calibration_rows.inputs import crops
from calibration_rows.row import Other, Row, Section

COUNT = 10
SIDES = {"32×32, enlarged": 32, "384×384, shrunk": 384}
"""Of images, by what is said of them: all are resized to 299×299."""
Seen = tuple[Tensor, Tensor | None]
Reader = Callable[[Tensor], Seen]


@cache
def network() -> nn.Module:
    """torch-fidelity's Inception-v3 on seeded random weights, with the statistics of real activations."""
    return with_statistics(random_inception(classes_differ=True))


def of_ours(kind: type[InceptionV3]) -> Reader:
    judge = kind.from_state_dict(network().state_dict())

    def read(images: Tensor) -> Seen:
        seen = judge(images)
        return seen.features, seen.logits

    return read


def of_torchmetrics(antialias: bool) -> Reader:
    """Its own forward pass, which is the same in its FID, KID and IS; only FID lets antialiasing be turned off."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(network().state_dict(), path)
        own = NoTrainInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], str(path), antialias=antialias
        )
    return lambda images: own._torch_fidelity_forward(images)


def of_pytorch_fid() -> Reader:
    """On floats in [0, 1], as its reader of files makes them."""
    from pytorch_fid import inception

    with mock.patch.object(inception, "load_state_dict_from_url", return_value=network().state_dict()):
        own = inception.InceptionV3([3]).eval()
    return lambda images: (own(images.float() / 255)[0].flatten(1), None)


def of_clean_fid() -> Reader:
    """Its resizer, then torch-fidelity's layers on (x − 128) / 128: its own network is a file to be downloaded, made of
    the same TensorFlow graph."""
    from cleanfid.resize import build_resizer

    resizer = build_resizer("clean")
    layers = [layer for name, layer in network().named_children() if name != "fc"]

    def read(images: Tensor) -> Seen:
        x = torch.stack(
            [torch.from_numpy(resizer(i.permute(1, 2, 0).numpy())).permute(2, 0, 1) for i in images]
        )
        x = (x - 128) / 128
        for layer in layers:
            x = layer(x)
        return x.flatten(1), None

    return read


READERS: dict[str, Callable[[], Reader]] = {
    "inception_v3": lambda: of_ours(InceptionV3),
    "inception_v3_torch": lambda: of_ours(InceptionV3Torch),
    "inception_v3_clean": lambda: of_ours(InceptionV3Clean),
    "torch-fidelity": network,
    "torchmetrics": lambda: of_torchmetrics(True),
    "torchmetrics, antialias=False": lambda: of_torchmetrics(False),
    "pytorch-fid": of_pytorch_fid,
    "clean-fid": of_clean_fid,
}


@cache
def seen(reader: str, side: int) -> tuple[Seen, Seen]:
    """Features and logits of generated and of real images: parts of `coffee` and of `astronaut`."""
    read = READERS[reader]()
    with torch.inference_mode():
        return tuple(read(crops(name, side, COUNT)) for name in ("coffee.png", "astronaut.png"))


def features(reader: str, side: int) -> tuple[Tensor, Tensor]:
    return tuple(own[0].double() for own in seen(reader, side))


def fid(reader: str, side: int) -> float:
    """By one estimator, ours, which is exact for fewer images than features; the others' are in the table above."""
    return frechet_distance_from_features(*features(reader, side))


def kid(reader: str, side: int) -> float:
    return kernel_distance(*features(reader, side)).value


def score(reader: str, side: int) -> float:
    logits = seen(reader, side)[0][1]
    assert logits is not None
    return inception_score(logits.double(), splits=1).value


NEAR = 1e-4
"""What two float32 networks may differ by, on whatever machine: their operations come in another order."""


def fid_row(of: str, side: int, on: str, *others: tuple[str, str, str, str, float | None]) -> Row:
    return Row(
        "fid" if of == "inception_v3" else f"fd_{of}",
        on,
        lambda: fid(of, side),
        tuple(
            Other(package, call, lambda reader=reader: fid(reader, side), why, same)
            for package, call, reader, why, same in others
        ),
        within=NEAR,
    )


def inception_rows(on: str, side: int) -> tuple[Row, ...]:
    smooth = "Bilinear about pixel centres and with antialiasing; FID's TensorFlow code has neither."
    never = f"{smooth} It has no argument `antialias` here."
    bicubic = "Pillow's bicubic with antialiasing, unrounded."
    plain = "Bilinear about pixel centres, without antialiasing; pixels x/127.5 − 1 instead of (x − 128)/128."
    tf1 = "TensorFlow 1's bilinear resize, from the corner at the top left: the convention of ours."

    def other(of: Callable[[str, int], float], *given: Any) -> Other:
        package, call, why, same = given
        return Other(package, call, lambda: of(package, side), why, same)

    return (
        fid_row(
            "inception_v3",
            side,
            on,
            ("torch-fidelity", "FeatureExtractorInceptionV3", "torch-fidelity", tf1, NEAR),
            (
                "torchmetrics",
                "FrechetInceptionDistance(antialias=False)",
                "torchmetrics, antialias=False",
                tf1,
                NEAR,
            ),
            ("torchmetrics", "FrechetInceptionDistance()", "torchmetrics", smooth, None),
            ("pytorch-fid", "InceptionV3", "pytorch-fid", plain, None),
            ("clean-fid", 'mode="clean"', "clean-fid", bicubic, None),
        ),
        fid_row(
            "inception_v3_torch",
            side,
            on,
            ("pytorch-fid", "InceptionV3", "pytorch-fid", "Its convention, by name.", NEAR),
        ),
        fid_row(
            "inception_v3_clean",
            side,
            on,
            ("clean-fid", 'mode="clean"', "clean-fid", "Its convention, by name.", NEAR),
        ),
        Row(
            "kid",
            on,
            lambda: kid("inception_v3", side),
            (
                other(kid, "torch-fidelity", "FeatureExtractorInceptionV3", tf1, NEAR),
                other(kid, "torchmetrics", "KernelInceptionDistance()", never, None),
            ),
            within=NEAR,
        ),
        Row(
            "inception_score_one_split",
            on,
            lambda: score("inception_v3", side),
            (
                other(score, "torch-fidelity", "FeatureExtractorInceptionV3", tf1, NEAR),
                other(score, "torchmetrics", "InceptionScore()", never, None),
            ),
            within=NEAR,
        ),
    )


SECTION = Section(
    "From images through Inception-v3",
    "The 2015 weights need a download, so every side has the same seeded random ones: the numbers mean nothing, their "
    f"differences are of resize and layers. {COUNT} parts of scikit-image's photograph `coffee` stand for generated "
    "images, as many of `astronaut` for real ones. Each package's own network says what the features are, but for "
    "clean-fid, whose network is a download: torch-fidelity's layers follow its resizer. One estimator, ours, makes a "
    "number of them; the estimators are compared in the table above.",
    tuple(row for on, side in SIDES.items() for row in inception_rows(on, side)),
    slow=True,
)
