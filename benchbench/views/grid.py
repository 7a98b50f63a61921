"""Grids of images that a person can judge: generated beside real, originals above reconstructions.

Every image is shown whole and unfiltered: small ones are enlarged by a whole factor without interpolation,
so that a pixel stays a pixel; only images larger than `MAX_SIDE` are reduced, and the heading says so.
The same images give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

MIN_SIDE = 64  # pixels on screen: below that nobody sees what is wrong with a sample
MAX_SIDE = 256
MAX_CLASSES = 10  # more lines than this nobody reads
GAP = 2  # between images
SPACE = 16  # around blocks
TEXT = 16  # height of the letters
PAPER, INK, FRAME = (255, 255, 255), (20, 20, 20), (150, 150, 150)


def save_samples(
    path: Path | str, generated: Images, real: Images, title: str, *, rows: int = 8, columns: int = 8
) -> None:
    """`samples.png`: the first rows × columns generated images beside as many real ones."""
    panels = [("generated", generated), ("real (held out)", real)]
    image_grid([(label, images[: rows * columns]) for label, images in panels], path, title, columns=columns)


def save_samples_by_class(
    path: Path | str,
    generated: Images,
    asked: Labels,
    real: Images,
    labels: Labels,
    names: Sequence[str],
    title: str,
    *,
    columns: int = 8,
) -> None:
    """`samples.png` of a conditional model: a line a class, what was asked for beside real images of it.

    asked, labels: int (N,), the class of each image of either side; names: of the classes. The first `columns` images
    of a class are drawn; a class that has fewer leaves the places blank. Above `MAX_CLASSES` classes it is
    `save_samples`, sorted by class.
    """
    if len(names) > MAX_CLASSES:
        shown = 8 * columns
        first, beside = (np.argsort(own[:shown], kind="stable") for own in (asked, labels))
        save_samples(path, generated[first], real[beside], title, columns=columns)
        return
    blocks: list[Image.Image] = []
    for label, images, own in (("generated as asked", generated, asked), ("real (held out)", real, labels)):
        check_images(label, images)
        lines = [tiled(images[own == number][:columns], columns) for number in range(len(names))]
        if not blocks:
            height = lines[0].height
            blocks.append(_captioned("", _stacked([_margin(name, height) for name in names], 0)))
        blocks.append(_captioned(f"{label}{_scale_note(images)}", _stacked(lines, 0)))
    _save(_framed(title, _beside(blocks)), path)


def save_neighbours(path: Path | str, samples: Images, nearest: Sequence[Images], title: str) -> None:
    """`neighbours.png`: a line a sample, with its nearest training images, the nearest first; `nearest` has the
    images of one sample each."""
    check_images("samples", samples)
    lines = [
        tiled(np.concatenate([sample[None], own]), 1 + len(own))
        for sample, own in zip(samples, nearest, strict=True)
    ]
    half = -(-len(lines) // 2)  # two columns of lines: wide rather than tall, as the other pictures are
    blocks = [_stacked(part, GAP) for part in (lines[:half], lines[half:]) if part]
    _save(_framed(f"{title}{_scale_note(samples)}", _beside(blocks)), path)


def save_reconstructions(
    path: Path | str, originals: Images, outputs: Images, title: str, *, rows: int = 4, columns: int = 8
) -> None:
    """`reconstructions.png`: originals above what the model made of them, `rows` pairs of lines."""
    if originals.shape != outputs.shape:
        raise InputError(f"reconstructions of shape {outputs.shape} do not match originals {originals.shape}")
    check_images("originals", originals)
    lines = range(0, min(len(originals), rows * columns), columns)
    pairs = [
        _stacked([tiled(images[start : start + columns], columns) for images in (originals, outputs)], 0)
        for start in lines
    ]
    heading = f"{title}: original above, reconstruction below{_scale_note(originals)}"
    _save(_framed(heading, _stacked(pairs, SPACE // 2)), path)


def save_translations(
    path: Path | str,
    panels: Sequence[tuple[str, Sequence[tuple[str, Images]]]],
    title: str,
    *,
    rows: int = 24,
) -> None:
    """`translations.png`: a line an image, with what became of it beside it, in labelled columns.

    panels: (heading, columns), one a direction, one above the other; columns: (label, uint8 N×H×W×3), from left to
    right, all of a panel of one shape. The first `rows` lines of each panel are drawn, in blocks side by side, so that
    the picture is about as wide as it is tall. Raises `InputError` without panels or columns, for columns that do not
    match, and as `image_grid`.
    """
    if not panels or not all(columns for _, columns in panels):
        raise InputError(
            "a picture of translations needs at least one panel, and each panel a column of images"
        )
    for heading, columns in panels:
        for label, images in columns:
            check_images(label, images)
        if len(shapes := {images.shape for _, images in columns}) > 1:
            found = " and ".join("×".join(map(str, shape)) for shape in sorted(shapes))
            raise InputError(f"the columns of {heading!r} do not match: they have images of {found}")
    blocks = math.ceil(math.sqrt(sum(min(rows, len(own[0][1])) / len(own) for _, own in panels)))
    drawn = [
        _captioned(f"{heading}{_scale_note(columns[0][1])}", _in_blocks(columns, rows, blocks))
        for heading, columns in panels
    ]
    _save(_framed(title, _stacked(drawn, SPACE)), path)


def _in_blocks(columns: Sequence[tuple[str, Images]], rows: int, blocks: int) -> Image.Image:
    """Labelled columns of at most `rows` images, cut into `blocks` pieces that stand side by side."""
    shown = min(rows, len(columns[0][1]))
    lines = -(-shown // blocks)
    return _beside(
        [
            _beside(
                [
                    _captioned(label, tiled(images[start : min(start + lines, shown)], 1))
                    for label, images in columns
                ],
                GAP,
            )
            for start in range(0, shown, lines)
        ]
    )


def save_stylizations(
    path: Path | str, contents: Images, styles: Images, outputs: Sequence[Images], title: str
) -> None:
    """`stylizations.png`: a line a content, a column a style, the style pictures on top and the contents on the left.

    contents: uint8 N×H×W×3; styles: K×H×W×3; outputs: one N×H×W×3 a style. `InputError` for images that do not match.
    """
    for label, images in (("contents", contents), ("styles", styles), *(("outputs", own) for own in outputs)):
        check_images(label, images)
    shape = contents.shape
    if styles.shape[1:] != shape[1:] or [own.shape for own in outputs] != [shape] * len(styles):
        raise InputError(
            f"a picture of stylizations needs one output of each of {len(contents)} contents for each of {len(styles)} "
            "styles, all of one size"
        )
    corner = np.full_like(contents[:1], 255)
    lines = [np.concatenate([corner, styles])]
    lines += [np.stack([contents[i], *(own[i] for own in outputs)]) for i in range(len(contents))]
    heading = f"{title}: contents on the left, styles on top{_scale_note(contents)}"
    _save(_framed(heading, tiled(np.concatenate(lines), 1 + len(styles))), path)


def image_grid(
    panels: Sequence[tuple[str, Images]], path: Path | str, title: str, *, columns: int = 8
) -> None:
    """Write a PNG with one labelled block a panel, side by side under `title`.

    panels: (label, uint8 N×H×W×3); sizes may differ between panels. All images are drawn, `columns` a line.
    Raises `InputError` for an empty panel, another shape or dtype, and where the file cannot be written.
    """
    if not panels:
        raise InputError("a grid needs at least one panel of images")
    blocks = []
    for label, images in panels:
        check_images(label, images)
        tiles = tiled(images, min(columns, len(images)))
        blocks.append(_captioned(f"{label}{_scale_note(images)}", tiles))
    _save(_framed(title, _beside(blocks)), path)


def grid_png(images: Images, *, columns: int = 8) -> bytes:
    """A picture of images and no words, `columns` a line: the content of a PNG file. images: uint8 N×H×W×3."""
    check_images("samples", images)
    content = io.BytesIO()
    tiled(images, min(columns, len(images))).save(content, format="PNG")
    return content.getvalue()


def check_images(label: str, images: Images) -> None:
    """`InputError` unless these are uint8 N×H×W×3, N 1 or more."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape:
        shape = "×".join(map(str, images.shape))
        raise InputError(f"the images of {label!r} must be uint8 N×H×W×3 but are {images.dtype} {shape}")


def _factor(images: Images) -> float:
    """Pixels on screen per pixel of the image: whole numbers upwards, a fraction only above `MAX_SIDE`."""
    side: int = max(images.shape[1:3])
    return MAX_SIDE / side if side > MAX_SIDE else -(-MIN_SIDE // side)


def _scale_note(images: Images) -> str:
    height, width = images.shape[1:3]
    return f" (shown at {_factor(images):.0%} of {width}×{height})" if _factor(images) < 1 else ""


def tiled(images: Images, columns: int) -> Image.Image:
    """uint8 N×H×W×3 -> one picture, `columns` a line, the last line as short as it falls; of no image a blank line."""
    factor = _factor(images)
    height, width = (max(1, round(side * factor)) for side in images.shape[1:3])
    method = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
    lines = max(1, -(-len(images) // columns))
    picture = Image.new("RGB", (columns * (width + GAP) + GAP, lines * (height + GAP) + GAP), PAPER)
    for index, image in enumerate(images):
        line, column = divmod(index, columns)
        left, top = column * (width + GAP), line * (height + GAP)
        picture.paste(FRAME, (left, top, left + width + 2 * GAP, top + height + 2 * GAP))
        picture.paste(Image.fromarray(image).resize((width, height), method), (left + GAP, top + GAP))
    return picture


def _stacked(blocks: Sequence[Image.Image], gap: int) -> Image.Image:
    size = (max(b.width for b in blocks), sum(b.height for b in blocks) + gap * (len(blocks) - 1))
    picture, top = Image.new("RGB", size, PAPER), 0
    for block in blocks:
        picture.paste(block, (0, top))
        top += block.height + gap
    return picture


def _beside(blocks: Sequence[Image.Image], gap: int = SPACE) -> Image.Image:
    width = sum(b.width for b in blocks) + gap * (len(blocks) - 1)
    picture, left = Image.new("RGB", (width, max(b.height for b in blocks)), PAPER), 0
    for block in blocks:
        picture.paste(block, (left, 0))
        left += block.width + gap
    return picture


def _captioned(text: str, block: Image.Image, size: int = TEXT) -> Image.Image:
    """`text` over `block`, which grows to the right where the text is the wider one."""
    font = ImageFont.load_default(size)
    text = " ".join(text.split()).replace("×", "x")  # which Pillow's own font does not have
    width = max(block.width, int(font.getlength(text)) + 1)
    picture = Image.new("RGB", (width, block.height + 2 * size), PAPER)
    ImageDraw.Draw(picture).text((0, size // 4), text, fill=INK, font=font)
    picture.paste(block, (0, 2 * size))
    return picture


def _margin(text: str, height: int) -> Image.Image:
    """`text` beside a line of this height."""
    font = ImageFont.load_default(TEXT)
    text = " ".join(text.split())
    picture = Image.new("RGB", (int(font.getlength(text)) + 1, height), PAPER)
    ImageDraw.Draw(picture).text((0, height // 2), text, fill=INK, font=font, anchor="lm")
    return picture


def _framed(title: str, block: Image.Image) -> Image.Image:
    captioned = _captioned(title, block, TEXT + 4)
    picture = Image.new("RGB", (captioned.width + 2 * SPACE, captioned.height + 2 * SPACE), PAPER)
    picture.paste(captioned, (SPACE, SPACE))
    return picture


def _save(picture: Image.Image, path: Path | str) -> None:
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")
