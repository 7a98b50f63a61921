"""What a file is by its first bytes, whatever it is called: the image formats that people have in folders.

Scope: to name in a sentence what is not read, and to notice pictures among files that are called otherwise. What can be
decoded Pillow decides (`data.pipeline.decode.FORMATS`).
"""

from __future__ import annotations

import re

HEAD = 32
"""Bytes that tell."""

STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"qoif": "QOI",
    b"DDS ": "DDS",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"8BPS": "Photoshop",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
}
BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"hevc", b"mif1"), "HEIC"),
}
PATTERNS = {
    rb"RIFF....WEBP": "WebP",
    rb"P[1-7]\s+[#\dW]": "PPM",
    rb"P[Ff]\s+\d": "PPM",
    rb"\x01\xda[\x00\x01][\x01\x02]\x00[\x01-\x03]": "SGI",
    # The length of the header tells: two letters alone begin many a text.
    rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00": "BMP",
}


def image_format(head: bytes) -> str:
    """The format that begins like this, "" if none does.

    >>> image_format(b"P6\\n8 8\\n65535\\n")
    'PPM'
    >>> image_format(b"Posters of 1968")
    ''
    """
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "")
    for start, name in STARTS.items():
        if head.startswith(start):
            return name
    return next((name for pattern, name in PATTERNS.items() if re.match(pattern, head, re.DOTALL)), "")
