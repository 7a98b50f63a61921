"""`benchbench fetch`: weights of networks, downloaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.console import console, say
from benchbench.cli.options import Location


@click.command(short_help="Download weights of networks, once.")
@click.argument("names", nargs=-1, metavar="NAME…", shell_complete=ANSWERS["extractor"])
@click.option("--list", "list_", is_flag=True, help="Show what there is, and where it goes.")
@click.option(
    "--from",
    "source",
    type=Location(),
    metavar="FOLDER",
    help="Take the files from there: a copy for a machine without a network.",
)
@click.option(
    "--to",
    type=Location(),
    metavar="FOLDER",
    help="Put the files there, as a copy, and not where networks look for them.",
)
def fetch(names: tuple[str, ...], list_: bool, source: Path | None, to: Path | None) -> None:
    """Download the weights that NAME… (extractors, lpips, vgg19) need, into the torch hub cache.

    Each file is checked by its sha256 and is there only once it is whole; what broke off goes on when it is asked for
    again. BENCHBENCH_MIRROR names a mirror: an address or a folder that holds the files by their names.

    \b
    Examples:
      benchbench fetch inception_v3 lpips
      benchbench fetch dinov2_vit_l_14 --to usb/
      benchbench fetch dinov2_vit_l_14 --from usb/
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.core.errors import InputError
    from benchbench.verbs.fetch import fetch as get
    from benchbench.views.blocks import print_entries

    if list_:
        if names or source is not None or to is not None:
            raise InputError("--list shows all there is; leave the names, --from and --to out")
        out = console()
        for name, files in get().groupby("name", sort=False):
            print_entries(out, str(name), [_entry(row) for row in files.to_dict("records")])
        return
    if not names:
        raise InputError(
            "name what to fetch, such as inception_v3; benchbench fetch --list shows what there is"
        )
    for row in get(names, source=source, to=to, progress=RichProgress()).to_dict("records"):
        sha256 = f" (sha256 {row['sha256']})" if row["sha256"] else ""
        say(f"{row['name']}: {row['state']}: {row['path']}{sha256}")


def _entry(row: dict[Any, Any]) -> tuple[str, str]:
    """A file, and what is said of it."""
    size = f", {row['megabytes']} MB" if row["megabytes"] else ""
    return row["file"], f"{row['state']}{size}: {row['path']}, from {row['url']}"
