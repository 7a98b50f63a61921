"""The page itself: template, style and scripts, which lie in `page/` and are shipped as they are.

The served page loads its style and scripts from the server, the exported one holds them (`exported.py`). Both have the
same `page.js`; who hands out screens and takes answers is another script (`over_http.js`, `in_file.js`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchbench.study.folder import Study
from benchbench.study.minutes import about_minutes

TITLE = "A study of pictures"
"""It says as little as can be said: a name might tell what is studied."""


def part(name: str) -> str:
    """The text of a file of the page: "page.css", "page.js", "icon.svg", "over_http.js", "in_file.js"."""
    return files("benchbench.study").joinpath("page", name).read_text(encoding="utf-8")


def render_page(study: Study, exported: Mapping[str, Any] | None = None) -> str:
    """The HTML of the page.

    Args:
        study: Whose consent text and question it shows.
        exported: Of a page that is one file what it holds: `policy`, `icon`; `css`, `data`, `transport` and `script`,
            which stand in it as they are.

    Returns:
        The text; every word of the study in it is escaped.

    Raises:
        InputError: The consent text cannot be read.
    """
    environment = Environment(
        loader=PackageLoader("benchbench.study", "page"), autoescape=True, undefined=StrictUndefined
    )
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", study.consent) if part.strip()]
    return environment.get_template("page.html.j2").render(
        study=study.manifest.id,
        title=TITLE,
        consent=paragraphs,
        question=study.manifest.question,
        total=len(study.manifest.items),
        minutes=about_minutes(len(study.manifest.items)),
        exported=exported,
    )
