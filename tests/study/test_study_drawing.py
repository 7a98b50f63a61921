"""Which images stand in which item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.study.check_count import how_many
from benchbench.study.checks import checks
from benchbench.study.deck import Deck
from benchbench.study.destroyed import destroyed
from benchbench.study.drawing import DRAWING, Drawn, Table
from benchbench.study.image_sets import ImageSet, Matched
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import DESTROYED, REAL


def images(
    n: int,
    *,
    size: tuple[int, int] | Sequence[tuple[int, int]] = (6, 6),
    names: Sequence[str] = (),
    matched: Matched = "numbers",
    groups: Sequence[int] | None = None,
) -> ImageSet:
    """`n` images of noise, image i of its own."""
    sizes = [size] * n if isinstance(size[0], int) else list(size)

    def read(row: int) -> torch.Tensor:
        rng = np.random.default_rng(row)
        return torch.from_numpy(rng.integers(0, 256, (1, 3, *sizes[row]), dtype=np.uint8))

    own = names or [f"{i:06}" for i in range(n)]
    return ImageSet(own, sizes, read, matched, groups, "class" if groups else "")  # type: ignore[arg-type]


def table(*sets: ImageSet, reference: ImageSet | None = None, seed: int = 0) -> Table:
    """What is drawn from."""
    names = [f"system {i}" for i in range(len(sets))]
    return Table(names, sets, images(40) if reference is None else reference, np.random.default_rng(seed))


def makers(items: Sequence[Drawn]) -> Counter[tuple[int, ...]]:
    """How often images of whom stood together."""
    return Counter(tuple(sorted(ref.maker for ref in own.images)) for own in items)


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 99))
def test_pairs_of_systems_are_balanced(systems: int, n: int, seed: int) -> None:
    """By the contract: each pair as often as any other, or once more; no item twice; all images of a system are shown
    before one is shown again, and later none much more often than another."""
    sets = [images(7) for _ in range(systems)]
    items = list(DRAWING["pairwise"](table(*sets, seed=seed), n))
    found = makers(items)
    assert set(found) <= set(combinations(range(systems), 2))
    often = [found[pair] for pair in combinations(range(systems), 2)]
    assert max(often) - min(often) <= 1
    assert len({frozenset(own.images) for own in items}) == n
    for maker in range(systems):
        used = Counter(ref.row for own in items for ref in own.images if ref.maker == maker)
        times = [used[row] for row in range(7)]
        assert max(times) - min(times) <= (1 if sum(times) <= 7 else 2)


def test_canonical_places_say_nothing() -> None:
    """Of 400 items of two systems the first stands first in half, within 5 standard deviations of a fair coin."""
    items = list(DRAWING["pairwise"](table(images(40), images(40)), 400))
    first = sum(own.images[0].maker == 0 for own in items)
    assert abs(first - 200) < 5 * 10


def test_every_different_pair_can_be_drawn_and_none_twice() -> None:
    """Two systems of 3 and 4 images have 12 pairs: all come, and a thirteenth is refused with what suffices."""
    items = list(DRAWING["pairwise"](table(images(3), images(4)), 12))
    assert len({frozenset(own.images) for own in items}) == 12
    with pytest.raises(InputError, match="suffice for 12 different items, not for 13; use --n 12"):
        list(DRAWING["pairwise"](table(images(3), images(4)), 13))


def test_images_of_one_class_stand_beside_each_other() -> None:
    """Where both were asked for classes; where one was not, any two."""
    one = images(20, groups=[i % 4 for i in range(20)])
    other = images(12, groups=[i % 3 for i in range(12)])
    items = list(DRAWING["pairwise"](table(one, other), 30))
    for own in items:
        of = {ref.maker: ref.row for ref in own.images}
        assert of[0] % 4 == of[1] % 3
    assert not any(
        ref.maker == 0 and ref.row % 4 == 3 for own in items for ref in own.images
    )  # a class of one alone
    mixed = list(DRAWING["pairwise"](table(one, images(12)), 60))
    assert any(ref.maker == 0 and ref.row % 4 == 3 for own in mixed for ref in own.images)
    with pytest.raises(InputError, match="there are none"):
        list(DRAWING["pairwise"](table(images(2, groups=[0, 0]), images(2, groups=[1, 1])), 1))


@given(st.integers(1, 4), st.integers(1, 40))
def test_half_are_real(systems: int, n: int) -> None:
    """By the contract: half of the images are real, of an odd number one less; each system as often as any other or
    once more; no image twice, for a person remembers what was answered."""
    items = list(DRAWING["real-or-fake"](table(*[images(25)] * systems), n))
    found = Counter(own.images[0].maker for own in items)
    assert found[REAL] == n // 2
    often = [found[maker] for maker in range(systems)]
    assert sum(often) == (n + 1) // 2
    assert max(often) - min(often) <= 1
    assert len({own.images[0] for own in items}) == n


@given(st.integers(1, 3), st.integers(1, 30))
def test_triplets_hide_one_between_two_real_ones(systems: int, n: int) -> None:
    """Two different real images of its size; every place as likely."""
    sizes = [(4, 4)] * 20 + [(6, 6)] * 20
    items = list(
        DRAWING["triplet"](table(*[images(40, size=sizes)] * systems, reference=images(40, size=sizes)), n)
    )
    for own in items:
        (made,) = (ref for ref in own.images if ref.maker >= 0)
        one, other = (ref for ref in own.images if ref.maker == REAL)
        assert one.row != other.row
        assert (made.row < 20) == (one.row < 20) == (other.row < 20)
    found = Counter(ref.maker for own in items for ref in own.images if ref.maker >= 0)
    assert max(found.values()) - min(found[maker] for maker in range(systems)) <= 1


def test_what_made_of_one_source_is_beside_it() -> None:
    """By the names of files, suffixes and roles aside, and at one size; a pair of systems shows a source once."""
    reference = images(5, names=[f"{i}.png" for i in range(5)], matched="names")
    one = images(4, names=[f"{i}_out.png" for i in (3, 2, 1, 0)], matched="names")
    other = images(4, names=[f"{i}.jpg" for i in (1, 2, 3, 4)], matched="names")
    items = list(DRAWING["closer-to-source"](table(one, other, reference=reference), 3))
    found = set()
    for own in items:
        of = {ref.maker: ref.row for ref in own.images}
        assert own.source is not None
        assert own.source.row == 3 - of[0] == of[1] + 1
        found.add(own.source.row)
    assert found == {1, 2, 3}
    with pytest.raises(InputError, match="suffice for 3 different items"):
        list(DRAWING["closer-to-source"](table(one, other, reference=reference), 4))


def test_several_ways_of_degrading_are_kept_apart() -> None:
    """Outputs of ×2 and ×3 of one photograph are two indices with one source."""
    reference = images(2, names=["baby.png", "bird.png"], matched="names")
    ways = [f"{name}-{way}.png" for name in ("baby", "bird") for way in ("x2", "x3")]
    one, other = (images(4, names=names, matched="names") for names in (ways, ways[::-1]))
    items = list(DRAWING["closer-to-source"](table(one, other, reference=reference), 4))
    for own in items:
        of = {ref.maker: ref.row for ref in own.images}
        assert ways[of[0]] == ways[::-1][of[1]]
        assert own.source is not None
        assert ways[of[0]].startswith(reference.names[own.source.row].removesuffix(".png"))


def test_sources_are_cut_as_super_resolution_does() -> None:
    """An output of 6×9 pixels is of an original of 7×10 whose rest was cut off; one of another size is of none."""
    names = ["a.png"]
    made = images(1, size=(6, 9), names=names, matched="names")
    reference = images(1, size=(7, 10), names=names, matched="names")
    (own,) = DRAWING["closer-to-source"](table(made, made, reference=reference), 1)
    assert own.source is not None
    assert own.source.above == (6, 9)
    for size in ((5, 9), (14, 10)):
        with pytest.raises(InputError, match="differs in size"):
            other = images(1, size=size, names=names, matched="names")
            list(DRAWING["closer-to-source"](table(made, made, reference=other), 1))


def test_arrays_belong_together_by_number_where_they_say_so() -> None:
    """Arrays of one length; samples that a model drew belong to nothing."""
    items = list(DRAWING["closer-to-source"](table(images(5), images(5), reference=images(5)), 5))
    assert all(len({ref.row for ref in own.images} | {own.source.row}) == 1 for own in items if own.source)
    for sets in ((images(5, matched=""), images(5)), (images(4), images(5))):
        with pytest.raises(InputError, match="no images"):
            list(DRAWING["closer-to-source"](table(*sets, reference=images(5)), 1))


def test_sizes_that_give_a_picture_away_are_not_drawn() -> None:
    """A made image of a size that no real one has is known without looking."""
    sets = images(4, size=[(6, 6), (6, 6), (8, 8), (8, 8)])
    items = list(DRAWING["real-or-fake"](table(sets), 4))
    assert {own.images[0].row for own in items if own.images[0].maker == 0} == {0, 1}
    for kind in ("real-or-fake", "triplet"):
        with pytest.raises(InputError, match="there are none"):
            list(DRAWING[kind](table(images(4, size=(8, 8))), 2))


@pytest.mark.parametrize("kind", KINDS)
def test_what_suffices_suffices(kind: str) -> None:
    """The number that a refusal names is drawn without one."""
    sets = (images(5), images(6))
    reference = images(6) if kind != "closer-to-source" else images(5)
    if kind == "closer-to-source":
        sets = (images(5), images(5))
    with pytest.raises(InputError, match="use --n") as caught:
        list(DRAWING[kind](table(*sets, reference=reference), 500))
    n = int(str(caught.value).split("--n ")[1].split()[0])
    assert len(list(DRAWING[kind](table(*sets, reference=reference), n))) == n


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same(kind: str) -> None:
    """And another one others."""

    def drawn(seed: int) -> list[Drawn]:
        own = table(images(40), images(40), seed=seed)
        return [*DRAWING[kind](own, 10), *checks(own, kind, 4)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_real", [3, 40])
def test_answers_of_check_items_are_right(kind: str, n_real: int) -> None:
    """What is destroyed looks worse and is not real; the source is closer to itself than anything else; the right place
    is any."""
    own = table(images(n_real), images(n_real), reference=images(n_real))
    found = list(checks(own, kind, 24))
    for item in found:
        by = [ref.maker for ref in item.images]
        if kind == "real-or-fake":
            assert (by, item.check) == ([DESTROYED], "fake")
            continue
        assert item.check is not None
        right = item.images[int(item.check)]
        if kind == "triplet":
            assert right.maker == DESTROYED
            assert sorted(by) == [DESTROYED, REAL, REAL]
            assert len(set(item.images)) == 3
        else:
            assert right.maker == REAL
        if kind == "pairwise":
            assert sorted(by) == [DESTROYED, REAL]
        if kind == "closer-to-source":
            assert item.source is not None
            assert right.row == item.source.row
            assert len(set(item.images)) == 2
            assert item.source not in item.images  # under an id of its own
    if kind != "real-or-fake":
        assert len({item.check for item in found}) == KINDS[kind].images
    assert len({frozenset(item.images) for item in found}) > 1


def test_one_real_image_suffices_for_checks() -> None:
    """Each destroyed in another way; a source beside what is left of it, since there is no other."""
    one = images(1)
    for kind in ("pairwise", "real-or-fake", "closer-to-source"):
        found = list(checks(table(images(3), images(3), reference=one), kind, 4))
        assert len({ref for item in found for ref in item.images if ref.maker == DESTROYED}) == 4


def test_how_many_check_items() -> None:
    """The share, rounded up, and four at least; never more than a manifest takes."""
    assert [how_many(n, 0.1) for n in (1, 40, 41, 200, 10_000)] == [4, 4, 5, 20, 1000]
    assert how_many(10_000, 0.5) == 5000


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 4), (28, 28), (33, 70)])
def test_what_is_destroyed_is_unlike(size: tuple[int, int]) -> None:
    """Half of it is noise, so of any image the mean square of what changed is at least a quarter of that of uniform
    noise about its mean, 255²/12; of 1×1 and 1×9 pixels there are too few for a mean. The shape stays."""
    rng = np.random.default_rng(0)
    y, x = np.indices(size)
    smooth = np.stack([255 * y / size[0], 255 * x / size[1], 0 * x + 128], axis=-1).astype(np.uint8)
    for pixels in (smooth, np.zeros((*size, 3), np.uint8)):
        worse = destroyed(pixels, rng)
        assert worse.shape == pixels.shape
        assert worse.dtype == np.uint8
        if min(size) > 1:
            assert np.mean((worse.astype(float) - pixels) ** 2) > 0.9 * 255**2 / 12 / 4
    again = [destroyed(smooth, np.random.default_rng(1)) for _ in range(2)]
    assert np.array_equal(*again)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=60))
def test_a_deck_deals_what_was_dealt_least(draws: list[tuple[bool, int]]) -> None:
    """Against a search through all: of those that fit, one that was drawn as seldom as any."""
    groups = [i % 3 for i in range(8)]
    deck = Deck(range(8), np.random.default_rng(0), groups)
    used = [0] * 8
    for odd, group in draws:
        fit = [row for row in range(8) if groups[row] == group and (not odd or row % 2)]
        row = deck.take(lambda own, odd=odd: not odd or own % 2 == 1, group)  # type: ignore[misc]
        assert row in fit
        assert used[row] == min(used[own] for own in fit)
        used[row] += 1
        assert deck.used == dict(enumerate(used))
    assert deck.take(lambda own: False) is None
