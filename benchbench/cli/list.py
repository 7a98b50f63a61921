"""`benchbench list`: what can be named on the command line, ours and what plugins brought."""

from __future__ import annotations

import inspect
from typing import Any

import click

# Images that are no registered dataset, by how they are written.
_FILES = {
    "folder:PATH": "Images in a folder, flat, by class, or in train/ and test/; two domains in trainA/ trainB/ "
    "testA/ testB/",
    "zip:PATH": "The same in an archive, without domains; read in place",
    "npz:PATH": "A uint8 array of images, labels beside it; or x_train and x_test, with labels",
    "npy:PATH": "A uint8 array of images",
    "pairs:PATH": "Two domains side by side in each image of train/ and test/",
    "parquet:PATH": "A parquet file or a folder of them, image bytes in a column",
}


@click.command("list")
@click.argument("what", type=click.Choice(["models", "datasets", "metrics", "extractors", "tasks"]))
def list_things(what: str) -> None:
    """List what there is: models, datasets, metrics, extractors or tasks."""
    from rich.console import Console

    from benchbench.core.registry import EXTRACTORS, Registry
    from benchbench.views.blocks import print_entries

    entries: list[tuple[str, str]] = []
    registry = EXTRACTORS if what == "extractors" else Registry(what.removesuffix("s"))
    for name, thing in registry.items():
        summary, source = _summary(thing), getattr(thing, "reference", getattr(thing, "source", ""))
        if what == "metrics":
            from benchbench.metrics.metric import output_of

            output = output_of(thing, name)
            summary, source = output.about, output.source or source
        entries.append((name, f"{summary} ({source})" if source and isinstance(source, str) else summary))
    if what == "extractors":
        for head, family in EXTRACTORS.families().items():
            members = ", ".join(f"{head}:{member}" for member in EXTRACTORS.members(head))
            entries.append((f"{head}:{family.takes.upper()}", f"{_summary(family)} Known: {members}"))
    if what == "datasets":
        entries += _FILES.items()
    print_entries(Console(), "", entries)


def _summary(thing: Any) -> str:
    """The first sentence of what its docstring says, however many lines it takes."""
    paragraph, _, _ = (inspect.getdoc(thing) or "").partition("\n\n")
    return " ".join(paragraph.split())
