"""What rows call a cell: the name that its owner gave, else the model and what was set away from its shipped recipe.

The variant is "" for the recipe as it ships, else what one would type after `--set`: "beta=4,lr=0.001". Where no recipe
ships, the defaults stand in its place. Of training it names what the weights depend on, so neither how often somebody
looked nor how often a checkpoint was written. Weights that were loaded are a part of it: "pretrained", or
"weights=" and the beginning of the file's sha256. The size of the images and their number are conditions of every
number and no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchbench.core.errors import InputError
from benchbench.models.build import configure, configure_sampling
from benchbench.results.settings import as_typed
from benchbench.training.config import DEFAULT_EPOCHS, TrainingConfig
from benchbench.training.recipe import Recipe, load_recipe

LONGEST = 80  # characters of a name


def checked_name(name: str | None) -> str | None:
    """`name`, given with `--name`; `InputError` for one that no table could show or no `model=NAME` could select."""
    if name is None:
        return None
    if not name.strip():
        raise InputError("--name is empty; give the rows a name, or leave it out")
    if name != name.strip() or not name.isprintable():
        raise InputError(
            f"--name {name!r} begins or ends with a space, or holds characters that cannot be printed; "
            "use plain text"
        )
    if len(name) > LONGEST:
        raise InputError(f"--name has {len(name)} characters; use at most {LONGEST}")
    if "," in name or "=" in name:
        raise InputError(
            f"--name {name!r} holds a comma or an equals sign, and then model=NAME could not select its rows; "
            "use other characters"
        )
    return name


def variant(
    recipe: Recipe, *, trained: bool, weights_sha256: str | None = None, published: bool = False
) -> str:
    """What of `recipe` differs from the one that ships, sorted.

    trained: whether the weights come out of its training section. weights_sha256: of those that were loaded instead;
    published: with `--pretrained`.
    """
    mine, shipped = (
        as_typed({"model": _hyper(each), "sampling": _sampling(each), "training": _training(each.training)})
        for each in (recipe, load_recipe(recipe.model, recipe.dataset))
    )
    said = [
        f"{name}={text}"
        for section in (("model", "sampling", "training") if trained else ("model", "sampling"))
        for name, text in mine[section].items()
        if shipped[section].get(name) != text
    ]
    if published:
        said.append("pretrained")
    elif weights_sha256 is not None:
        said.append(f"weights={weights_sha256[:8]}")
    return ",".join(sorted(said))


def settings(
    code_hash: str,
    config: Mapping[str, Any],
    sampling: Mapping[str, Any],
    training: TrainingConfig,
    *,
    trained: bool,
    weights_sha256: str | None,
    technique: str = "",
) -> dict[str, str | None]:
    """All that tells two recipes apart, flat, for `settings` of run.json.

    config, sampling: the hyper-parameters and how images are drawn, JSON-able, defaults included. technique: what was
    done to the model; "" for nothing. The rest as in `variant`.
    """
    hyper = training.hyper()
    if hyper.get("on_collapse") == "warn":
        del hyper["on_collapse"]  # a warning changes no weights, with checkpoint=best neither
    typed = as_typed({"model": config, "sampling": sampling, "training": hyper})
    weights = None if weights_sha256 is None else weights_sha256[:8]
    return {
        "code": code_hash[:8],
        "weights": weights,
        **({"technique": technique} if technique else {}),
        **typed["model"],
        **typed["sampling"],
        **(typed["training"] if trained else {}),
    }


def _hyper(recipe: Recipe) -> dict[str, Any]:
    return configure(recipe.model, recipe.hyper).model_dump(mode="json")


def _sampling(recipe: Recipe) -> dict[str, Any]:
    return configure_sampling(recipe.model, recipe.sampling).model_dump(mode="json")


def _training(config: TrainingConfig) -> dict[str, Any]:
    """What weights depend on, the length as the one of its two settings that holds."""
    values = config.model_dump(mode="json", exclude={"monitor_every", "checkpoint_every", "steps", "epochs"})
    if config.steps is not None:
        return {**values, "steps": config.steps}
    return {**values, "epochs": config.epochs or DEFAULT_EPOCHS}
