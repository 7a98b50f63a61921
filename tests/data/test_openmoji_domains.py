"""OpenMoji in two domains: what belongs together is together, and nothing held out is in training."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import resvg_py
import torch
from PIL import Image

from benchbench.data.builtin import openmoji, openmoji_domains
from benchbench.data.builtin.openmoji import OpenMoji, drawn, emoji_files, family
from benchbench.data.builtin.openmoji_domains import OpenMojiLines, OpenMojiTones, tone_pairs
from benchbench.data.catalogue import load_domains
from benchbench.data.domains import Domains
from benchbench.data.pipeline.fingerprint import pixel_digests

pytestmark = pytest.mark.costly

SIZE = 32
FILES = emoji_files()
CODES = [file.stem for file in FILES]
NAMES = ["openmoji-lines", "openmoji-tones"]
OTHER_GROUPS = "#color, #color-foreground, #hair, #skin, #skin-shadow, #line-supplement"


@pytest.fixture(scope="module")
def loaded() -> dict[str, Domains]:
    """Both datasets at their default size."""
    return {name: load_domains(name) for name in NAMES}


@pytest.fixture(scope="module")
def emoji_of() -> dict[tuple[bytes, bytes], set[str]]:
    """Which emoji a pair of images may be, by their pixels: (line art, picture) and (light, dark)."""
    lines, pictures = drawn(FILES, SIZE, layer="line").digests, drawn(FILES, SIZE).digests
    row = {code: i for i, code in enumerate(CODES)}
    found: dict[tuple[bytes, bytes], set[str]] = {}
    for code, i in row.items():
        found.setdefault((lines[i], pictures[i]), set()).add(code)
        if (dark := row.get(code.replace("1F3FB", "1F3FF"), i)) != i:
            found.setdefault((pictures[i], pictures[dark]), set()).add(code)
    return found


def drawn_by_path(code: str, size: int, line_art: bool) -> np.ndarray:
    """An emoji by resvg straight from its file; for line art a style sheet hides the other groups."""
    png = resvg_py.svg_to_bytes(
        svg_path=str(FILES[CODES.index(code)]),
        style_sheet=f"{OTHER_GROUPS} {{ display: none }}" if line_art else None,
        width=size,
        height=size,
        background="white",
        skip_system_fonts=True,
    )
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).transpose(2, 0, 1).copy()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_held_out_is_in_training(name: str, loaded, emoji_of) -> None:
    """The leak test. Rows are recognised as emoji by their pixels. No family is on both sides, and no line art or
    picture that is held out is equal to one of the same domain in training."""
    domains = loaded[name]
    families, pixels = [], []
    for split in ("train", "held_out"):
        a, b = (pixel_digests(getattr(domain, split).images) for domain in (domains.a, domains.b))
        families.append({family(code) for pair in zip(a, b, strict=True) for code in emoji_of[pair]})
        pixels.append((set(a), set(b)))
    assert min(len(side) for side in families) > 50
    assert not families[0] & families[1]
    for training, kept in zip(*pixels, strict=True):
        assert not training & kept


def test_which_emoji_are_line_art_and_colour(loaded, emoji_of) -> None:
    """All emoji of the package but those with nothing to translate or whose line art stands for other emoji too, whose
    numbers the notes tell: they are counted here on the rendered pixels. Line art is black on white, so grey."""
    domains = loaded["openmoji-lines"]
    lines, pictures = drawn(FILES, SIZE, layer="line"), drawn(FILES, SIZE)
    blank = (lines.images == 255).all(axis=(1, 2, 3))
    same = (lines.images == pictures.images).all(axis=(1, 2, 3)) & ~blank
    assert blank.sum() > 0
    assert same.sum() > 0
    owners: dict[bytes, set[str]] = {}
    for file, line_art in zip(FILES, lines.digests, strict=True):
        owners.setdefault(line_art, set()).add(family(file.stem))
    shared = np.array([len(owners[line_art]) > 1 for line_art in lines.digests]) & ~blank & ~same
    used = [pictures.digests[i] for i in np.flatnonzero(~blank & ~same & ~shared)]
    splits = (domains.b.train, domains.b.held_out)
    assert sorted(d for split in splits for d in pixel_digests(split.images)) == sorted(used)
    assert any(
        f"{blank.sum()} emoji without line art, {same.sum()} whose picture is equal to their line art, and "
        f"{shared.sum()} with the line art" in note
        for note in domains.notes
    )
    assert domains.a.spec.grey
    assert not domains.spec.grey
    assert (domains.a.name, domains.b.name) == ("line", "colour")


@pytest.mark.parametrize("code", ["1F34E", "1F468-1F3FD", "1F355", "1F408", "E145", "1F9D1-200D-1F680"])
def test_line_art_and_colour_are_of_one_emoji(code: str, loaded) -> None:
    """Row by row: the picture and the line art that resvg draws from the file, in another way (the groups hidden by
    a style sheet instead of removed). Exact: the same shapes are drawn."""
    domains = loaded["openmoji-lines"]
    picture, line_art = (torch.from_numpy(drawn_by_path(code, SIZE, line)) for line in (False, True))
    found = [
        torch.equal(a, line_art)
        for one, other in ((domains.a.train, domains.b.train), (domains.a.held_out, domains.b.held_out))
        for a, b in zip(one.images, other.images, strict=True)
        if torch.equal(b, picture)
    ]
    assert found
    assert all(found)


def test_tones_are_one_figure_in_light_and_dark(loaded, emoji_of) -> None:
    """Both tones of a pair have the same line art in every pixel, which is what "same pose" means; the pictures
    differ. The light one is brighter: skin of #fadcbc against #6a462f."""
    domains = loaded["openmoji-tones"]
    lines = dict(zip(CODES, drawn(FILES, SIZE, layer="line").digests, strict=True))
    pairs = tone_pairs(CODES)
    assert len(domains.a.train) + len(domains.a.held_out) == len(pairs) > 300
    for light, dark in pairs:
        assert lines[light] == lines[dark], light
    for split in ("train", "held_out"):
        a, b = (getattr(domain, split).images.double().mean((1, 2, 3)) for domain in (domains.a, domains.b))
        assert bool((a > b).all())
    assert (domains.a.name, domains.b.name) == ("light", "dark")


@pytest.mark.parametrize(
    ("codes", "pairs"),
    [
        ("1F44D 1F44D-1F3FB 1F44D-1F3FE 1F44D-1F3FF", ["1F44D-1F3FB 1F44D-1F3FF"]),
        ("1F44D-1F3FB 1F44D-1F3FE", []),  # no dark one
        ("1F3FB 1F3FF", []),  # the modifier alone
        (
            "1FAF1-1F3FB-200D-1FAF2-1F3FB 1FAF1-1F3FF-200D-1FAF2-1F3FF 1FAF1-1F3FB-200D-1FAF2-1F3FF",
            ["1FAF1-1F3FB-200D-1FAF2-1F3FB 1FAF1-1F3FF-200D-1FAF2-1F3FF"],
        ),
        ("1FAF1-1F3FB-200D-1FAF2-1F3FC 1FAF1-1F3FF-200D-1FAF2-1F3FC", []),  # two tones in one
    ],
)
def test_which_emoji_are_a_pair_of_tones(codes: str, pairs: list[str]) -> None:
    """The rule of the module, case by case."""
    assert [" ".join(pair) for pair in tone_pairs(codes.split())] == pairs


@pytest.mark.parametrize("name", NAMES)
def test_both_are_pairs_in_halves(name: str, loaded) -> None:
    """As many rows in both domains; what is held out is never fewer."""
    domains = loaded[name]
    assert domains.paired_train
    assert domains.paired_held_out
    assert domains.name == name
    assert len(domains.a.train) == len(domains.b.train) <= len(domains.a.held_out) == len(domains.b.held_out)
    assert domains.source["licence"] == "https://creativecommons.org/licenses/by-sa/4.0/"


@pytest.mark.parametrize("source", [OpenMojiLines, OpenMojiTones])
@pytest.mark.parametrize("size", [64, 128])
def test_other_sizes(size: int, source: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are drawn at the size asked for. Only four hands here, to keep it short: in six tones each, of which
    two are used by the tones; so 12 or 2 pairs on either side."""
    hands = [file for file in FILES if file.stem[:5] in ("1F44A", "1F44B", "1F44C", "1F44D")]
    monkeypatch.setattr(openmoji_domains, "emoji_files", lambda: hands)
    domains = source().load(size)
    pairs = 12 if source is OpenMojiLines else 2
    for domain in (domains.a, domains.b):
        assert (domain.native, domain.extractor) == (size, None)
        for split in (domain.train, domain.held_out):
            assert split.images.shape == (pairs, 3, size, size)


DECISIVE = (
    "1F234 1F235 1F3FB 1F3FC 2734 2747",  # by family, equal line art at 32×32 and not at 64×64
    "2605 2B50 E053 E054 E065 1F30C",  # the other way round
    "20E3 1F7E6",  # equal pictures at 64×64 only
    "1F4A7 1FA78",  # equal line art at 16×16 only
    "1F44A 1F44B 1F44C 1F44D 1F590 1F64F 1F34E 1F34F 1F680 1F682 267B 262F 2B1B 2B1C",  # others, to have two halves
)


@pytest.mark.parametrize("source", [OpenMoji, OpenMojiLines, OpenMojiTones])
@pytest.mark.parametrize("size", [16, 64])
def test_the_split_is_the_same_at_every_size(
    size: int, source: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held out at 32×32 is held out at 16 and 64, and what is left out stays so, though other drawings are
    equal there. Rows are recognised by their pixels; where two emoji look the same, a row may be either, so with as
    many rows as at 32×32 each emoji that is there must be found."""
    files = [file for file in FILES if file.stem.split("-")[0] in " ".join(DECISIVE).split()]
    for module in (openmoji, openmoji_domains):
        monkeypatch.setattr(module, "emoji_files", lambda: files)

    def sides(side: int) -> list[tuple[int, set[str]]]:
        loaded = source().load(side)
        pictures, lines = drawn(files, side).digests, drawn(files, side, layer="line").digests
        row = {file.stem: i for i, file in enumerate(files)}
        found: dict[tuple[bytes, ...], set[str]] = {}
        for code, i in row.items():
            dark = row.get(code.replace("1F3FB", "1F3FF"), i)
            for key in ((pictures[i],), (lines[i], pictures[i]), (pictures[i], pictures[dark])):
                found.setdefault(key, set()).add(code)
        domains = (loaded.a, loaded.b) if isinstance(loaded, Domains) else (loaded,)
        rows = [
            list(zip(*(pixel_digests(getattr(d, split).images) for d in domains), strict=True))
            for split in ("train", "held_out")
        ]
        return [(len(keys), set().union(*(found[key] for key in keys))) for keys in rows]

    for (n, codes), (expected, at_32) in zip(sides(size), sides(32), strict=True):
        assert n == expected
        assert at_32 <= codes


@pytest.mark.parametrize(
    ("source", "codes", "of"),
    [(OpenMoji, "20E3 1F7E6 1F34E 1F355", ""), (OpenMojiLines, "2605 2B50 1F34E 1F355", " of line")],
)
def test_copies_at_another_size_are_counted(
    source: type, codes: str, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two emoji are of two classes, so on different sides, and differ at 32×32; at 64×64 their pictures, or
    their line arts, are equal in every pixel: one of the two held-out rows is in training, and the notes say so."""
    files = [file for file in FILES if file.stem in codes.split()]
    for module in (openmoji, openmoji_domains):
        monkeypatch.setattr(module, "emoji_files", lambda: files)
    layer = "line" if of else None
    for size, equal in ((32, False), (64, True)):
        pictures = dict(
            zip((file.stem for file in files), drawn(files, size, layer=layer).images, strict=True)
        )
        one, other = (pictures[code] for code in codes.split()[:2])
        assert np.array_equal(one, other) == equal
        copies = [note for note in source().load(size).notes if "pixel by pixel" in note]
        assert copies == [f"1 of 2 held-out images{of} are, pixel by pixel, in training"] * equal
