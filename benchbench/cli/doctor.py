"""`benchbench doctor`: what this machine has, and what is missing for which number."""

from __future__ import annotations

import os

import click


@click.command()
def doctor() -> None:
    """Show the device, the versions, and which weights and data are at hand."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from benchbench.core.device import describe_machine, resolve_device
    from benchbench.core.errors import InputError, MetricFailed
    from benchbench.core.registry import DATASETS, EXTRACTORS
    from benchbench.data.builtin.torchvision_sets import archive_folder, local_folder
    from benchbench.data.pipeline.cache import cache_folder
    from benchbench.metrics.pairs.lpips import ALEXNET
    from benchbench.results.provenance import collect_provenance

    console = Console()
    machine = describe_machine(resolve_device("auto"))
    provenance = collect_provenance()

    def section(title: str, rows: list[tuple[str, str]]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left")
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")  # an address must be whole to be of use
        for name, text in rows:
            table.add_row(escape(name), escape(text))
        console.print(table)
        console.print()

    section("machine", [(name, str(value)) for name, value in machine.items()])
    section(
        "versions",
        [
            ("benchbench", f"{provenance['benchbench']} ({provenance['code_revision'] or 'installed'})"),
            ("python", provenance["python"]),
            *[(name, found or "not installed") for name, found in provenance["packages"].items()],
        ],
    )

    networks = []
    for name, extractor in EXTRACTORS.items():
        try:
            networks.append((name, f"at hand, sha256 {extractor('cpu').weights_sha256[:12]}"))
        except MetricFailed as failure:
            networks.append((name, failure.reason))
    try:
        networks.append(("lpips", f"at hand in {ALEXNET.locate()[0]}"))
    except MetricFailed as failure:
        networks.append(("lpips", failure.reason))
    section("feature networks", networks)

    folder = os.environ.get("BENCHBENCH_DATA")
    data = [("BENCHBENCH_DATA", folder or "not set"), ("cache", str(cache_folder()))]
    for name, source in DATASETS.items():
        if not getattr(source, "downloads", False):
            data.append((name, "at hand, comes with the packages"))
            continue
        try:
            local = local_folder(name)
        except InputError as error:
            data.append((name, str(error)))
            continue
        if local is not None:
            data.append((name, f"at hand in {local}"))
        elif archive_folder(name).is_dir():
            data.append((name, f"at hand in {archive_folder(name)}"))
        else:
            data.append((name, "not at hand: set BENCHBENCH_DATA, or it is downloaded when first used"))
    section("data", data)
