"""Strict decoding: every image in full to uint8 RGB, by stated rules, or refused by name.

Read are PNG, JPEG, BMP, WebP, GIF and TIFF (`FORMATS`), by content and not by name. No other decoder of Pillow's is
asked: some drop the low byte of 16 bits, and that of PostScript runs a program.

What is converted, and counted in the dataset's notes:
grey (modes 1 and L) is copied to three channels; a palette (P) is expanded; transparency (LA, PA, RGBA, a
transparent colour) is composited over white; an EXIF orientation is applied; and, where a size was asked
for, the largest centred square is cut out and resized by Pillow's LANCZOS filter (which averages when it
shrinks). Embedded colour profiles are ignored, as the loaders behind published numbers do.

What is refused, with the name of the first such file, the number of them and the way out: truncated files,
files in no such format, decompression bombs (from the size on at which Pillow would only warn), animations,
more than 8 bits a channel, signed and floating-point samples, CMYK and other colour spaces (whose conversion is a
choice that changes every number, so it is the user's), and images of different sizes when no size was asked for.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT

from benchbench.core.errors import InputError
from benchbench.core.machine import free_memory, usable_cores
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import open_regular
from benchbench.core.shares import READING, spent_on
from benchbench.data.pipeline.prefetch import map_ahead
from benchbench.data.pipeline.signatures import HEAD, image_format

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")
"""As Pillow calls them. What phones write as MPO is a JPEG with a preview behind it."""

MOST_BYTES = 2**29
"""Of an encoded image: more than the largest that is taken has without compression."""

AT_ONCE = 2**26
"""Bytes of pixels above which a thread leaves the rest of its chunk to whoever consumes it: bombs come in numbers."""

LARGE = 2**24
"""Pixels of an image above which one is decoded at a time: meanwhile it takes several times its size."""

_ALONE = Lock()

DECODE_VERSION = 1
"""Goes into the keys of the decode cache: raise it with every change of the rules above."""

CONVERSIONS = {
    "grey": "were grey and were copied to three channels",
    "palette": "used a palette and were expanded to RGB",
    "alpha": "had an alpha channel and were composited over white",
    "orientation": "were turned as their EXIF orientation says",
    "resized": "were cropped to the centred square and resized by Pillow's LANCZOS filter",
    "jpeg": "came out of JPEG files, which are lossy",
}
"""What `decode_image` may report about an image, as the end of a sentence."""

Cut = Callable[[Image.Image], Image.Image]
"""Takes a part out of an image, upright and in RGB; `UnusableError` if it cannot."""

Items = Iterable[tuple[str, bytes | Path]]
"""(name for errors, file content or path) of encoded images."""

Pixels = tuple[NDArray[np.uint8], list[str]]
"""What `decode_image` returns."""

Chunk = list[tuple[str, bytes | Path]]

CHUNK = 8  # files a thread takes at a time: few, for they may be large
WORKERS = min(8, usable_cores())


def decoder() -> str:
    """What decodes image files, as records state it: "Pillow 12.0.0 (libjpeg-turbo 3.1.0), 2 threads"."""
    turbo, plain = features.version_feature("libjpeg_turbo"), features.version_codec("jpg")
    library = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {plain}"
    return f"Pillow {PIL.__version__} ({library}), {WORKERS} thread{'s' * (WORKERS != 1)}"


class NoRoomError(InputError):
    """Images that do not fit into the memory that is free."""


class UnusableError(Exception):
    """An image that is refused; the message is the end of a sentence that begins with its name."""


def decode_image(encoded: bytes | Path, size: int | None = None, cut: Cut | None = None) -> Pixels:
    """One image file as uint8 H×W×3, and the keys of `CONVERSIONS` that apply; `UnusableError` if refused.

    `size`: the side of the square it is brought to, None for its own size. `cut`: what to take of it first.
    """
    try:
        with _opened(encoded) as file, Image.open(file, formats=FORMATS) as image:
            _refuse(image)
            with _ALONE if image.width * image.height > LARGE else nullcontext():
                image.load()
                return _to_rgb(image, size, cut)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableError(
            f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels, as decompression bombs do"
        ) from error
    except (UnusableError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # the system's; Pillow's own have none
            raise UnusableError(f"cannot be read: {error.strerror}") from error
        # Pillow's parsers raise whatever they trip over: OSError, SyntaxError, struct.error
        raise UnusableError(f"cannot be decoded: {str(error) or type(error).__name__}") from error


@contextmanager
def _opened(encoded: bytes | Path) -> Iterator[BinaryIO]:
    """The file content, to be read; `UnusableError` if nobody can make an image of it."""
    try:
        file = BytesIO(encoded) if isinstance(encoded, bytes) else open_regular(encoded)
    except InputError as error:
        raise UnusableError(str(error).removeprefix(f"{encoded!s} ")) from error
    with file:
        if file.seek(0, os.SEEK_END) > MOST_BYTES:
            raise UnusableError(f"has more than {MOST_BYTES:,} bytes, as no image does")
        file.seek(0)
        try:
            yield file
        except UnidentifiedImageError as error:
            file.seek(0)
            raise UnusableError(_unidentified(file.read(HEAD))) from error


def _unidentified(head: bytes) -> str:
    """Why a file that begins so is no image to Pillow, as the end of a sentence."""
    known = image_format(head)
    if not head:
        return "is empty"
    if known.upper() in FORMATS:
        what = f"it begins as {known} but is damaged or of a rare kind"
    else:
        what = f"its content is {known or 'in none of the formats'}, and read are {', '.join(FORMATS)}"
    return f"is not an image that can be read: {what}; save it as PNG"


def _refuse(image: Image.Image) -> None:
    """`UnusableError` for what would need a choice that changes numbers. Looks at the header only."""
    # Pillow refuses from twice as many pixels on and only warns before that, if the process lets it warn.
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    # MPO is what phones call a JPEG with a preview behind it; the first frame is the picture.
    if image.format != "MPO" and _has_more_frames(image):
        raise UnusableError("has more than one frame; save the one you mean as a single image")
    if _is_deep(image):
        raise UnusableError(
            "has more than 8 bits a channel, or signed samples; scale it to 8 bits first, for example with Pillow or "
            "ImageMagick"
        )
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        raise UnusableError(f"is {image.mode}; convert it to RGB first, through the colour profile you mean")


def _has_more_frames(image: Image.Image) -> bool:
    """Whether there is a second one; the number of all is not asked for, since some formats count by reading them."""
    if image.format != "TIFF":
        return bool(getattr(image, "is_animated", False))
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits, or samples are signed or floats. Pillow hands out some of these as mode
    RGB or L, cut down to 8 bits."""
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        bits, kinds = (tags.get(tag, (1,)) for tag in (BITSPERSAMPLE, SAMPLEFORMAT))
        if max(bits) > 8 or set(kinds) != {1}:
            return True
    # Of a PNG only the raw mode of its tiles tells. "BGR;16" of a BMP is 16 bits a pixel.
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", []) if image.format == "PNG")
    return deep or image.mode.startswith(("I", "F"))


def _to_rgb(image: Image.Image, size: int | None, cut: Cut | None) -> Pixels:
    applied = ["jpeg"] if image.format in ("JPEG", "MPO") else []
    turned = image
    if image.getexif().get(0x0112) in range(2, 9):  # what else stands there turns nothing
        turned = ImageOps.exif_transpose(image)
        applied.append("orientation")
    if image.mode in ("1", "L", "LA"):
        applied.append("grey")
    if image.mode in ("P", "PA"):
        applied.append("palette")
    if image.has_transparency_data:
        applied.append("alpha")
        white = Image.new("RGBA", turned.size, "white")
        turned = Image.alpha_composite(white, turned.convert("RGBA"))
    rgb = turned if turned.mode == "RGB" else turned.convert("RGB")
    if cut is not None:
        rgb = cut(rgb)
    if size is not None and rgb.size != (size, size):
        applied.append("resized")
        rgb = _fit(rgb, size)
    return np.asarray(rgb), applied


def decode_ahead(
    items: Items, *, size: int | None = None, cut: Cut | None = None
) -> Generator[list[tuple[str, Pixels | UnusableError]], None, None]:
    """Decode files in order, a few at a time and some ahead: the name of each with its pixels and conversions, or with
    why it is refused. Threads share the work (Pillow lets go of the interpreter while it decodes)."""
    decode = partial(_decode_chunk, size=size, cut=cut)
    with closing(map_ahead(decode, _chunks(items), WORKERS)) as chunks:
        for decoded, rest in chunks:
            yield decoded
            for item in rest:
                yield decode([item])[0]


def _chunks(items: Items) -> Generator[Chunk, None, None]:
    def each() -> Generator[tuple[str, bytes | Path], None, None]:
        yield from items  # so that closing it closes whatever `items` holds open

    with closing(each()) as remaining:
        while chunk := list(islice(remaining, CHUNK)):
            yield chunk


def _decode_chunk(
    chunk: Chunk, size: int | None, cut: Cut | None
) -> tuple[list[tuple[str, Pixels | UnusableError]], Chunk]:
    """The first images of a chunk, decoded, and those that are left, for their pixels exceed `AT_ONCE`."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise InputError(
            "Pillow is set to fill up truncated images with grey; "
            "set PIL.ImageFile.LOAD_TRUNCATED_IMAGES to False again"
        )
    decoded: list[tuple[str, Pixels | UnusableError]] = []
    held = 0
    for name, encoded in chunk:
        if held > AT_ONCE:
            break
        try:
            pixels = decode_image(encoded, size, cut)
            decoded.append((name, pixels))
            held += pixels[0].nbytes
        except UnusableError as error:
            decoded.append((name, error))
    return decoded, chunk[len(decoded) :]


def decode_images(
    items: Items,
    total: int,
    *,
    size: int | None = None,
    cut: Cut | None = None,
    title: str = "decode",
    progress: Progress = SILENT,
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """All `total` images as uint8 N×3×H×W, and the count of each conversion; errors as in `decode_each`."""
    images: NDArray[np.uint8] | None = None

    def keep(i: int, pixels: NDArray[np.uint8]) -> None:
        nonlocal images
        if images is None:
            images = room_for(total, *pixels.shape[:2])
        images[i] = pixels.transpose(2, 0, 1)

    applied = decode_each(items, total, keep, size=size, cut=cut, title=title, progress=progress)
    assert images is not None
    return images, applied


def decode_each(
    items: Items,
    total: int,
    use: Callable[[int, NDArray[np.uint8]], None],
    *,
    size: int | None = None,
    cut: Cut | None = None,
    title: str = "decode",
    progress: Progress = SILENT,
) -> dict[str, int]:
    """Hand the number and the pixels (uint8 H×W×3, of one size) of each of `total` images to `use`, in order. Returns
    the count of each conversion.

    `InputError` names the first image that cannot be used and says how many there are, once all were looked at.
    """
    first: tuple[str, tuple[int, ...]] | None = None
    applied: Counter[str] = Counter()
    refused: list[tuple[str, UnusableError]] = []
    odd: list[tuple[str, tuple[int, ...]]] = []
    with (
        spent_on(READING),
        _strict_pillow(),
        closing(decode_ahead(items, size=size, cut=cut)) as chunks,
        progress.stage(title, total, "image") as stage,
    ):
        i = 0
        for chunk in chunks:
            for name, result in chunk:
                if isinstance(result, UnusableError):
                    refused.append((name, result))
                else:
                    pixels, conversions = result
                    first = first or (name, pixels.shape)
                    if pixels.shape == first[1]:
                        use(i, pixels)
                    else:
                        odd.append((name, pixels.shape))
                    applied.update(conversions)
                i += 1
            stage.advance(len(chunk))
    if refused:
        name, reason = refused[0]
        others = f" ({len(refused)} of {total} images cannot be used)" if len(refused) > 1 else ""
        raise InputError(f"{name} {reason}{others}")
    if first is None:
        raise InputError(f"there are no images to {title}")
    if odd:
        raise InputError(
            f"{size_differs(first, odd[0])} ({len(odd)} of {total} differ from the first); {WAY_TO_ONE_SIZE}"
        )
    return dict(applied)


def size_of_first(items: Items, cut: Cut | None = None) -> tuple[int, int]:
    """(H, W) of the first image that can be used; (0, 0) where none can."""

    def each() -> Generator[tuple[str, bytes | Path], None, None]:
        yield from items  # so that closing it closes whatever `items` holds open

    with closing(each()) as remaining:
        for _, encoded in remaining:
            with suppress(UnusableError):
                height, width, _ = decode_image(encoded, cut=cut)[0].shape
                return height, width
    return 0, 0


def size_differs(one: tuple[str, Sequence[int]], other: tuple[str, Sequence[int]]) -> str:
    """Two images by name and (H, W, …), as the beginning of a sentence that `WAY_TO_ONE_SIZE` ends."""
    (first, (h0, w0, *_)), (name, (h, w, *_)) = one, other
    return f"images differ in size: {first} is {w0}×{h0} but {name} is {w}×{h}"


WAY_TO_ONE_SIZE = "--size N resizes and crops all to N×N"


def conversion_notes(applied: dict[str, int], total: int) -> list[str]:
    """One sentence for each kind of conversion.

    >>> conversion_notes({"alpha": 3}, 200)
    ['3 of 200 images had an alpha channel and were composited over white']
    """
    return [
        f"{applied[key]} of {total} images {text}" for key, text in CONVERSIONS.items() if applied.get(key)
    ]


def resize_images(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Square or not, uint8 N×3×H×W to N×3×size×size by the rule for files."""
    resized = room_for(len(images), size, size)
    for i, image in enumerate(images):
        resized[i] = np.asarray(_fit(Image.fromarray(image.transpose(1, 2, 0)), size)).transpose(2, 0, 1)
    return resized


def _fit(image: Image.Image, size: int) -> Image.Image:
    """The largest centred square (a spare pixel is left out on the right or below), resized to size×size."""
    # Cropped before it is resized: Pillow's own ImageOps.fit lets pixels outside the square bleed into it.
    side = min(image.size)
    if image.size != (side, side):
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def room_for(n: int, height: int, width: int) -> NDArray[np.uint8]:
    """Memory for uint8 images n×3×height×width, not filled; `NoRoomError` if there is not as much."""
    require_room(f"{n} images of {width}×{height}", n * 3 * height * width, "; choose a smaller --size")
    return np.empty((n, 3, height, width), np.uint8)


def require_room(what: str, needed: int, way_out: str = "") -> None:
    """`NoRoomError` if less than `needed` bytes of memory are free for `what`."""
    free = free_memory()
    if needed > free:
        raise NoRoomError(
            f"{what} need {needed / 2**30:.1f} GiB of memory but {free / 2**30:.1f} GiB are free{way_out}"
        )


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Pillow as strict as it can be; other libraries in the process may have relaxed it."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
