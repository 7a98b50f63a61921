"""matplotlib's SVG with what a page needs of it: the same picture in a third of the bytes."""

from __future__ import annotations

import re

from benchbench.core.hashing import digest


def smaller_svg(svg: str) -> str:
    """An `<svg>` element with tenths of a pixel, the font of the page around it, styles said once, and without groups
    and names that nothing refers to. A style has the same class in every figure, so that those of a page get along."""
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    # Within tags alone: between them stand names that anybody may have given.
    svg = _TAG.sub(lambda tag: _bare(tag[0]), svg)
    return _styles_once(_ungrouped(svg))


_TAG = re.compile(r"<[^<>]*>")


def _bare(tag: str) -> str:
    tag = re.sub(r" font-family: [^;\"]*;", "", tag)
    tag = re.sub(r' transform="rotate\(-0 [^"]*"', "", tag)
    tag = re.sub(r'^<g id="[a-zA-Z0-9._]*">$', "<g>", tag)
    return re.sub(r' (d|x|y|transform)="[^"]*"', lambda match: _tenths(match[0]), tag)


def _tenths(attribute: str) -> str:
    short = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), attribute)
    # What follows a point of a line is another one.
    return re.sub(
        r"(L -?[\d.]+ -?[\d.]+)((?: L -?[\d.]+ -?[\d.]+)+)", lambda m: m[1] + m[2].replace(" L", ""), short
    )


def _ungrouped(svg: str) -> str:
    """Without groups that say nothing."""
    open_groups: list[bool] = []
    kept: list[str] = []
    for piece in re.split(r"(<g>|<g [^>]*[^>/]>|</g>)", svg):
        if re.fullmatch(r"<g>|<g [^>]*[^>/]>", piece):
            open_groups.append(piece != "<g>")
            kept.append(piece if open_groups[-1] else "")
        elif piece == "</g>":
            kept.append(piece if open_groups.pop() else "")
        else:
            kept.append(piece)
    return "".join(kept)


def _styles_once(svg: str) -> str:
    stated = re.compile(r' style="([^"]*)"')
    styles = sorted({style for tag in _TAG.findall(svg) for style in stated.findall(tag)})
    named = {style: f"s{digest([style])[:6]}" for style in styles}
    svg = _TAG.sub(lambda tag: stated.sub(lambda match: f' class="{named[match[1]]}"', tag[0]), svg)
    rules = "".join(f".{name}{{{style}}}" for style, name in named.items())
    return svg.replace("</style>", f"{rules}</style>", 1)
