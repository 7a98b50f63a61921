"""CLIP in a folder as Hugging Face's `save_pretrained` writes it: images and captions to one space.

Source: Radford et al. 2021. The package transformers runs both towers, and prepares images and captions as the files
beside the weights say; nothing is downloaded, and no code but that of the package is run.

A caption that is longer than the model reads, 77 tokens of the published ones, is cut before its end token, as OpenAI's
`tokenize(truncate=True)` does: the end token is where CLIP reads what a text says. All are filled up to that length, so
what a caption becomes does not depend on those beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed, because
from benchbench.core.hashing import digest, file_sha256
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, full_float32

ENV = "BENCHBENCH_CLIP_FOLDER_WEIGHTS"
WEIGHTS = "model.safetensors"
BATCH = 64  # captions at once
_WAY_OUT = (
    f"save a CLIPModel and its CLIPProcessor to one folder with save_pretrained of the package transformers, and point "
    f"{ENV} to it"
)


class ClipFolder(FrozenExtractor):
    """CLIP in a folder of one's own, as transformers saves it; it reads captions too.

    `dim`, `input_side` and `resize` are known once it is loaded: "processor-224-1f3a9c2b" is the side in pixels, and a
    digest of the files beside the weights, the class that prepares images and the major version of transformers.
    """

    name = "clip_folder"
    n_logits = 0
    batch_size = 32
    kind: ClassVar[str] = "clip"
    field_names: ClassVar[dict[str, str]] = {"clip_score": "clip_score"}

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        folder = _folder()
        sha256 = file_sha256(folder / WEIGHTS)
        self._model, self._processor, self._transformers = _loaded(folder)
        config = self._model.config
        self.dim = config.projection_dim
        self._longest = config.text_config.max_position_embeddings
        self.input_side = config.vision_config.image_size
        settings = {
            file.name: file_sha256(file)
            for file in sorted(folder.iterdir())
            if file.suffix in (".json", ".txt")
        }
        prepared_by = type(self._processor.image_processor).__name__
        marks = digest([settings, prepared_by, self._transformers.partition(".")[0]])
        self.resize = f"processor-{self.input_side}-{marks[:8]}"
        super().__init__(self._model, device, sha256, f"a folder named by {ENV}", precision)

    def forward(self, images: Tensor) -> Features:
        prepared = self._processor.image_processor(
            list(images.cpu()), return_tensors="pt", input_data_format="channels_first"
        )
        with torch.autocast(self.device.type, self.dtype, enabled=self.precision != "float32"):
            found = self._model.get_image_features(prepared["pixel_values"].to(self.device))
        return Features(_embedding(found).float(), None)

    def captions(self, texts: Sequence[str]) -> Tensor:
        """Read captions, in full float32 whatever images are read in.

        Args:
            texts: Any texts.

        Returns:
            float32 (N, dim) on the CPU, of the length that the network gives them.
        """
        found = [torch.empty(0, self.dim)]
        for start in range(0, len(texts), BATCH):
            tokens = self._processor.tokenizer(
                list(texts[start : start + BATCH]),
                padding="max_length",
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            )
            asked = [tokens[name].to(self.device) for name in ("input_ids", "attention_mask")]
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, enabled=False),
                full_float32(),
            ):
                found.append(_embedding(self._model.get_text_features(*asked)).cpu())
        return torch.cat(found)

    def describe(self) -> dict[str, Any]:
        """Provenance for run.json; also which version of transformers ran it."""
        return {**super().describe(), "transformers": self._transformers}


def _embedding(found: Any) -> Tensor:
    """The embeddings in what a tower returns, which transformers wraps from version 5 on."""
    embedding: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return embedding


def _folder() -> Path:
    """The folder that the variable names; `MetricFailed(status="unavailable")` says what is wrong with it."""
    given = os.environ.get(ENV)
    if not given:
        raise MetricFailed(
            f"CLIP is not at hand, whose text tower no package ships: {_WAY_OUT}", status="unavailable"
        )
    folder = Path(given).expanduser()
    if not (folder / WEIGHTS).is_file():
        raise MetricFailed(
            f"{ENV} names {given}, which is no folder with a {WEIGHTS}: {_WAY_OUT}", status="unavailable"
        )
    return folder


def _loaded(folder: Path) -> tuple[Any, Any, str]:
    """Model and processor of a folder, and the version of transformers; `MetricFailed(status="unavailable")` where
    there is no such package, or the folder holds no whole CLIP."""
    try:
        import transformers
    except ImportError as error:
        raise MetricFailed(
            "CLIP in a folder is run by the package transformers, which is not installed; run pip install transformers",
            status="unavailable",
        ) from error
    try:
        with _quiet(transformers):
            read: Any = (
                transformers.CLIPModel.from_pretrained
            )  # its own annotations know nothing of the second value
            model, found = read(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
            processor = transformers.CLIPProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # of a package that says what is wrong in a dozen ways
        raise MetricFailed(
            f"{ENV} names {folder}, whose CLIP cannot be loaded ({because(error)}): {_WAY_OUT}",
            status="unavailable",
        ) from error
    if lacking := sorted(found["missing_keys"]):  # the package would draw them at random
        raise MetricFailed(
            f"{ENV} names {folder}, whose {WEIGHTS} is no whole CLIP: {lacking[0]} is missing; {_WAY_OUT}",
            status="unavailable",
        )
    if not all(weight.isfinite().all() for weight in model.parameters()):
        raise MetricFailed(
            f"{ENV} names {folder}, some weights of which are not finite; {_WAY_OUT}", status="unavailable"
        )
    return model.float(), processor, str(transformers.__version__)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the package's own progress bars, which are as they were afterwards."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
