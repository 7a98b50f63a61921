"""What is on the package index under our name is somebody else's project: nothing here installs it by that name.

Every text file of the tree is read: documentation, workflows, messages, scripts.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = r"(?:pip3?|pipx|uv|uvx|poetry|pdm|rye|hatch|conda|mamba|micromamba|easy_install|pip-compile)"
VERBS = r"(?:install|add|run|download|inject|sync|tool install|tool run)"
BARE = r"(?<![\w./@+-])['\"]?benchbench(?:\[[\w,]+\])?(?:[=<>~!]=?[\w.*]+)?['\"]?(?=\s|$|[`),;&|])(?!\s*@)"
INSTALLS = re.compile(rf"\b(?:{TOOLS}\s+(?:-\S+\s+)*{VERBS}|uvx|pipx run)\b[^\n]*?{BARE}")
REQUIRES = re.compile(
    r"^\s*(?:-\s*)?['\"]benchbench(?:\[[\w,]+\])?\s*(?:[=<>~!]=?[^'\"@]*)?['\"]\s*,?\s*$"
    r"|dependencies\s*=\s*\[[^\]]*['\"]benchbench(?:\[[\w,]+\])?\s*(?:[=<>~!][^'\"@]*)?['\"]",
    re.MULTILINE,
)


def texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout.decode()
    names = [ROOT / name for name in listed.split("\0") if name] or [
        path for path in ROOT.rglob("*") if ".git" not in path.parts and ".venv" not in path.parts
    ]
    kinds = {
        ".md",
        ".py",
        ".yml",
        ".yaml",
        ".toml",
        ".txt",
        ".cfg",
        ".sh",
        ".html",
        ".j2",
        ".cff",
        ".ipynb",
        ".js",
        "",
    }
    return [path for path in names if path.suffix in kinds and path.is_file() and path != Path(__file__)]


def test_no_line_installs_a_stranger() -> None:
    """A path, a tag or a URL says which benchbench is meant."""
    found = []
    for path in texts():
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        found += [f"{path.relative_to(ROOT)}: {match[0].strip()}" for match in INSTALLS.finditer(text)]
        if path.suffix in (".toml", ".txt", ".md", ".cfg"):
            found += [f"{path.relative_to(ROOT)}: {match[0].strip()}" for match in REQUIRES.finditer(text)]
    assert [line for line in found if not line.startswith("pyproject.toml")] == []
    assert len(texts()) > 300


@pytest.mark.parametrize(
    "line",
    [
        "pip install benchbench",
        "python -m pip install --upgrade benchbench",
        "pip install torch 'benchbench[dev]'",
        "`pip install benchbench`.",
        "pip3 install benchbench==1.0.1",
        "uv pip install benchbench",
        "uv add benchbench",
        "uvx benchbench run",
        "pipx install benchbench",
        "conda install -c conda-forge benchbench",
        "run: pip install benchbench && benchbench run",
    ],
)
def test_such_lines_are_found(line: str) -> None:
    """The commands by which people install packages."""
    assert INSTALLS.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "pip install .",
        "pip install './benchbench'",
        "pip install git+https://github.com/OWNER/benchbench@v0.1.0",
        "pip install 'benchbench @ git+https://github.com/OWNER/benchbench@v0.1.0'",
        'pip install torch "$BENCHBENCH"',
        "pip install torch torchvision && pip install .\n\nbenchbench run",
        "benchbench run --model vae",
    ],
)
def test_and_others_are_not(line: str) -> None:
    """Those that say which one."""
    assert not INSTALLS.search(line)
