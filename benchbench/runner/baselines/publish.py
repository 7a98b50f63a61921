"""A record becomes a baseline: its numbers among the published records, its weights and its card in `baselines/`.

Of a model without weights, such as `real`, `bicubic` or a classical filter, the numbers are all there is: they are
published alone, and any run of it gives them again.

Everything is looked at before anything is written. Weights go out as float16 where every number of the record stays
within its interval when images are drawn with them; that is measured, here, each time. The three files of a baseline
get their names one right after another once all are whole; a kill in between leaves a checksum that does not fit, which
whoever loads the weights is told.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchbench.core.baselines import CARD, CHECKSUM, MOST, WEIGHTS, Shipped, shipped_baselines
from benchbench.core.errors import InputError, listed
from benchbench.core.files import atomic_path, cannot_write
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.models.build import validated
from benchbench.results.key import is_key
from benchbench.results.lease import Leases, Taken
from benchbench.results.load import Record, failure_of, load_failures, records
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import sealed
from benchbench.results.rows import read_file, rows_of
from benchbench.results.store import DETACHABLE, METRICS, RUN, Store
from benchbench.results.verify import verify_records
from benchbench.runner.again import NotScored
from benchbench.runner.baselines.cards import card_of, siblings
from benchbench.runner.baselines.records import Rounded, record_of
from benchbench.runner.baselines.reproduce import Held, held_against
from benchbench.runner.baselines.rounded import rounded_to_float16
from benchbench.runner.labels import variant
from benchbench.training.config import TrainingConfig
from benchbench.training.recipe import Recipe

LEFT_BEHIND = (".safetensors", ".npz", ".zip")
"""Files of a record that are not published with its numbers."""
_ABSOLUTE = re.compile(r"(?<![\w.~/-])/(?:[\w.+@-]+/)+([\w.+@-]+)")


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        folder: Of the baseline; None of a model without weights.
        records: Folders of the records.
        size: Bytes of its weights.
        total: Bytes of all weights that ship.
        float16: Whether they were rounded.
        held: Every number beside what came out with the weights that ship.
        why_not: Why they were not rounded, where they were not.
    """

    folder: Path | None
    records: list[Path]
    size: int
    total: int
    float16: bool
    held: list[Held] = field(default_factory=list)
    why_not: str = ""


def records_to_publish(path: Path) -> list[Record]:
    """The records of one model on one dataset that lie in a folder, or the one that it is, verified.

    Raises `InputError` for a record that failed or is damaged, for none at all, and for several models.
    """
    if (failure := failure_of(path)) is not None:
        raise InputError(f"{path} failed ({failure.reason}): there is nothing to publish")
    verified = verify_records([path])
    if verified.faults:
        raise InputError(f"{listed(verified.faults, 2)}; what is damaged is not published")
    if not verified.records:
        raise InputError(f"there is no record in {path}; name the folder of one that benchbench run wrote")
    own = siblings(verified.records[0], verified.records)
    if len(own) < len(verified.records):
        others = sorted({run.model for _, run in verified.records})
        raise InputError(
            f"{path} holds records of several models or recipes ({listed(others, 4)}); name the folder of one model, "
            "or of one record"
        )
    return own


def has_weights(run: RunManifest) -> bool:
    """Whether the model of a record was trained, or was given weights: then numbers alone are no baseline."""
    return run.training is not None or run.weights_loaded_sha256 is not None or WEIGHTS in run.files


def shipped_one(found: Sequence[Record]) -> Record:
    """Whose weights ship: those of the first seed that did not collapse, or of the first one where all did. Nothing is
    picked by its numbers. `InputError` where none keeps weights of its own training."""
    own = [record for record in found if record[1].weights_loaded_sha256 is None]
    there = [record for record in own if WEIGHTS in record[1].files and (record[0] / WEIGHTS).is_file()]
    if not there:
        raise InputError(
            f"{found[0][0]} keeps no {WEIGHTS} of a training of its own; publish a record that trained its model"
        )
    return next((record for record in there if record[1].collapse is None), there[0])


def name_for(run: RunManifest, tasks: Sequence[str], asked: str | None) -> str:
    """What the baseline is called: as `--pretrained` looks for it. A model that learned to undo everything ships for
    everything. `InputError` for a name that it would not find."""
    model = run.recipe.model if run.recipe is not None and run.recipe.model else run.model
    undone = [task.partition(":")[2] for task in tasks if ":" in task]
    names = [*(f"{model}-{own}" for own in undone), f"{model}-{run.dataset}", model]
    own = model if getattr(MODELS.get(model), "blind", False) else names[0]
    name = own if asked is None else asked
    if name not in names or Path(name).name != name or name.startswith("."):
        raise InputError(
            f"--pretrained would not find {name!r}; write --as {listed(list(dict.fromkeys(names)))}"
        )
    return name


def check_recipe(run: RunManifest) -> None:
    """`InputError` where the record was not made by the recipe that ships: a baseline is both together."""
    own = run.recipe
    if own is None or own.model is None:
        raise InputError(f"the record {run.cell} does not say by which recipe it was made")
    training: Any = validated(TrainingConfig, own.training or {}, "training setting")
    recipe = Recipe(
        model=own.model,
        dataset=run.dataset,
        hyper=own.hyper or {},
        sampling=own.sampling or {},
        training=training,
    )
    if away := variant(recipe, trained=True):
        raise InputError(
            f"the record {run.cell} was made with {away}, away from the recipe that ships for {own.model}; put that "
            "into the recipe first, or publish a record that was made by it"
        )


def publish(
    path: Path, name: str | None, *, baselines: Path, results: Path, exact: bool, runtime: Runtime
) -> Published:
    """Publish the record in a folder, or those of several seeds.

    Args:
        path: A record, or a folder with those of one model on one dataset.
        name: Of the baseline; None for the model and what it is for.
        baselines: The folder of all baselines.
        results: The folder of the published records.
        exact: Whether weights go out as they were trained, and nothing is drawn anew.
        runtime: Where images are drawn.

    Returns:
        What was published.

    Raises:
        InputError: There is nothing that can be published; nothing is written then.
    """
    found = records_to_publish(path)
    for _, run in found:
        check_recipe(run)
    if not any(has_weights(run) for _, run in found):
        return _numbers_alone(path, found, name, baselines, results)
    record = shipped_one(found)
    rows = rows_of(*record)
    called = name_for(record[1], [row.task for row in rows], name)
    with tempfile.TemporaryDirectory() as scratch:
        weights, held, why_not = _weights(record, Path(scratch), exact, runtime)
        rounded = weights.parent == Path(scratch)
        size = weights.stat().st_size
        total = size + sum(own.size for own in shipped_baselines(baselines) if own.name != called)
        if total > MOST:
            raise InputError(
                f"with {called} the weights that ship would be {_mb(total)}, more than {_mb(MOST)}; take others away"
            )
        folder = baselines / called
        with _alone(results, called):
            placed = [publish_record(own, results, pictures=own is record) for own in found]
            _publish_failures(path, record[1], results)
            _write_baseline(folder, weights, results)
    return Published(folder, placed, size, total, rounded, held, why_not)


def _numbers_alone(
    path: Path, found: Sequence[Record], name: str | None, baselines: Path, results: Path
) -> Published:
    """The records of a model without weights, with the pictures of the first."""
    model = found[0][1].model
    if name is not None:
        raise InputError(f"{model} has no weights that could be called {name!r}; leave --as out")
    placed = [publish_record(own, results, pictures=own is found[0]) for own in found]
    _publish_failures(path, found[0][1], results)
    total = sum(own.size for own in shipped_baselines(baselines))
    return Published(None, placed, 0, total, False, why_not=f"{model} has none")


def _weights(record: Record, scratch: Path, exact: bool, runtime: Runtime) -> tuple[Path, list[Held], str]:
    """Which file ships, what came out with it, and why it is not float16."""
    own = record[0] / WEIGHTS
    if exact:
        return own, [], "as asked"
    smaller, why_not = scratch / WEIGHTS, "no number of them is wider, or one is too large for float16"
    try:
        if rounded_to_float16(own, smaller, Rounded(record[1].cell, record[1].files[WEIGHTS])):
            held = held_against(record, smaller, runtime)
            if all(number.within for number in held):
                return smaller, held, ""
            why_not = "; ".join(str(number) for number in held if not number.within)
        held = held_against(record, own, runtime)
    except NotScored as error:
        raise InputError(
            f"{record[0]} cannot be scored again here ({error}), so that nobody knows what rounding its weights would "
            "do; --exact publishes them as they were trained"
        ) from error
    if wrong := [str(number) for number in held if not number.within]:
        raise InputError(f"the weights of {record[0]} do not give its numbers here: {listed(wrong, 2)}")
    return own, held, why_not


def publish_record(record: Record, results: Path, *, pictures: bool) -> Path:
    """A record among the published ones, without what is large, and without names of folders of this machine."""
    folder, run = record
    without = LEFT_BEHIND if pictures else DETACHABLE
    numbers = _without_places(read_file(folder, run, METRICS).decode("utf-8")).encode("utf-8")
    said = _without_places(run.as_json())
    said["files"][METRICS] = sha256(numbers).hexdigest()
    text = json.dumps(sealed(said), sort_keys=True, indent=2, allow_nan=False) + "\n"
    store = Store(results)
    place = store.cell_dir(run.dataset, run.model, run.cell)
    if place.exists() and folder.resolve() == place.resolve():
        return place
    return store.adopt(folder, run, without=without, instead={RUN: text.encode("utf-8"), METRICS: numbers})


def _publish_failures(path: Path, run: RunManifest, results: Path) -> None:
    """Seeds of the model that left no record: they are results, too."""
    for lost in load_failures(path).to_dict("records"):
        if (lost["dataset"], lost["model"]) != (run.dataset, run.model) or not is_key(str(lost["cell"])):
            continue
        facts = {name: lost[name] for name in ("seed", "reason", "when")}
        Store(results).record_failure(run.dataset, run.model, str(lost["cell"]), _without_places(facts))


def _without_places(said: Any) -> Any:
    """What a record says, absolute paths of a machine cut to their last name."""
    if isinstance(said, dict):
        return {name: _without_places(own) for name, own in said.items()}
    if isinstance(said, list):
        return [_without_places(own) for own in said]
    return _ABSOLUTE.sub(r"\1", said) if isinstance(said, str) else said


@contextmanager
def _alone(results: Path, name: str) -> Iterator[None]:
    """Two who publish one baseline at once would leave the weights of one and the checksum of the other."""
    try:
        with Leases(results).held(digest(["baseline", name])[:16]):
            yield
    except Taken as taken:
        raise InputError(
            f"{name} is being published by {taken.holder.words}; run the same command again"
        ) from taken


def _write_baseline(folder: Path, weights: Path, results: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    published = list(records(results))
    with (
        atomic_path(folder / CARD) as card,
        atomic_path(folder / CHECKSUM) as checksum,
        atomic_path(folder / WEIGHTS) as placed,
        tempfile.TemporaryDirectory() as apart,
    ):
        shutil.copyfile(weights, placed)
        checksum.write_text(f"{file_sha256(placed)}  {WEIGHTS}\n", encoding="ascii")
        # As it will lie there: the card is made from the weights and the checksum beside it.
        as_it_will_be = Path(apart) / folder.name
        as_it_will_be.mkdir()
        for name, file in ((WEIGHTS, placed), (CHECKSUM, checksum), (CARD, folder / CARD)):
            if file.is_file():
                shutil.copyfile(file, as_it_will_be / name)
        new = Shipped(as_it_will_be)
        record = record_of(new, published)
        assert record is not None
        card.write_text(card_of(new, record, published, results, home=folder), encoding="utf-8")


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
