"""Pictures on the report's page: paper goes, letters stay legible on both papers, images stay as they were."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchbench.views.grid import image_grid
from benchbench.views.page_pictures import GREY, MOST_WIDE, page_picture


def shown(content: bytes) -> Image.Image:
    """What a browser reads."""
    kind, _, data = page_picture(content).partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")


def png(images: npt.NDArray[np.uint8], folder: Path) -> bytes:
    image_grid([("a panel", images)], folder / "grid.png", "A title", columns=2)
    return (folder / "grid.png").read_bytes()


def test_paper_is_transparent_and_images_are_not(tmp_path: Path) -> None:
    """White images on white paper: their every pixel stays, white and opaque; the margin is transparent; what is left
    are letters, in one grey. The frame is 150, lossy coding moves it by less than 40."""
    content = png(np.full((4, 16, 16, 3), 255, np.uint8), tmp_path)
    before = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    after = np.asarray(shown(content)).astype(int)
    alpha = after[..., 3]
    frame = (before == 150).all(axis=2)
    frame &= frame.sum(axis=1, keepdims=True) > 20  # a letter has a few such pixels, too
    rows, columns = np.where(frame)
    tiles = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    assert (alpha[tiles] == 255).all()
    assert np.abs(after[tiles][..., :3] - before[tiles]).max() < 60
    assert (before[tiles] == 255).mean() > 0.8
    assert (alpha[:8] == 0).all()
    assert (alpha[:, :8] == 0).all()
    letters = (before[: rows.min()].mean(axis=2) < 100) & (alpha[: rows.min()] > 100)
    assert letters.sum() > 50
    assert np.abs(after[: rows.min()][letters][:, :3] - GREY).max() < 40


def test_letters_can_be_read_on_both_papers() -> None:
    """WCAG's contrast of the grey on the page's two papers, #ffffff and #14161a, by its formula: 4 : 1 and more, where
    large text asks for 3."""

    def luminance(colour: tuple[int, int, int]) -> float:
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour)
        ]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    grey = luminance((GREY, GREY, GREY))
    for paper in ((255, 255, 255), (0x14, 0x16, 0x1A)):
        light, dark = sorted((luminance(paper), grey), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4


def test_a_photograph_stays_whole_and_a_large_picture_is_reduced() -> None:
    """Without a frame of paper nothing becomes transparent; 1,360 pixels become 680, the sides in proportion."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 2 * MOST_WIDE, 3), np.uint8)
    noise[:20, :200] = 255  # a white corner is no frame
    out = io.BytesIO()
    Image.fromarray(noise).save(out, format="PNG")
    picture = shown(out.getvalue())
    assert picture.size == (MOST_WIDE, 50)
    assert (np.asarray(picture)[..., 3] == 255).all()


def test_what_is_no_picture_is_left_to_the_browser() -> None:
    """The bytes as they are, called what the record calls them."""
    assert page_picture(b"none") == "data:image/png;base64," + base64.b64encode(b"none").decode()
