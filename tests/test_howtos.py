"""The tutorial and the how-to pages, done: every `sh` block is typed and every `python` block is run, in order, in a
folder of their own that holds what the reader has.

What takes minutes is made smaller, never left out: the same commands with fewer images, steps and seeds, on digits in
place of CIFAR-10, by `SMALLER`. Blocks without a language are not run: they show output, or what only a reader has. A
block below `<!-- needs: NAME … -->` needs modules that not everybody has.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import benchbench
from benchbench.cli import cli
from benchbench.features.networks.torch_fidelity_nets import DinoV2Large

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- needs: (?P<needs>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
FEW = " --samples 16 --metrics fd --extractor cnn_digits --device cpu"
GROUP = ",samples=16,metrics=fd,extractors=cnn_digits,steps=1"
SMALLER: dict[str, list[tuple[str, str]]] = {
    "every": [("cifar10", "digits"), ("inception_v3", "cnn_digits"), ("--samples 2000", "")],
    "tutorial": [
        ("--model vae --dataset digits", f"--model vae-mlp --dataset digits --set steps=1{FEW}"),
        ("--pretrained", f"--pretrained{FEW}"),
        ("--model real --dataset digits", f"--model real --dataset digits{FEW}"),
        ("--seeds 3", "--seeds 1"),
        ("model=vae,dataset=digits", f"model=vae-mlp,dataset=digits{GROUP}"),
        ("model=dcgan model=vae", "model=dcgan model=vae-mlp"),
        ("--models vae", "--models vae-mlp"),
    ],
    "score-a-folder": [("--baselines all", "--baselines noise,dcgan --device cpu")],
    "public-generator": [
        ("args.ngpu=1", "args.nz=5"),
        ("--dataset digits --size 64", "--dataset faces/ --size 8 --samples 16 --metrics swd --device cpu"),
    ],
    "is-it-better": [
        ("beta=1 --seeds 5", f"beta=1{GROUP} --seeds 2"),
        ("beta=2 model=", f"beta=2{GROUP} model="),
    ],
    "gate-in-ci": [("vae,real", "noise")],
    "cluster": [("vae,real", "noise")],
    "dashboards": [("--monitor-every 100", f"--set steps=2{FEW}")],
    "plot": [("dcgan,vae", "vae-mlp")],
    "ask-people": [
        ("--model vae --dataset digits", f"--model vae-mlp --dataset digits --set steps=1{FEW}"),
        ("--pretrained", f"--pretrained{FEW}"),
        ("model=vae ", "model=vae-mlp "),
    ],
    "training-loop": [("digits:train", "faces"), ("5_000", "16"), ("1_000", "1")],
}
LONG = {"tutorial", "is-it-better", "gate-in-ci"}  # most of a minute where nothing else runs
IMAGES = {"score-a-folder": ("samples", 32), "public-generator": ("faces", 8), "training-loop": ("faces", 32)}
GENERATOR = """
from torch import nn


class Generator(nn.Module):
    def __init__(self, nz=100, ngf=2):
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(nz, ngf, 4), nn.ReLU(),
                                  nn.ConvTranspose2d(ngf, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        return self.main(z)
"""


class Block(NamedTuple):
    """A fenced block of a page. needs: modules without which it cannot be run."""

    language: str
    code: str
    needs: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """Those that are run, in order, made smaller."""
    changes = [*SMALLER["every"], *SMALLER.get(page.stem, [])]
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        code = found["code"]
        for words, fewer in changes:
            code = code.replace(words, fewer)
        yield Block(found["language"], code, tuple((found["needs"] or "").split()))


def commands(code: str) -> list[list[str]]:
    """What is typed, line by line, without the name of the program."""
    lines = [shlex.split(line, comments=True) for line in code.replace("\\\n", " ").splitlines()]
    typed = [line for line in lines if line]
    assert {line[0] for line in typed} == {"benchbench"}, "an sh block has commands of benchbench alone"
    return [line[1:] for line in typed]


def reader_has(page: str, folder: Path) -> dict[str, Any]:
    """Write the files of the reader of a page; the names that its Python knows."""
    rng = np.random.default_rng(0)
    if page in IMAGES:
        name, side = IMAGES[page]
        (folder / name).mkdir()
        for i in range(20):
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    if page == "public-generator":
        (folder / "dcgan.py").write_text(GENERATOR)
        space: dict[str, Any] = {}
        exec(GENERATOR, space)
        torch.manual_seed(0)
        torch.save(space["Generator"](5).state_dict(), folder / "netG.pth")
    if page == "air-gapped":
        mirror = folder / "mirror"
        mirror.mkdir()
        torch.save({"w": torch.ones(1)}, mirror / DinoV2Large.weights.file)
        with zipfile.ZipFile(mirror / DinoV2Large.code.file, "w") as packed:
            packed.writestr("dinov2/hubconf.py", "")
    if page == "gate-in-ci":
        (folder / ".git").mkdir()
    if page in ("plot", "dashboards", "model-card"):
        benchbench.run("vae-mlp", "digits", samples=16, metrics=["fd"], extractors=["cnn_digits"], device="cpu",
                       overrides={"steps": 2})  # fmt: skip
    if page == "training-loop":
        return {"steps": 2, "train_one_step": lambda: None, "generator": _generator()}
    return {}


def _generator() -> torch.nn.Module:
    layers = torch.nn.Linear(4, 3 * 32 * 32), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 32, 32))
    return torch.nn.Sequential(*layers)


def make_smaller(suite: Path) -> None:
    """Fewer images and numbers of every cell."""
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text.replace("[settings]", '[settings]\nsamples = 16\nmetrics = ["swd"]', 1))


def is_there(module: str) -> bool:
    """Whether it could be imported, those above it too."""
    parts = module.split(".")
    heads = (".".join(parts[: n + 1]) for n in range(len(parts)))
    return all(importlib.util.find_spec(head) is not None for head in heads)


@pytest.mark.costly
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.stem, marks=pytest.mark.slow if page.stem in LONG else ()) for page in PAGES],
)
def test_what_a_page_says_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command is refused and no line of Python fails; what a page writes is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))  # where nobody has fetched anything
    monkeypatch.setenv("BENCHBENCH_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(DinoV2Large, "code", replace(DinoV2Large.code, sha256=""))
    space, missing = reader_has(page.stem, tmp_path), set()
    for block in blocks(page):
        lacking = {name for name in block.needs if not is_there(name)}
        missing |= lacking
        if lacking:
            continue
        if block.language == "python":
            exec(compile(block.code, page.name, "exec"), space)
            continue
        for command in commands(block.code):
            result = CliRunner().invoke(cli, command)
            assert result.exit_code == 0, (command, result.output, result.exception)
            written = [command[command.index(name) + 1] for name in ("--output", "--out") if name in command]
            assert all(Path(name).exists() for name in written), command
            if command[0] == "init":
                make_smaller(Path("suite.toml"))
    if missing:
        pytest.skip(f"the rest of the page needs {', '.join(sorted(missing))}")


def test_every_page_is_in_the_index() -> None:
    """A page that nobody finds answers nothing."""
    index = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    assert {page.name for page in PAGES[1:]} - {"index.md"} == set(re.findall(r"\((\w[\w-]*\.md)\)", index))


def test_everything_that_is_made_smaller_is_there() -> None:
    """A replacement that nothing on its page needs would hide that the page has changed."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for words, fewer in [*SMALLER["every"], *SMALLER.get(page.stem, [])]:
            assert words in text or (words, fewer) in SMALLER["every"], (page.name, words)
            text = text.replace(words, fewer)
