"""Samples of a conditional generator made into another class: another label under the same latent."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Conditional
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.dataset import Dataset
from benchbench.tasks.base import Number, Request
from benchbench.tasks.generation import labels_like
from benchbench.tasks.latent.by_codes import RANDOM, SHOWN, TASK
from benchbench.tasks.latent.codes import BATCH, others
from benchbench.tasks.latent.scoring import Part, before_edits, scored, single
from benchbench.tasks.pictures import Columns, Section

LABEL = f"{TASK}:label"


def sampled(model: Conditional, data: Dataset, request: Request, runtime: Runtime) -> Part:
    """Samples, and what the same latents become under another label; the control has other latents."""
    assert data.train.labels is not None
    n, device = request.n_samples, runtime.device
    labels = labels_like(data.train.labels, request.seed, n)
    targets = others(labels, data.train.labels.unique())

    def drawn(asked: Tensor, seed_from: int) -> Tensor:
        made = []
        for rows in torch.arange(n).split(runtime.batch(BATCH)):
            rng = ImageRng(request.seed, (rows + seed_from).tolist(), device)
            with torch.inference_mode():
                images = model.sample(len(rows), rng, asked[rows].to(device))
            made.append(check_images(images, "generated images", len(rows)).cpu())
        return torch.cat(made)

    before, after, control = drawn(labels, 0), drawn(targets, 0), drawn(targets, n)
    numbers: list[Number] = []
    unedited = before_edits(before, targets, request, runtime)
    for kind, images in {"": after, RANDOM: control}.items():
        outcomes, _ = scored(images, unedited, request, runtime)
        numbers += [Number(found, f"{LABEL}{kind}", n) for found in outcomes]
    columns = [("one class", before[:SHOWN]), ("another", after[:SHOWN]), ("other latent", control[:SHOWN])]
    first = targets[:1].to(device)

    def edit(k: int) -> Tensor:
        return model.sample(k, ImageRng(request.seed, range(k), device), first.expand(k))

    return Part(
        numbers,
        [
            Columns(
                "labels",
                [Section("the class changed under the same latent", columns)],
                "samples of one class, of another under the same latents, and under others",
            ),
            single("labelled", after, targets),
        ],
        {"classes": len(data.classes)},
        edit,
    )
