"""What a section says, as rows, and the two files in which all that was said stands: `gpu.json` and `gpu.md`.

A row is a plain dictionary. kind "check": `value` must be at most `limit`, `ok` says whether it is. kind "measure": a
`value` in `unit`, beside the `target` it should reach and the `share` of the machine's peak. kind "skip": why there is
no number. Both files are rewritten whole after each section, by a rename, so a reader never meets half of one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FAILED = ("failed", "timeout")  # statuses of a section that did not do what it was asked


@dataclass
class Report:
    """All that was said. machine: what it was said of. sections: in the order in which they ran."""

    machine: dict[str, Any]
    sections: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, status: str, reason: str, seconds: float, rows: Sequence[Row]) -> None:
        """One section that is over."""
        self.sections.append(
            {
                "section": name,
                "status": status,
                "reason": reason,
                "seconds": round(seconds, 2),
                "rows": [plain(row) for row in rows],
            }
        )

    @property
    def broken(self) -> list[str]:
        """Every check that failed and every section that did not end by itself, in words; a run that did nothing is no
        success either."""
        words = []
        if all(section["status"] == "skipped" for section in self.sections):
            words.append("nothing was run")
        for section in self.sections:
            if section["status"] in FAILED:
                words.append(f"{section['section']}: {section['status']} ({section['reason']})")
            words += [f"{section['section']}: {row['name']}" for row in section["rows"] if row["ok"] is False]
        return words

    def write(self, folder: Path) -> None:
        """`gpu.json` and `gpu.md` in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "gpu.json", json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")
        _replace(folder / "gpu.md", markdown(self))


def row(name: str, kind: str, **fields: Any) -> Row:
    """A row with all the fields that rows have."""
    blank = dict.fromkeys(("value", "limit", "unit", "target", "share", "ok"))
    return {"name": name, "kind": kind, **blank, "note": "", **fields}


def plain(row: Mapping[str, Any]) -> Row:
    """The row as JSON can hold it: what is no number is None, and a note says what it was."""
    fixed = dict(row)
    for key, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            fixed[key] = None
            fixed["note"] = f"{key} is {value}; {row['note']}".rstrip("; ")
    return fixed


def markdown(report: Report) -> str:
    """The sections in a line each, and one table of all rows."""
    lines = ["# One run of benchmarks/gpu.py", ""]
    lines += [f"- {key}: {value}" for key, value in report.machine.items()]
    lines += ["", "| section | status | seconds | reason |", "|---|---|---:|---|"]
    lines += [_line(s["section"], s["status"], f"{s['seconds']:.1f}", s["reason"]) for s in report.sections]
    lines += ["", "| section | what | value | limit or target | of the peak | ok | note |"]
    lines.append("|---|---|---:|---:|---:|---|---|")
    for section in report.sections:
        lines += [_line(section["section"], *_cells(row)) for row in section["rows"]]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    unit = f" {row['unit']}" if row["unit"] else ""
    value = "" if row["value"] is None else f"{_number(row['value'])}{unit}"
    bound = ""
    if row["limit"] is not None:
        bound = f"≤ {_number(row['limit'])}"
    elif row["target"] is not None:
        bound = f"{_number(row['target'])}{unit}"
    share = "" if row["share"] is None else f"{row['share']:.0%}"
    ok = {True: "yes", False: "**NO**", None: "skipped" if row["kind"] == "skip" else ""}[row["ok"]]
    return [row["name"], value, bound, share, ok, row["note"]]


def _line(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
