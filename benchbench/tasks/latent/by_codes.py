"""Held-out images made into another class by their codes: moved there, or read under another label.

Whatever is done to them, first they are found: `latent-edit:inversion` says what `decode(invert(image))` has of the
image, `psnr`, `ssim` and whatever else compares two images, and how often a classifier still sees its class. What of an
image is not in its code no edit of it can keep.
"""

from __future__ import annotations

from torch import Tensor

from benchbench.core.protocols import Invertible
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.dataset import Dataset
from benchbench.metrics.sets.modes import class_extractor
from benchbench.tasks.base import Number, Request
from benchbench.tasks.latent.codes import Codes, Originals, codes_of, decoded, inverted, originals
from benchbench.tasks.latent.lines import lines
from benchbench.tasks.latent.scoring import Part, before_edits, gained, scored, single
from benchbench.tasks.pictures import Columns, Picture, Section

TASK = "latent-edit"
INVERSION = f"{TASK}:inversion"
RELABEL = f"{TASK}:relabel"
STRENGTHS = (0.25, 0.5, 1.0, 1.5, 2.0)
STATED = 1.0
"""Of `STRENGTHS`, the one by which models are ranked: as far as the classes are apart."""
RANDOM = "-random"
SHOWN = 8


def moved(model: Invertible, data: Dataset, examples: int, request: Request, runtime: Runtime) -> Part:
    """Codes moved from the mean of their class towards that of another. Lines between two codes as well, unless codes
    are costly: they are as dear to read."""
    codes = codes_of(model, data, request.n_samples, examples, request.seed, runtime)
    unedited = decoded(model, codes.codes, runtime)
    before = before_edits(unedited, codes.targets, request, runtime)
    directions = {"": codes.directions, RANDOM: codes.random(request.seed)}
    numbers = inversion(codes, unedited, request, runtime)
    stated: dict[str, Tensor] = {}
    shown: dict[str, list[tuple[str, Tensor]]] = {kind: [] for kind in directions}
    for strength in STRENGTHS:
        hits: dict[str, Tensor | None] = {}
        for kind, direction in directions.items():
            after = decoded(model, codes.codes + strength * direction, runtime)
            name = f"{TASK}:x{strength:g}{kind}"
            outcomes, hits[kind] = scored(after, before, request, runtime)
            numbers += [Number(found, name, len(after)) for found in outcomes]
            shown[kind].append((f"x{strength:g}", after[:SHOWN]))
            if strength == STATED:
                stated[kind] = after
        numbers += gained(hits[""], hits[RANDOM], f"{TASK}:x{strength:g}")
    sections: list[Section] = []
    if not model.costly:
        knows = class_extractor(data.name, request.extractors)
        measured, sections = lines(model, codes, request.extractors.get(knows or ""), runtime)
        numbers += [Number(own, f"{TASK}:{kind}") for kind, found in measured.items() for own in found]
    first = [("held out", codes.images[:SHOWN]), ("unedited", unedited[:SHOWN])]
    titles = {"": "towards another class", RANDOM: "control: in random directions of the same lengths"}
    pictures: list[Picture] = [
        Columns(
            "traversals",
            [Section(titles[kind], [*first, *columns]) for kind, columns in shown.items()],
            "held-out images moved along the direction of another class, and of none",
        ),
        # Of few images it may be that none is of the class of another, or of its target.
        *([Columns("interpolations", sections, "lines between the codes of two images")] if sections else []),
        single("edited", stated[""], codes.targets),
    ]

    def edit(n: int) -> Tensor:
        found, _ = _of_first(model, codes, n, request.seed, runtime)
        return model.decode(found + codes.directions[:1].to(found))

    return Part(numbers, pictures, _facts(model, codes, examples), edit)


def relabelled(model: Invertible, data: Dataset, request: Request, runtime: Runtime) -> Part:
    """Codes found under the class of each image and read under another. The control reads the code of another image
    under it, of which nothing should stay."""
    found = originals(data, request.n_samples)
    codes = inverted(model, found.images, found.labels, request.seed, runtime)
    unedited = decoded(model, codes, runtime, found.labels)
    before = before_edits(unedited, found.targets, request, runtime)
    numbers = inversion(found, unedited, request, runtime)
    after = {
        "": decoded(model, codes, runtime, found.targets),
        RANDOM: decoded(model, codes.roll(1, 0), runtime, found.targets),
    }
    for kind, images in after.items():
        outcomes, _ = scored(images, before, request, runtime)
        numbers += [Number(own, f"{RELABEL}{kind}", len(images)) for own in outcomes]
    columns = [
        ("held out", found.images[:SHOWN]),
        ("unedited", unedited[:SHOWN]),
        ("another class", after[""][:SHOWN]),
        ("other code", after[RANDOM][:SHOWN]),
    ]
    pictures: list[Picture] = [
        Columns(
            "relabelled",
            [Section("the class changed under the code of an image", columns)],
            "held-out images, what their codes become under their class and under another, and of another code",
        ),
        single("relabelled", after[""], found.targets),
    ]

    def edit(n: int) -> Tensor:
        codes, targets = _of_first(model, found, n, request.seed, runtime)
        return model.decode(codes, targets)

    facts = {
        "control": "code of another image",
        "mean_code_length": _mean_length(codes),
        "inversion": dict(model.inversion),
    }
    return Part(numbers, pictures, facts, edit)


def inversion(found: Originals, unedited: Tensor, request: Request, runtime: Runtime) -> list[Number]:
    """What images have in common with what their codes become."""
    outcomes, _ = scored(
        unedited, before_edits(found.images, found.labels, request, runtime), request, runtime
    )
    return [Number(own, INVERSION, len(unedited)) for own in outcomes]


def _of_first(
    model: Invertible, found: Originals, n: int, seed: int, runtime: Runtime
) -> tuple[Tensor, Tensor]:
    """Codes of as many times the first image, and its target as often; on the device."""
    device = runtime.device
    image, label, target = (
        own[:1].to(device).expand(n, *own.shape[1:]) for own in (found.images, found.labels, found.targets)
    )
    return model.invert(image, ImageRng(seed, range(n), device), label), target


def _facts(model: Invertible, codes: Codes, examples: int) -> dict[str, object]:
    over = f"{examples} training images of each class" if model.costly else "the training images"
    return {
        "strengths": list(STRENGTHS),
        "direction": f"difference of the mean codes of two classes over {over}",
        "control": "isotropic random direction of the same length",
        "mean_length": _mean_length(codes.directions),
        "mean_code_length": _mean_length(codes.codes),
        "inversion": dict(model.inversion),
    }


def _mean_length(rows: Tensor) -> float:
    return float(rows.flatten(1).norm(dim=1).double().mean())
