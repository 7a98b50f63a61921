"""`benchbench doctor`: what this machine has, and what is missing for which number."""

from __future__ import annotations

import os

import click

JPEG = "as JPEG: its pixels are not canonical, numbers on it do not compare with published ones"


@click.command()
def doctor() -> None:
    """Show the device, the versions, and which weights and data are at hand."""
    from rich.console import Console

    from benchbench.core.device import describe_machine, resolve_device
    from benchbench.core.errors import InputError, MetricFailed
    from benchbench.core.registry import DATASETS, EXTRACTORS
    from benchbench.data.builtin.torchvision_sets import archive_folder, holds_jpeg, local_folder
    from benchbench.data.pipeline.cache import cache_folder
    from benchbench.metrics.pairs.lpips import ALEXNET
    from benchbench.results.provenance import collect_provenance
    from benchbench.views.blocks import print_entries

    console = Console()
    machine = describe_machine(resolve_device("auto"))
    provenance = collect_provenance()

    def section(title: str, rows: list[tuple[str, str]]) -> None:
        print_entries(console, title, rows)
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
        name_of_files = getattr(source, "base", source).name  # stacked-mnist is made of mnist
        try:
            local = local_folder(name_of_files)
            jpeg = f"; {JPEG}" if local is not None and holds_jpeg(local) else ""
        except InputError as error:
            data.append((name, str(error)))
            continue
        if local is not None:
            data.append((name, f"at hand in {local}{jpeg}"))
        elif archive_folder(name_of_files).is_dir():
            data.append((name, f"at hand in {archive_folder(name_of_files)}"))
        else:
            data.append((name, "not at hand: set BENCHBENCH_DATA, or it is downloaded when first used"))
    section("data", data)
