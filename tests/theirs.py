"""A generator as a researcher's repository has it: a Python file, and one beside it that it imports."""

from __future__ import annotations

from pathlib import Path

PUBLIC = '''
import torch
from torch import nn
from layers import up


class Generator(nn.Module):
    """A public DCGAN in small."""

    def __init__(self, nz, ngf=2):
        super().__init__()
        self.main = nn.Sequential(up(nz, ngf, 4, 1, 0), nn.BatchNorm2d(ngf), nn.ReLU(), up(ngf, 3, 4, 2, 1), nn.Tanh())

    def forward(self, input):
        return self.main(input)


def make_generator():
    torch.manual_seed(0)
    return Generator(5)


def draws(z):
    return torch.tanh(z[:, :3, None, None].expand(-1, -1, 8, 8))


def broken():
    return {}["no such weights"]


def returns_images(n=16):
    return torch.zeros(n, 3, 8, 8)


TWO = 2
'''
LAYERS = (
    "from torch import nn\n\n\ndef up(*arguments):\n    return nn.ConvTranspose2d(*arguments, bias=False)\n"
)


def write_public(folder: Path) -> Path:
    """Write both files; the path of the first."""
    (folder / "dcgan.py").write_text(PUBLIC)
    (folder / "layers.py").write_text(LAYERS)
    return folder / "dcgan.py"
