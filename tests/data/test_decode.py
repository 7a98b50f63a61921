"""Decoding: every conversion against values worked out by hand, every refusal by its sentence."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from benchbench.core.errors import InputError
from benchbench.data.pipeline.decode import (
    CHUNK,
    UnusableError,
    conversion_notes,
    decode_image,
    decode_images,
    resize_images,
)


def _encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _noise(mode: str = "RGB", side: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).convert(mode)


def _png(width: int, height: int, depth: int, color_type: int, rows: bytes) -> bytes:
    """A PNG by its specification, for kinds that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_rgb_is_untouched() -> None:
    """PNG is lossless: the pixels that went in come out."""
    pixels, applied = decode_image(_encoded(_noise()))
    np.testing.assert_array_equal(pixels, np.asarray(_noise()))
    assert applied == []


def test_grey_is_copied_to_three_channels() -> None:
    """R = G = B = the grey level; a bilevel image has levels 0 and 255."""
    pixels, applied = decode_image(_encoded(_noise("L")))
    np.testing.assert_array_equal(pixels, np.asarray(_noise("L"))[..., None].repeat(3, 2))
    assert applied == ["grey"]
    pixels, applied = decode_image(_encoded(_noise("1")))
    assert set(np.unique(pixels)) == {0, 255}
    assert applied == ["grey"]


def test_palette_is_expanded() -> None:
    """Index i stands for the i-th colour of the palette."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    pixels, applied = decode_image(_encoded(image))
    assert pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert applied == ["palette"]


def test_alpha_is_composited_over_white() -> None:
    """c·α + 255·(1 − α): transparent is white, opaque is itself, black at α = 51/255 = 0.2 is 204 (exact in
    these three cases, so no tolerance)."""
    image = Image.new("RGBA", (3, 1))
    for x, value in enumerate([(9, 9, 9, 0), (9, 8, 7, 255), (0, 0, 0, 51)]):
        image.putpixel((x, 0), value)
    pixels, applied = decode_image(_encoded(image))
    assert pixels.tolist() == [[[255, 255, 255], [9, 8, 7], [204, 204, 204]]]
    assert applied == ["alpha"]


def test_a_transparent_colour_is_white_too() -> None:
    """PNG's tRNS chunk in a palette and in an RGB image: the colour it names is fully transparent."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    pixels, applied = decode_image(_encoded(image, transparency=0))
    assert pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]
    assert applied == ["palette", "alpha"]
    pixels, applied = decode_image(_encoded(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3)))
    assert pixels.tolist() == [[[255, 255, 255]]]
    assert applied == ["alpha"]


@pytest.mark.parametrize("orientation", [0, 1, 9, 77])
def test_exif_that_turns_nothing_is_not_noted(orientation: int) -> None:
    """EXIF knows 1 to 8: other numbers leave the pixels as they are, and nothing is said of a turn."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, applied = decode_image(_encoded(image, exif=exif.tobytes()))
    assert np.array_equal(pixels, np.asarray(image))
    assert applied == []


def test_exif_orientation_is_applied() -> None:
    """Orientation 6 means: turn by 90° clockwise to see it upright, so the left pixel comes on top."""
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, applied = decode_image(_encoded(image, exif=exif.tobytes()))
    assert pixels.tolist() == [[[255, 0, 0]], [[0, 0, 255]]]
    assert applied == ["orientation"]


def test_size_takes_the_centred_square() -> None:
    """A green square between red margins, 12×4 to 2×2: only green is left, since the crop comes first."""
    image = Image.new("RGB", (12, 4), (255, 0, 0))
    image.paste((0, 255, 0), (4, 0, 8, 4))
    pixels, applied = decode_image(_encoded(image), size=2)
    assert pixels.tolist() == [[[0, 255, 0]] * 2] * 2
    assert applied == ["resized"]
    assert decode_image(_encoded(_noise(side=8)), size=8)[1] == []


def test_shrinking_averages() -> None:
    """A chequerboard of 0 and 255 shrunk 8-fold is grey: a filter without antialiasing would give 0 or 255.
    ±16 covers the lobes of LANCZOS at the border."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    images = np.broadcast_to(board, (1, 3, 64, 64)).copy()
    assert np.abs(resize_images(images, 8).astype(int) - 127).max() <= 16


def test_resizing_decoded_images_is_the_same_as_while_decoding() -> None:
    """One rule, two ways in."""
    expected, _ = decode_image(_encoded(_noise()), size=7)
    native, _ = decode_image(_encoded(_noise()))
    np.testing.assert_array_equal(
        resize_images(native.transpose(2, 0, 1)[None], 7)[0].transpose(1, 2, 0), expected
    )


DEEP_GREY = Image.fromarray(np.full((4, 4), 40000, np.uint16))
DEEP_RGB = _png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 1, 2, 3, 40000, 5, 6))
FRAMES = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]


@pytest.mark.parametrize(
    ("encoded", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, I am text", "is not an image that can be read"),
        (_encoded(_noise())[:400], "cannot be decoded: .*truncated"),
        (_encoded(_noise(side=64), "JPEG")[:-300], "cannot be decoded: .*truncated"),
        (_encoded(_noise("CMYK"), "JPEG"), "is CMYK; convert it to RGB"),
        (_encoded(_noise("YCbCr"), "TIFF"), "is YCbCr; convert it to RGB"),
        (_encoded(DEEP_GREY), "more than 8 bits a channel"),
        (_encoded(DEEP_GREY, "TIFF"), "more than 8 bits a channel"),
        (DEEP_RGB, "more than 8 bits a channel"),
        (_encoded(Image.new("F", (2, 2)), "TIFF"), "more than 8 bits a channel"),
        (_encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "has more than one frame"),
        (_encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "has more than one frame"),
        (_png(20000, 20000, 8, 2, b""), "decompression bombs"),  # 400 Mpixel: Pillow's own error
        (_png(10000, 10000, 8, 2, b""), "decompression bombs"),  # 100 Mpixel: Pillow would only warn
    ],
)
def test_refused(encoded: bytes, sentence: str) -> None:
    """Each of these would change numbers silently or break later; the list is the module docstring's."""
    with pytest.raises(InputError, match=f"^bad.png .*{sentence}"):
        decode_images([("bad.png", encoded)], 1)


def test_refusal_does_not_depend_on_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some libraries switch Pillow to fill truncated files with grey for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(InputError, match="truncated"):
        decode_images([("half.png", _encoded(_noise(side=64), "JPEG")[:-300])], 1)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # theirs again


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The operating system's own reason, in one sentence."""
    with pytest.raises(UnusableError, match="No such file"):
        decode_image(tmp_path / "gone.png")


def test_the_first_refused_is_named_and_all_are_counted() -> None:
    """Two of three are broken; the first of them in order is named."""
    items = [("a", _encoded(_noise())), ("b", b"x"), ("c", b"")]
    with pytest.raises(InputError, match=r"^b is not an image.* \(2 of 3 images cannot be used\)$"):
        decode_images(items, 3)


def test_mixed_sizes_are_named_with_the_way_out() -> None:
    """Width × height, as people say it."""
    items = [("a", _encoded(_noise())), ("b", _encoded(Image.new("RGB", (3, 5))))]
    with pytest.raises(InputError, match=r"a is 16×16 but b is 3×5 \(1 of 2 .*--size N"):
        decode_images(items, 2)
    images, applied = decode_images(items, 2, size=4)
    assert images.shape == (2, 3, 4, 4)
    assert applied == {"resized": 2}


def test_nothing_to_decode() -> None:
    """No images at all is a sentence, not an empty array."""
    with pytest.raises(InputError, match="no images"):
        decode_images([], 0)


def test_order_is_kept_over_chunks() -> None:
    """Image i is grey level i mod 251; more chunks than threads take, and one that is not full."""
    n = 20 * CHUNK + 1
    encoded = [_encoded(Image.new("L", (1, 1), level)) for level in range(251)]
    images, applied = decode_images(((str(i), encoded[i % 251]) for i in range(n)), n)
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(n) % 251)
    assert applied == {"grey": n}


def test_notes_count() -> None:
    """Each note says how many, what, and what was done."""
    assert conversion_notes({"alpha": 3, "grey": 0}, 200) == [
        "3 of 200 images had an alpha channel and were composited over white"
    ]


def test_what_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A file that was listed may be something else by the time it is read: a sentence, and no wait for a writer."""
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for name in ("a.png", "b.png"):
        with pytest.raises(UnusableError, match=r"is a (pipe|folder); give a regular file"):
            decode_image(tmp_path / name)
