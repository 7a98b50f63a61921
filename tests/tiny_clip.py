"""A CLIP of a few numbers in a folder, as transformers saves it: seeded random weights, a vocabulary of letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

LONGEST = 12  # tokens of a caption: the start, ten letters or words, the end


def saved(folder: Path, seed: int = 0, side: int = 16) -> Path:
    """The folder, with model and processor in it. `transformers` has to be installed."""
    import transformers as hf

    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocabulary = {
        piece: n for n, piece in enumerate([*letters, *(f"{one}</w>" for one in letters), "th", "the</w>"])
    }
    start, end = len(vocabulary), len(vocabulary) + 1
    vocabulary |= {"<|startoftext|>": start, "<|endoftext|>": end}
    tokenizer: Any
    if int(hf.__version__.partition(".")[0]) >= 5:
        tokenizer = hf.CLIPTokenizer(vocab=vocabulary, merges=[("t", "h"), ("th", "e</w>")])
    else:
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e</w>\n")
        tokenizer = hf.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    config = hf.CLIPConfig(
        text_config={
            **tower,
            **ends,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": LONGEST,
            "projection_dim": 8,
        },
        vision_config={**tower, "image_size": side, "patch_size": 8, "projection_dim": 8},
        projection_dim=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = hf.CLIPModel(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)  # so that images and captions differ
    model.save_pretrained(folder)
    images = hf.CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    hf.CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder
