"""A sink of another package."""

from __future__ import annotations

import json

from benchbench.sinks.sink import NOTHING, Opened, named


class Ledger:
    """Writes a run into a file, a JSON object a line."""

    def open(self, run):
        run.folder.mkdir(parents=True, exist_ok=True)
        self.file = (run.folder / f"{run.key}.jsonl").open("w", encoding="utf-8")
        self.write(run=run.name, config=run.config)
        return Opened(NOTHING, self.file.name)

    def write(self, **facts):
        self.file.write(json.dumps(facts) + "\n")

    def scalars(self, step, values):
        self.write(step=step, **values)

    def image(self, step, name, png):
        self.write(step=step, picture=name, bytes=len(png))

    def numbers(self, step, rows):
        self.write(step=step, **named(rows))

    def close(self, status):
        self.write(status=status)
        self.file.close()
