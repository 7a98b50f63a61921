"""`benchbench list`: what can be named on the command line, ours and what plugins brought."""

from __future__ import annotations

import inspect

import click


@click.command("list")
@click.argument("what", type=click.Choice(["models", "datasets", "metrics", "extractors", "tasks"]))
def list_things(what: str) -> None:
    """List what there is: models, datasets, metrics, extractors or tasks."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from benchbench.core.registry import Registry

    table = Table(box=None, pad_edge=False)
    table.add_column(what.removesuffix("s"), style="bold", no_wrap=True)
    table.add_column("what it is")
    table.add_column("source", overflow="fold")
    for name, thing in Registry(what.removesuffix("s")).items():
        summary = (inspect.getdoc(thing) or "").splitlines()[0:1]
        source = getattr(thing, "reference", getattr(thing, "source", ""))
        if what == "metrics":
            from benchbench.metrics.metric import output_of

            output = output_of(thing, name)
            summary, source = [output.about], output.source or source
        table.add_row(name, escape("".join(summary)), escape(source if isinstance(source, str) else ""))
    if what == "datasets":
        table.add_row(
            escape("folder:PATH"),
            "Images in a folder, flat, by class, or in train/ and test/; two domains in trainA/ trainB/ testA/ testB/",
            "",
        )
        table.add_row(escape("zip:PATH"), "The same in an archive, without domains; read in place", "")
        table.add_row(
            escape("npz:PATH"),
            "A uint8 array of images, labels beside it; or x_train and x_test, with labels",
            "",
        )
        table.add_row(escape("npy:PATH"), "A uint8 array of images", "")
        table.add_row(escape("pairs:PATH"), "Two domains side by side in each image of train/ and test/", "")
        table.add_row(
            escape("parquet:PATH"), "A parquet file or a folder of them, image bytes in a column", ""
        )
    Console().print(table)
