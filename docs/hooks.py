"""What MkDocs must be told to show these pages as GitHub does.

README, CONTRIBUTING and CHANGELOG lie in the root, where people look for them, and are pages of the site as well. Links
are those that work on GitHub, from file to file: between pages they are turned to where the pages lie on the site, and
one to a file that the site does not have (a source, a test, a record) keeps its words only.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
OF_THE_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie in the root."""
    for name, page in OF_THE_ROOT.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page, but not what stands in its fenced code."""
    here = page.file.src_uri
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if part.startswith("```") else LINK.sub(lambda link: _turned(link, here), part) for part in parts
    )


def _turned(link: re.Match[str], here: str) -> str:
    picture, words, target = link.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in path:
        return link[0]
    in_root = {page: name for name, page in OF_THE_ROOT.items()}
    file = posixpath.normpath(posixpath.join(posixpath.dirname(in_root.get(here, f"docs/{here}")), path))
    if file in OF_THE_ROOT:
        shown = OF_THE_ROOT[file]
    elif file.startswith("docs/"):
        shown = file.removeprefix("docs/")
    else:
        return words
    return f"{picture}[{words}]({posixpath.relpath(shown, posixpath.dirname(here) or '.')}{hash_}{anchor})"
