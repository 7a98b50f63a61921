"""Supports and diversity of sets of features: each package's estimator on the same numbers."""

from __future__ import annotations

from torch import Tensor

from benchbench.metrics.sets.prdc import prdc
from benchbench.metrics.sets.rke import rke
from benchbench.metrics.sets.vendi import vendi_score
from calibration_rows.inputs import CASES, digits
from calibration_rows.row import Other, Row, Section

Sides = tuple[Tensor, Tensor]


def of_prdc(sides: Sides, name: str) -> float:
    from prdc import compute_prdc

    return float(compute_prdc(*(side.numpy() for side in sides), nearest_k=5)[name])


def of_piq_pr(sides: Sides, name: str) -> float:
    from piq import PR

    return float(PR(nearest_k=5).compute_metric(*sides)[("precision", "recall").index(name)])


def of_torch_fidelity_pr(sides: Sides, name: str) -> float:
    from torch_fidelity import metric_prc

    return float(metric_prc.prc_features_to_metric(*reversed(sides), verbose=False)[name])


def support_rows() -> tuple[Row, ...]:
    rows = []
    for on, sides, ties in (
        ("150 and 150 features of 8", CASES["moved"], False),
        ("digits, 898 and 899", digits(), True),
    ):
        for name in ("precision", "recall", "density", "coverage"):
            others = [
                Other(
                    "prdc",
                    "compute_prdc",
                    lambda sides=sides, name=name: of_prdc(sides, name),
                    "k = 5, an image on the boundary of a ball is outside: the convention of ours.",
                    1e-12,
                )
            ]
            if name in ("precision", "recall"):
                differs = ties and name == "precision"
                others.append(
                    Other(
                        "piq",
                        "PR",
                        lambda sides=sides, name=name: of_piq_pr(sides, name),
                        BOUNDARY[name]
                        if ties
                        else "k = 5. It counts the boundary as inside; no image lies on one.",
                        None if differs else 1e-6,
                    )
                )
            rows.append(Row(name, on, lambda sides=sides, name=name: prdc(*sides)[name], tuple(others)))
        for name in ("precision", "recall"):
            other = Other(
                "torch-fidelity",
                "metric_prc",
                lambda sides=sides, name=name: of_torch_fidelity_pr(sides, name),
                "k = 3 as published, and the boundary counts as inside"
                + (", which whole grey levels hit." if ties else "; no image lies on one."),
                None if ties else 1e-6,
            )
            rows.append(Row(f"{name}_k3", on, lambda sides=sides, name=name: prdc(*sides, 3)[name], (other,)))
    return tuple(rows)


BOUNDARY = {
    "precision": "k = 5, and the boundary counts as inside: distances of whole grey levels are often equal.",
    "recall": "k = 5, and what lies on the boundary of a real image's ball counts as inside a generated one's, "
    "which brings in none here.",
}


def vendi_rows() -> tuple[Row, ...]:
    from sklearn.preprocessing import normalize

    def of_dual(q: float) -> float:
        from vendi_score import vendi

        return float(vendi.score_dual(digits()[0].numpy(), q=q))

    def of_features(q: float) -> float:
        from vendi_score import vendi

        return float(vendi.score_X(digits()[0].numpy(), q=q))

    def of_kernel(q: float) -> float:
        from vendi_score import vendi

        unit = normalize(digits()[0].numpy())
        return float(vendi.score_K(unit @ unit.T, q=q))

    on = "898 digits"
    return (
        Row(
            "vendi",
            on,
            lambda: vendi_score(digits()[0]),
            (Other("vendi-score", "score_dual", lambda: of_dual(1), "The cosine kernel, order 1.", 1e-9),),
        ),
        Row(
            "vendi_q2",
            on,
            lambda: vendi_score(digits()[0], 2),
            (
                Other("vendi-score", "score_dual", lambda: of_dual(2), "The cosine kernel, order 2.", 1e-9),
                Other(
                    "vendi-score",
                    "score_X",
                    lambda: of_features(2),
                    "Takes an order and does not use it: this is order 1.",
                ),
            ),
        ),
        Row(
            "rke",
            on,
            lambda: rke(digits()[0]),
            (
                Other(
                    "vendi-score",
                    "score_K",
                    lambda: of_kernel(2),
                    "RKE is order 2; ours needs no eigenvalues.",
                    1e-9,
                ),
            ),
        ),
    )


SECTION = Section(
    "Supports and diversity on the same features",
    "Every package gets the same float64 features. Distances between digits are roots of whole numbers and often "
    "equal, so that images lie on boundaries of balls.",
    (*support_rows(), *vendi_rows()),
)
