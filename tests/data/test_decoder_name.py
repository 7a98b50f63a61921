"""What records say of the decoder."""

from __future__ import annotations

import re

import PIL
import torch

from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.decode import decoder
from benchbench.runner.describe import before


def test_the_decoder_is_named() -> None:
    """Pillow's version and that of its JPEG library, which pip's lists of packages do not have, in every record."""
    named = decoder()
    assert re.fullmatch(r"Pillow \S+ \((libjpeg-turbo|libjpeg) [\d.]+\), \d+ threads?", named)
    assert PIL.__version__ in named
    assert before(Runtime(torch.device("cpu"))).provenance.decoder == named
