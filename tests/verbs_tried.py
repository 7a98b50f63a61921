"""Every verb of the command line as it is tried, and streams that are not what one hopes for."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import click

from benchbench.cli import cli

PUBLISHED = str(Path(__file__).parents[1] / "results")
Console = Callable[..., tuple[int, bytes, bytes]]

# Each verb in a folder of `world`, as short as it works.
VERBS = {
    "run": ["run", "--model", "noise", "--dataset", "digits", "--samples", "16", "--metrics", "swd"],
    "init": ["init", "project"],
    "evaluate": ["evaluate", "images", "--reference", "images", "--metrics", "mse"],
    "stats": ["stats", "digits", "--out", "digits.npz"],
    "profile": ["profile", "--model", "noise", "--samples", "16", "--metrics", "swd", "--most-batch", "1"],
    "suite": ["suite", "suite.toml", "--dry-run"],
    "job": ["job", "job.json"],
    "compare": ["compare", "model=noise", "model=real"],
    "compare --plan": ["compare", "model=vae", "--plan", "--results", PUBLISHED],
    "check": ["check", "runs", "--baseline", "base"],
    "leaderboard": ["leaderboard"],
    "report": ["report"],
    "export": ["export", "runs", "--to", "csv", "--out", "tables"],
    "plot scatter": ["plot", "scatter", "--out", "scatter.pdf"],
    "plot grid": ["plot", "grid", "--out", "grid.svg"],
    "cite": ["cite"],
    "merge": ["merge", "runs", "--into", "merged"],
    "diff": ["diff", "runs", "base"],
    "verify": ["verify"],
    "audit metrics": [
        "audit",
        "metrics",
        "--metrics",
        "density",
        "--experiments",
        "sphere-torus",
        *("--points", "20", "--repeats", "1", "--values", "5"),
    ],
    "study create": ["study", "create", "model=noise", "model=real", "--n", "2", "--out", "another"],
    "study status": ["study", "status", "study"],
    "study export-html": ["study", "export-html", "study", "--out", "study.html"],
    "study export-answers": ["study", "export-answers", "study"],
    "study import": ["study", "import", "study", "answers.json"],
    "study score": ["study", "score", "study"],
    "study plan": ["study", "plan", "--share", "0.6"],
    "baselines list": ["baselines", "list"],
    "baselines render": ["baselines", "render", "--results", "runs"],
    "list": ["list", "models"],
    "completion": ["completion", "bash"],
    "fetch": ["fetch", "--list"],
    "doctor": ["doctor"],
    "migrate": ["migrate", "runs"],
}


def leaves() -> dict[str, click.Command]:
    """Every command that does something, by what is typed: those of a group one by one."""
    found: dict[str, click.Command] = {}
    for name, command in cli.commands.items():
        own = command.commands if isinstance(command, click.Group) else {"": command}
        found |= {f"{name} {inner}".rstrip(): leaf for inner, leaf in own.items()}
    return found


SUITE = 'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'


def gone() -> io.FileIO:
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    return io.FileIO(writer, "w")


def full() -> io.FileIO:
    """A disk without room."""
    return io.FileIO("/dev/full", "w")
