"""What a browser gets of a study: one item as a person sees it, by places.

Scope: nothing here tells whose an image is, which item is a check, or where a file lies; images are named by their ids
alone. The served page gets one screen after another, the exported page all of them at once (`exported.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchbench.study.kinds import FAKE, TIE, TRUE
from benchbench.study.manifest import Item, StudyManifest
from benchbench.study.order import Shown

_WORDS = {
    TRUE: ("Real", ("1", "r", "ArrowLeft")),
    FAKE: ("Generated", ("2", "g", "ArrowRight")),
    TIE: ("No difference", ("t", "Space")),
}
"""What stands on a button, and the keys that press it; the first of them is shown."""


def choices(manifest: StudyManifest) -> list[dict[str, Any]]:
    """The buttons of a study, from the left.

    Args:
        manifest: Of the study.

    Returns:
        Of each its `value`, which is the place of an image from 0, or a word; its `label`; and its `keys` as browsers
        name them. Places are counted and not called left and right, for on a phone they lie one below the other.
    """
    n = manifest.asks.images
    arrows = {0: "ArrowLeft", n - 1: "ArrowRight"}
    found: list[dict[str, Any]] = []
    for choice in manifest.choices:
        if choice in _WORDS:
            label, keys = _WORDS[choice]
            found.append({"value": choice, "label": label, "keys": list(keys)})
        else:
            place = int(choice)
            keys = (str(place + 1), arrows[place]) if place in arrows else (str(place + 1),)
            found.append({"value": place, "label": f"Picture {place + 1}", "keys": list(keys)})
    return found


def screen(
    manifest: StudyManifest, shown: Shown, done: int, ahead: Shown | None, address: Callable[[str], str]
) -> dict[str, Any]:
    """What a person is shown next.

    Args:
        manifest: Of the study.
        shown: The item.
        done: How many this person has answered.
        ahead: The item after it.
        address: Where the browser finds an image, by its id.

    Returns:
        Values that JSON has. `images` from the left, `source` above them or None; `ahead` are the images of the item
        after it, sorted, so that they tell nothing of its places.
    """
    item = shown.item
    return {
        "item": item.id,
        "images": [address(item.images[number]) for number in shown.order],
        "source": None if item.source is None else address(item.source),
        "question": manifest.question,
        "choices": choices(manifest),
        "done": done,
        "total": len(manifest.items),
        "ahead": [] if ahead is None else sorted(map(address, pictures_of(ahead.item))),
    }


def pictures_of(item: Item) -> list[str]:
    """The ids of all images of an item, its source among them."""
    return [*item.images, *([] if item.source is None else [item.source])]
