"""A study as one HTML file, for whoever cannot host: it runs from a disk, without a network, and hands back JSON.

What it holds is what a browser may know: images by their ids, items sorted by theirs, and orders by places. Orders are
dealt with the study's secret, which is no part of it; the page takes one of them by the token that it makes up.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.study.folder import Study
from benchbench.study.order import ORDERS, in_file
from benchbench.study.screen import choices
from benchbench.study.template import part, render_page

LARGE = 100 * 10**6
"""Bytes from which on a file is said to be large: it is slow to send and to open."""
MOST_PAGE = 400 * 10**6
"""Bytes that a page may have: a browser holds its data as one text, and texts end near 512 MB."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: Where.
        size: In bytes.
    """

    file: Path
    size: int

    @property
    def is_large(self) -> bool:
        """Whether a reader should be told so."""
        return self.size > LARGE


def export_html(study: Study, file: Path) -> Exported:
    """Write a study as one self-contained HTML file.

    Args:
        study: Which.
        file: Where; what is there is replaced.

    Returns:
        What was written.

    Raises:
        InputError: An image cannot be read, the file cannot be written, or it would be larger than a browser reads.
    """
    content = exported_page(study).encode()
    if len(content) > MOST_PAGE:
        raise _too_large(len(content))
    atomic_write(file, content)
    return Exported(file, len(content))


def exported_page(study: Study) -> str:
    """The text of that file; raises `InputError` as `export_html`."""
    expected = sum((study.image(own).stat().st_size for own in _present(study)), 0) * 4 // 3
    if expected > MOST_PAGE:
        raise _too_large(expected)
    css, transport, script = part("page.css"), part("in_file.js"), part("page.js")
    allowed = {"script": [transport, script], "style": [css]}
    return render_page(
        study,
        {
            "policy": _policy(allowed),
            "icon": "data:image/svg+xml;base64," + base64.b64encode(part("icon.svg").encode()).decode(),
            "css": css,
            "data": _for_html(_data(study)),
            "transport": transport,
            "script": script,
        },
    )


def _present(study: Study) -> list[str]:
    """Ids of images whose files are there; whoever reads the others says that they are not."""
    return [own for own in study.manifest.images if study.image(own).is_file()]


def _too_large(size: int) -> InputError:
    return InputError(
        f"the page would have {size / 10**6:,.0f} MB, and a browser reads at most {MOST_PAGE // 10**6} MB of one file; "
        "make a study of fewer items, or serve it (benchbench study serve)"
    )


def _data(study: Study) -> dict[str, Any]:
    manifest = study.manifest
    items = sorted(manifest.items, key=lambda item: item.id)
    number = {item.id: place for place, item in enumerate(items)}
    return {
        "study": manifest.id,
        "consent": study.consent_sha256,
        "question": manifest.question,
        "choices": choices(manifest),
        "items": [{"item": item.id, "images": list(item.images), "source": item.source} for item in items],
        "orders": [
            [[number[shown.item.id], list(shown.order)] for shown in in_file(study, k)] for k in range(ORDERS)
        ],
        "images": {
            own: "data:image/png;base64," + base64.b64encode(study.png(own)).decode()
            for own in sorted(manifest.images)
        },
    }


def _for_html(data: dict[str, Any]) -> str:
    """JSON for between the tags of a script element: nothing in it ends the element or begins a comment."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _policy(allowed: dict[str, list[str]]) -> str:
    """A Content-Security-Policy under which these very texts run and nothing else does; no request leaves the page."""
    sources = [
        f"{kind}-src " + " ".join(f"'sha256-{_sha256(text)}'" for text in texts)
        for kind, texts in allowed.items()
    ]
    return "; ".join(
        ["default-src 'none'", *sources, "img-src data:", "form-action 'none'", "base-uri 'none'"]
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
