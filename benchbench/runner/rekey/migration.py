"""Records of an older schema, or of code that is called otherwise now, carried over: `benchbench migrate`.

No number changes. What a record was made from is read from its `run.json`, its old key is computed anew from that, and
only where it comes out is the new key computed from the same facts: a later run of the same cell then finds the record.
Any other record (images that `evaluate` scored, whose digests it does not keep; code that nobody knows any more) keeps
its numbers under a key of its own, which no run asks for.

Schema 2 differs from 1 in the identity of code (`models.identity`), in the settings of drawing, which stand apart from
those that weights depend on, and in the column `direction`.

Pattern: each record is written whole beside the old one, which goes away afterwards. A kill leaves both, and the
command once more finishes. Two processes may do it at once.
"""

from __future__ import annotations

import itertools
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchbench.core.errors import InputError, SkippedWarning
from benchbench.core.files import atomic_folder
from benchbench.core.hashing import canonical_json, digest, file_sha256
from benchbench.core.registry import METRICS as FAMILIES
from benchbench.core.registry import MODELS
from benchbench.metrics.metric import Metric, full_name, output_of
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import STANDARD, STYLIZATION, TRANSLATION, select_metrics
from benchbench.models.build import configure_sampling, sampling_class
from benchbench.results.key import KEY_LENGTH, metric_specification
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import sealed, stated_in, whole, write_run_json
from benchbench.results.record import SCHEMA_VERSION, Row
from benchbench.results.rows import rows_of
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.results.touched import damaged, foreign
from benchbench.runner.labels import settings
from benchbench.runner.plan_keys import TRAINING_VERSION, Keys, keys_of
from benchbench.runner.rekey.identities import identity_now
from benchbench.training.config import TrainingConfig

MOST_FAILED = 10  # numbers of a record that failed, each of which had one of two places in its key
State = Literal["as it was", "carried over", "under a key of its own"]


@dataclass(frozen=True)
class Moved:
    """A record: where it was, where it is, and what was done."""

    before: Path
    after: Path
    state: State


def migrate(root: Path) -> Iterator[Moved]:
    """Carry over every record below `root`, one after the other; `InputError` for a damaged one, which stays.

    Raises `InputError` where `root` is no folder or cannot be written.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; name one that benchbench wrote results into")
    store = Store(root)
    store.check_writable()
    for file in sorted(root.glob(f"[!.]*/[!.]*/[!.]*/{RUN}")):
        if (why := foreign(file.parent, (RUN,))) is not None:
            warnings.warn(f"skipped: {why}", SkippedWarning, stacklevel=2)
            continue
        yield _moved(store, file.parent, _read(file))


def _read(file: Path) -> dict[str, Any]:
    """What a run.json of any version says. It is of the types that today's has, in what it has of it."""
    run = stated_in(file)
    if run["schema_version"] not in range(1, SCHEMA_VERSION + 1):
        raise damaged(file, f"is of schema version {run['schema_version']}, which nobody here can read")
    whole(file, run)
    return run


def _moved(store: Store, folder: Path, run: dict[str, Any]) -> Moved:
    rows = rows_of(folder, RunManifest.model_validate(run))
    made_of = parts_of(run, rows)
    if run["schema_version"] == SCHEMA_VERSION and (made_of is None or made_of.code_now == made_of.code):
        return Moved(folder, folder, "as it was")
    state: State = "carried over"
    if made_of is None:
        state, new = "under a key of its own", {**run, "cell": digest(["schema 1", run["cell"]])[:KEY_LENGTH]}
    else:
        new = {**run, **made_of.renamed(run)}
    new["schema_version"] = SCHEMA_VERSION
    target = store.cell_dir(run["dataset"], run["model"], new["cell"])
    if not target.exists():
        with atomic_folder(target) as fresh:
            for file in folder.iterdir():
                if file.is_file() and file.name not in (RUN, METRICS):
                    shutil.copy2(file, fresh)
            write_rows(
                fresh / METRICS,
                [replace(row, cell=new["cell"], variant=_variant(row.variant)) for row in rows],
            )
            new["files"] = {**run["files"], METRICS: file_sha256(fresh / METRICS)}
            write_run_json(fresh / RUN, sealed(new))
    shutil.rmtree(folder)
    return Moved(folder, target, state)


@dataclass(frozen=True)
class Parts:
    """What the key of a record was made from, which a run.json says. code_now: what its code is called today."""

    model: str
    code: str
    code_now: str
    hyper: Mapping[str, Any]
    sampling: Mapping[str, Any]
    training: Mapping[str, Any] | None
    weights_sha256: str | None
    dataset: str
    task: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    n_samples: int
    seed: int

    def key_1(self) -> str:
        """The key as schema 1 made it: no settings of drawing apart, and a task a direction."""
        ordered = sorted((dict(metric) for metric in self.metrics), key=canonical_json)
        parts = {
            "schema_version": 1,
            "model_code": self.code,
            "hyper": {"model": self.model, **self.hyper},
            "training": self.training,
            "weights_sha256": self.weights_sha256,
            "dataset_fingerprint": self.dataset,
            "task": self.task,
            "n_samples": self.n_samples,
            "seed": self.seed,
            "metrics": ordered,
        }
        return digest(parts)[:KEY_LENGTH]

    def keys_2(self, code: str) -> Keys:
        """The keys as `runner.plan_keys` makes them."""
        identity = {
            "code": code,
            "model": self.model,
            "hyper": self.hyper,
            "training": self.training,
            "weights_sha256": self.weights_sha256,
            "dataset": self.dataset,
            "seed": self.seed,
        }
        return keys_of(
            identity, sampling=self.sampling, task=self.task, metrics=self.metrics, n_samples=self.n_samples
        )

    def renamed(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """What is called otherwise in the run.json."""
        apart = sampling_class(self.model).model_fields.keys()
        hyper = {name: value for name, value in self.hyper.items() if name not in apart}
        drawn = {name: value for name, value in self.hyper.items() if name in apart}
        names = ["translation"] if self.task["names"][0].startswith("translation") else self.task["names"]
        today = replace(
            self,
            hyper=hyper,
            sampling=configure_sampling(self.model, {**self.sampling, **drawn}).model_dump(mode="json"),
            task={**self.task, "names": names},
        )
        recipe = dict(run["recipe"])
        recipe["sampling"] = {
            **recipe.get("sampling", {}),
            **{name: value for name, value in recipe["hyper"].items() if name in apart},
        }
        recipe["hyper"] = {name: value for name, value in recipe["hyper"].items() if name not in apart}
        # What the key of a training is made of did not change with the schema.
        same_weights = run["training_key"] == self.keys_2(self.code).training
        keys = today.keys_2(self.code_now)
        return {
            "cell": keys.cell,
            "code_hash": self.code_now,
            "training_key": keys.training if same_weights else run["training_key"],
            "config": hyper,
            "sampling": dict(today.sampling),
            "recipe": recipe,
            "variant": _variant(run["variant"]),
            "settings": settings(
                self.code_now,
                hyper,
                today.sampling,
                TrainingConfig(**recipe["training"]),
                trained=self.training is not None,
                weights_sha256=self.weights_sha256,
            ),
        }


def _variant(text: str) -> str:
    """A label with settings called as they are now: `direction` became the name of a column."""
    return re.sub(r"(^|,)direction=", r"\1model.direction=", text)


def parts_of(run: Mapping[str, Any], rows: Sequence[Row]) -> Parts | None:
    """What the key of this record was made from; None where its own key does not come out of what it says."""
    try:
        return _proved(run, rows)
    except (KeyError, TypeError, AttributeError, ValueError, InputError):
        return None  # it leaves out something, says null, or holds settings that its model never had


def _proved(run: Mapping[str, Any], rows: Sequence[Row]) -> Parts | None:
    recipe, code = run["recipe"], run["code_hash"]
    model = recipe["model"]
    code_now = identity_now(model, code, run.get("sampling"))
    if code_now is None or model not in MODELS.names():
        return None
    names = _tasks(rows)
    made_of = Parts(
        model=model,
        code=code,
        code_now=code_now,
        hyper=run["config"],
        sampling=run.get("sampling", {}),
        training=_training(run),
        weights_sha256=run["weights_loaded_sha256"],
        dataset=run["data"]["fingerprint"],
        task={"names": names} if run["name"] is None else {"names": names, "name": run["name"]},
        metrics=(),
        n_samples=run["n_samples"],
        seed=run["seed"],
    )
    first = run["schema_version"] == 1
    for metrics in _specifications(run, rows):
        tried = replace(made_of, metrics=metrics)
        if (tried.key_1() if first else tried.keys_2(code).cell) == run["cell"]:
            return tried
    return None


def _training(run: Mapping[str, Any]) -> dict[str, Any] | None:
    if run["training"] is None:
        return None
    training = {**TrainingConfig(**run["recipe"]["training"]).hyper(), "training_version": TRAINING_VERSION}
    if run["monitor"] and "monitor_every" in training:
        training["panel"] = {k: v for k, v in run["monitor"].items() if k not in ("every", "distance_to")}
    return training


def _tasks(rows: Sequence[Row]) -> list[str]:
    """As schema 1 named them in a key."""
    tasks = {_old_task(row) for row in rows}
    if directions := sorted(task for task in tasks if task.startswith("translation")):
        return directions
    return next(
        ([task] for task in ("classification", "stylization") if task in tasks),
        ["generation", "reconstruction"],
    )


def _old_task(row: Row) -> str:
    return f"{row.task}_{row.direction}" if row.direction else row.task


def _specifications(run: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[list[dict[str, Any]]]:
    """What a key may have said of the metrics. The rows leave two things open: one that failed was either asked of the
    evidence or had no meaning from the start, and one of the standard set that has no meaning has no row at all."""
    asked = {row.metric: row for row in rows if _is_metric(row)}
    failed = [name for name, row in asked.items() if row.status != "ok"]
    silent = [
        _specification(run, metric.name, metric.version, metric.extractor, _precision(run, metric))
        for metric in _standard(run, rows)
        if metric.name not in asked
    ]
    stated = [
        _specification(run, name, row.metric_version, row.extractor, row.precision)
        for name, row in asked.items()
    ]
    for n in range(len(failed) + 1 if len(failed) <= MOST_FAILED else 1):
        for meaningless in itertools.combinations(failed, n):
            unmet: list[dict[str, Any]] = [{"failed": name} for name in meaningless]
            yield [*stated, *unmet, *silent]
            yield [*stated, *unmet]


def _standard(run: Mapping[str, Any], rows: Sequence[Row]) -> list[Metric]:
    """What `--metrics standard` stands for on the extractors of a record."""
    names = {row.task for row in rows}
    if "classification" in names:
        return []
    families = TRANSLATION if "translation" in names else STYLIZATION if "stylization" in names else STANDARD
    return select_metrics(("standard",), sorted(run["extractors"]), None, families)


def _precision(run: Mapping[str, Any], metric: Metric) -> str | None:
    """As `runner.extractors.ExtractorSet.precision` has it."""
    extractor = run["extractors"].get(metric.extractor or "", {})
    return None if isinstance(metric, PairedMetric) else extractor.get("precision")


def _specification(
    run: Mapping[str, Any], name: str, version: int, extractor: str | None, precision: str | None
) -> dict[str, Any]:
    network = run["extractors"].get(extractor or "", {})
    return metric_specification(
        name=name,
        version=version,
        extractor=extractor,
        weights_sha256=network.get("weights_sha256"),
        resize=network.get("resize"),
        precision=precision,
    )


def _is_metric(row: Row) -> bool:
    """Whether a row is of a metric that can be asked for, and not of a measurement or of a detail beside another."""
    if row.aspect in ("throughput", "cost"):
        return False
    base = re.sub(r"(_crop\d+)?(_hints\d+)?$", "", row.metric)
    return any(
        base == family or row.metric == full_name(family, row.extractor)
        for family in FAMILIES.names()
        if not output_of(FAMILIES.get(family), family).beside
    )
