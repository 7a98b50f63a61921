"""Measures of luma, each package on the same two images."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from benchbench.core.colour import grey
from benchbench.metrics.pairs.fsim import fsim
from benchbench.metrics.pairs.gmsd import gmsd
from benchbench.metrics.pairs.vif import vif
from calibration_rows.inputs import pairs
from calibration_rows.row import Other, Row

ON = "photograph 177×203, more noise"


def colours() -> list[Tensor]:
    """As piq takes them: float64 in [0, 1]."""
    return [images.double() / 255 for images in pairs()[ON]]


def greys() -> list[Tensor]:
    """Our luma, float64 in 0..255."""
    return [grey(images) for images in pairs()[ON]]


def vif_of_torchmetrics() -> float:
    from torchmetrics.functional.image import visual_information_fidelity

    return float(visual_information_fidelity(*greys(), reduction="none").mean())


def vif_of_piq() -> float:
    from piq import vif_p

    return float(vif_p(*colours()))


def gmsd_of_piq() -> float:
    from piq import gmsd as theirs

    return float(theirs(*colours()))


def fsim_of_piq() -> float:
    from piq import fsim as theirs

    return float(theirs(*(luma / 255 for luma in greys()), chromatic=False))


def colour_fsim_of_piq() -> float:
    from piq import fsim as theirs

    return float(theirs(*colours()))


Given = tuple[str, str, Callable[[], float], str, float | None]
MEASURES: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor], tuple[Given, ...]], ...] = (
    (
        "vif",
        vif,
        (
            (
                "torchmetrics",
                "visual_information_fidelity",
                vif_of_torchmetrics,
                "The authors' script, on the luma that we make; of RGB it takes each channel by itself.",
                1e-7,
            ),
            (
                "piq",
                "vif_p",
                vif_of_piq,
                "The same script and luma, with a constant of 1e-8 in place of 1e-10.",
                1e-6,
            ),
        ),
    ),
    ("gmsd", gmsd, (("piq", "gmsd", gmsd_of_piq, "The same conventions, with YIQ's luma.", 1e-9),)),
    (
        "fsim",
        fsim,
        (
            (
                "piq",
                "fsim(chromatic=False)",
                fsim_of_piq,
                "The authors' script but for a constant and the median of an even number; on our luma.",
                1e-4,
            ),
            ("piq", "fsim()", colour_fsim_of_piq, "As it comes it is FSIMc, which weighs colour too.", None),
        ),
    ),
)


def grey_rows() -> tuple[Row, ...]:
    return tuple(
        Row(
            metric,
            ON,
            lambda of=of: float(of(*pairs()[ON]).mean()),
            tuple(Other(package, call, value, why, same) for package, call, value, why, same in given),
        )
        for metric, of, given in MEASURES
    )
