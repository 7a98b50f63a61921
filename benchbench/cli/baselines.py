"""`benchbench baselines`: the weights that ship, and the pages made from their records."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import console, say
from benchbench.cli.options import BATCH_SIZE, DEVICE, Location

NAMES = click.argument("names", metavar="[NAME]...", nargs=-1)
RESULTS = click.option(
    "--results", type=Location(), help="The published records.  [default: those of the checkout]"
)
BASELINES = click.option(
    "--baselines", type=Location(), help="The folder of baselines.  [default: that of the checkout]"
)
MIB = 2**20


@click.group(short_help="Weights that ship: list, verify, score, publish.")
def baselines() -> None:
    """What `run --pretrained` loads: trained models with the records that their numbers are in.

    \b
      benchbench baselines verify --fast
      benchbench baselines publish runs/mnist/dcgan
    """


@baselines.command("list", short_help="All baselines whose weights ship.")
def list_shipped() -> None:
    """All baselines whose weights ship, with the record of each and how its training ended."""
    from benchbench.verbs.baselines import shipped
    from benchbench.views.blocks import print_entries

    found = shipped()
    entries = [
        (own["name"], ", ".join(filter(None, [f"{own['size'] / MIB:.1f} MiB", own["record"], own["budget"]])))
        for own in found.astype(object).where(found.notna(), None).to_dict("records")
    ]
    print_entries(console(), "", entries)
    say(f"{len(found)} baselines, {found['size'].sum() / MIB:.1f} MiB together")


@baselines.command(short_help="Do shipped weights give their record's numbers?")
@NAMES
@click.option(
    "--fast", is_flag=True, help="Compute the numbers of the two quickest alone; look at all checksums."
)
@RESULTS
@DEVICE
@BATCH_SIZE
@click.pass_context
def verify(
    context: click.Context,
    names: tuple[str, ...],
    fast: bool,
    results: Path | None,
    device: str,
    batch_size: int | None,
) -> None:
    """Hold shipped weights against their sha256, draw images with them, and hold every number against the published
    record: it must lie within the record's interval. Needs no network.

    \b
      benchbench baselines verify
      benchbench baselines verify dcgan-digits vae-digits

    Exit codes: 0 all is as published, 1 something is not, 2 wrong usage, 3 no number could be computed here.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.baselines import verify as look
    from benchbench.views.blocks import print_entries

    found = look(
        names, fast=fast, results=results, device=device, batch_size=batch_size, progress=RichProgress()
    )
    entries = [
        (own.name, "; ".join(filter(None, [" ".join(filter(None, [own.state, own.numbers])), own.words])))
        for own in found.baselines
    ]
    print_entries(console(), "", entries)
    say(found.headline)
    context.exit(found.exit_code)


@baselines.command(short_help="Add FID of all shipped weights to the records.")
@NAMES
@click.option("--extractor", required=True, help="The network, inception_v3 for FID.")
@RESULTS
@DEVICE
@BATCH_SIZE
def score(
    names: tuple[str, ...], extractor: str, results: Path | None, device: str, batch_size: int | None
) -> None:
    """Score all generators that ship, and the real images of their datasets, with one more network.

    Its weights must be at hand: benchbench fetch gets them. What is there already is not scored again.

    \b
      benchbench fetch inception_v3
      benchbench baselines score --extractor inception_v3
      benchbench baselines render
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.baselines import score as add

    made = add(
        names,
        extractor=extractor,
        results=results,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    for folder in made:
        say(str(folder))
    say(f"{len(made)} new record{'' if len(made) == 1 else 's'}")


@baselines.command(short_help="Make a baseline of a record.")
@click.argument("record", type=Location())
@click.option("--as", "name", metavar="NAME", help="What it is called.  [default: MODEL-DATASET]")
@click.option("--exact", is_flag=True, help="Ship the weights as they were trained; score nothing.")
@RESULTS
@BASELINES
@DEVICE
@BATCH_SIZE
def publish(
    record: Path,
    name: str | None,
    exact: bool,
    results: Path | None,
    baselines: Path | None,
    device: str,
    batch_size: int | None,
) -> None:
    """Put the numbers of RECORD among the published ones, and its weights with a card among the baselines.

    RECORD is the folder of one record, or one with those of several seeds. Weights ship as float16 where every number
    stays within its interval when images are drawn with them; otherwise as they were trained. Of a model without
    weights, such as real or bicubic, the numbers are published alone.

    \b
      benchbench baselines publish runs/mnist/dcgan
      benchbench baselines publish runs/set5/edsr/7e145fddbddcee2a --as edsr-x2
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.baselines import publish as make

    made = make(
        record,
        name=name,
        exact=exact,
        results=results,
        baselines=baselines,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    if made.folder is None:
        say(f"numbers alone, without weights: {made.why_not}")
    else:
        kind = "float16" if made.float16 else f"as they were trained ({made.why_not})"
        say(f"{made.folder}: {made.size / MIB:.1f} MiB, {kind}; {made.total / MIB:.1f} MiB of weights ship")
    moved = [own for own in made.held if own.moved]
    if moved:
        most = max(moved, key=lambda own: own.moved or 0.0)
        say(f"{most.name} moved most: {most.moved:.1%} of the way to the end of its interval")
    for folder in made.records:
        say(str(folder))
    say("benchbench baselines render makes the board and the cards anew", stderr=True)


@baselines.command(short_help="Make the board and all cards anew.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a page is out of date.")
@RESULTS
@BASELINES
@click.pass_context
def render(context: click.Context, check: bool, results: Path | None, baselines: Path | None) -> None:
    """Make LEADERBOARD.md and the card of every baseline anew, from the published records.

    Exit codes: 0 done, or with --check all is up to date; 1 with --check something is not; 2 bad input.
    """
    from benchbench.verbs.baselines import render as make

    stale = make(check=check, results=results, baselines=baselines)
    for file in stale:
        say(f"{file}{' is out of date' if check else ''}")
    if not stale:
        say("all pages are up to date")
    context.exit(1 if check and stale else 0)
