"""`benchbench study plan`: how many answers a difference takes."""

from __future__ import annotations

import click

from benchbench.cli.options import format_option
from benchbench.study.kinds import KINDS


@click.command(short_help="How many answers a stated difference takes.")
@click.option(
    "--share",
    type=float,
    required=True,
    help="Of answers that decide: how often one system is preferred. Else of wrong ones.",
)
@click.option(
    "--kind", type=click.Choice([*KINDS]), default="pairwise", show_default=True, help="What is asked."
)
@click.option("--systems", type=int, default=2, show_default=True, help="How many there are.")
@click.option(
    "--raters", type=int, multiple=True, help="How many raters; again for more.  [default: 5 to 50]"
)
@click.option("--power", type=float, default=0.8, show_default=True, help="The odds of finding it.")
@click.option("--ties", type=float, default=0.0, show_default=True, help="The share of ties.")
@click.option(
    "--rater-spread", type=float, default=0.02, show_default=True, help="Correlation of answers of one rater."
)
@click.option(
    "--item-spread", type=float, default=0.1, show_default=True, help="Correlation of answers about one item."
)
@format_option("terminal", "csv")
def plan(
    share: float,
    kind: str,
    systems: int,
    raters: tuple[int, ...],
    power: float,
    ties: float,
    rater_spread: float,
    item_spread: float,
    format_: str,
) -> None:
    """Say how many items how many raters have to answer until a difference of --share from chance is found, at 5%.

    \b
      benchbench study plan --share 0.6 --systems 6
      benchbench study plan --share 0.4 --kind real-or-fake --raters 20
    """
    from benchbench.cli.console import show
    from benchbench.study.minutes import SECONDS
    from benchbench.study.planning import HOUR, RATERS
    from benchbench.verbs.study.plan import plan as needed
    from benchbench.views.study_plan import Planned, planned

    found = needed(
        share,
        kind=kind,
        systems=systems,
        raters=raters or RATERS,
        power=power,
        ties=ties,
        rater_spread=rater_spread,
        item_spread=item_spread,
    )
    if format_ == "csv":
        click.echo(found.to_csv(index=False), nl=False)
    else:
        show(planned(Planned(found, kind, KINDS[kind].ties, systems, SECONDS, HOUR / 60)))
