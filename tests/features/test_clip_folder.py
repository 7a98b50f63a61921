"""CLIP in a folder, on seeded random weights of a few numbers; held to torchmetrics' CLIPScore on the same network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_clip
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.features.extractor import load_extractor
from benchbench.features.networks.clip_folder import ENV, ClipFolder
from benchbench.metrics.pairs.captions import clip_score

TEXTS = ["the cat", "a dog", "the octopus of the sea and more", "q", "the the the"]


def pictures(n: int = 5, height: int = 20, width: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="CLIP in a folder is run by transformers, an extra (clip)")
    return tiny_clip.saved(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture
def clip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ClipFolder:
    monkeypatch.setenv(ENV, str(folder))
    extractor = load_extractor("clip_folder")
    assert isinstance(extractor, ClipFolder)
    return extractor


def reason() -> str:
    """Why it is not at hand, a sentence that says so under the status of what can be fetched."""
    with pytest.raises(MetricFailed) as caught:
        load_extractor("clip_folder")
    assert caught.value.status == "unavailable"
    return caught.value.reason


def test_what_is_not_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable, a folder without weights, no transformers: each with the way out."""
    monkeypatch.delenv(ENV, raising=False)
    assert "save_pretrained" in reason()
    assert ENV in reason()
    monkeypatch.setenv(ENV, str(tmp_path))
    assert f"{ENV} names {tmp_path}, which is no folder with a model.safetensors" in reason()
    (tmp_path / "model.safetensors").write_bytes(b"of no use")
    monkeypatch.setitem(sys.modules, "transformers", None)  # as where it is not installed
    assert "pip install transformers" in reason()


@pytest.mark.costly
def test_agrees_with_torchmetrics(clip: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image and caption at a time, as it has no value an image: the same network and files, so the noise of float32
    on numbers up to 100, 1e-3. Its cut of long captions is another one, so these are short; the towers are turned to
    agree more often than not."""
    from torchmetrics.functional.multimodal import clip_score as theirs

    class Unwrapped:
        """The towers as transformers 4 has them, which is what torchmetrics reads."""

        config = clip._model.config

        def to(self, device: torch.device) -> Unwrapped:
            return self

        def get_image_features(self, *given: Tensor) -> Tensor:
            return unwrapped(clip._model.get_image_features(*given))

        def get_text_features(self, *given: Tensor) -> Tensor:
            return unwrapped(clip._model.get_text_features(*given))

    def unwrapped(found: Any) -> Tensor:
        return found if isinstance(found, Tensor) else found.pooler_output  # type: ignore[no-any-return]

    images, texts = pictures(4), ["the cat", "a dog", "q", "the the the"]
    products = clip(images).features * clip.captions(texts)
    clip._model.text_projection.weight.mul_(products.sum().sign())  # cosines below 0 would all be 0
    ours = clip_score(clip(images).features, clip.captions(texts))
    with torch.inference_mode():
        expected = [
            float(theirs(image, text, lambda: (Unwrapped(), clip._processor)))  # type: ignore[arg-type]
            for image, text in zip(images, texts, strict=True)
        ]
    assert ours.tolist() == pytest.approx(expected, abs=1e-3)
    assert ours.std() > 1  # different images and captions have different numbers


@pytest.mark.costly
def test_images_are_prepared_as_the_folder_says(clip: ClipFolder) -> None:
    """An image of just the side is not resized: (x/255 − mean)/std of the file through the tower, 1e-4 relative to
    features of about 1. Row i is of image i alone, and so is caption i: 1e-5 for other batches."""
    images = pictures(3, 16, 16)
    prepared = clip._processor.image_processor
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (prepared.image_mean, prepared.image_std))
    with torch.inference_mode():
        found = clip._model.get_image_features((images / 255 - mean) / std)
    expected = found if isinstance(found, Tensor) else found.pooler_output
    torch.testing.assert_close(clip(images).features, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(clip(images[1:2]).features, clip(images).features[1:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clip.captions(TEXTS[2:3]), clip.captions(TEXTS)[2:3], rtol=1e-5, atol=1e-5)
    assert clip.captions([]).shape == (0, clip.dim)


@pytest.mark.costly
def test_long_captions_are_cut_before_their_end(clip: ClipFolder) -> None:
    """The tokens that are read are the start, ten more and the end, where CLIP reads what a text says: what is behind
    the tenth changes nothing, and the tenth does. Were the end cut off, too, all would be read at the start token."""
    ten = "a b c d e f g h i "
    cut, longer, other = clip.captions([ten + "j", ten + "j and much more behind it", ten + "k"])
    assert torch.equal(cut, longer)
    assert (cut - other).abs().max() > 1e-3


@pytest.mark.costly
def test_what_tells_two_apart(
    clip: ClipFolder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights by the sha256 of their file; the files beside them by the name of the resize; both in the record."""
    told = clip.describe()
    assert told["weights_sha256"] == clip.weights_sha256 == file_sha256(folder / "model.safetensors")
    assert told["resize"] == clip.resize
    assert clip.resize.startswith("processor-16-")
    assert (clip.input_side, clip.dim) == (16, 8)
    other = tiny_clip.saved(tmp_path / "other", seed=1)
    monkeypatch.setenv(ENV, str(other))
    second = load_extractor("clip_folder")
    assert second.weights_sha256 != clip.weights_sha256
    assert second.resize == clip.resize
    (settings,) = other.glob("*processor_config.json")
    settings.write_text(settings.read_text().replace("0.26862954", "0.5"))
    third = load_extractor("clip_folder")
    assert third.weights_sha256 == second.weights_sha256
    assert third.resize != second.resize


@pytest.mark.costly
def test_what_is_no_whole_clip(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that lack a tensor, which transformers would draw at random; that are not finite; of another shape; a
    file that is none. Each is a sentence that names the folder."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv(ENV, str(broken))
    weights = load_file(folder / "model.safetensors")
    name = "text_projection.weight"

    def with_weights(changed: dict[str, Tensor]) -> str:
        save_file(changed, broken / "model.safetensors", metadata={"format": "pt"})
        return reason()

    assert f"{name} is missing" in with_weights({key: value for key, value in weights.items() if key != name})
    assert "not finite" in with_weights({**weights, name: weights[name] * torch.inf})
    assert str(broken) in with_weights({**weights, name: weights[name][:, :3].contiguous()})
    (broken / "model.safetensors").write_bytes(b"nothing")
    assert f"{broken}, whose CLIP cannot be loaded" in reason()
    (broken / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert str(broken) in reason()


@pytest.mark.costly
def test_lower_precision(clip: ClipFolder) -> None:
    """bfloat16 has 8 bits: within 5% of the largest feature, and not the same; captions are read in float32."""
    images = pictures()
    rounded = load_extractor("clip_folder", precision="bfloat16")
    assert isinstance(rounded, ClipFolder)
    off = (rounded(images).features - clip(images).features).abs().max() / clip(images).features.abs().max()
    assert 0 < off < 0.05
    assert torch.equal(rounded.captions(TEXTS), clip.captions(TEXTS))
