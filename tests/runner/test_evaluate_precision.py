"""`--precision` from the command's options to the row: named, kept apart, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import benchbench
from benchbench.core.errors import InputError, NothingComparable
from benchbench.core.runtime import Runtime
from benchbench.metrics.select import select_metrics
from benchbench.results.claims.conditions import check_comparable
from benchbench.results.provenance import read_run_json
from benchbench.runner.evaluate import evaluate_images
from benchbench.runner.extractors import ExtractorLoader, load_extractors
from benchbench.runner.sources import InMemory
from benchbench.runner.spec import EvaluationSpec, StatisticsSpec
from benchbench.runner.statistics import prepare_reference

pytestmark = pytest.mark.costly

LITE = "efficientnet_lite0"
RNG = torch.Generator().manual_seed(0)
SAMPLES = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8, generator=RNG)
REAL = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8, generator=RNG)
HELD = InMemory(SAMPLES, REAL)


def _asked(precision: str) -> EvaluationSpec:
    return EvaluationSpec.of(images=None, reference=None, metrics=["fd"], precision=precision)


def evaluated(precision: str, reference: Any = REAL, **options: Any) -> pd.DataFrame:
    metrics = options.pop("metrics", ["fd", "precision"])
    return benchbench.evaluate(
        SAMPLES, reference, metrics, precision=precision, device="cpu", **options
    ).set_index("metric", drop=False)


def test_the_row_names_it_and_such_rows_do_not_compare() -> None:
    """The metric keeps its name, `precision` says what it is, and comparing the two is refused with that field."""
    plain, half = evaluated("float32"), evaluated("bfloat16")
    assert list(plain.index) == list(half.index) == [f"fd_{LITE}", f"precision_{LITE}"]
    assert set(plain["precision"]) == {"float32"}
    assert set(half["precision"]) == {"bfloat16"}
    assert plain.loc[f"fd_{LITE}", "value"] != half.loc[f"fd_{LITE}", "value"]
    with pytest.raises(NothingComparable, match="precision is float32 against bfloat16"):
        check_comparable(plain.reset_index(drop=True), half.reset_index(drop=True))


def test_records_of_two_precisions_stand_side_by_side(tmp_path: Path) -> None:
    """Two keys, two records, each answering its own question again; run.json names the precision too."""
    found = {
        precision: evaluate_images(_asked(precision), tmp_path, Runtime(), HELD).path
        for precision in ("float32", "bfloat16")
    }
    assert found["float32"] != found["bfloat16"]
    for precision, path in found.items():
        assert path is not None
        assert read_run_json(path / "run.json")["extractors"][LITE]["precision"] == precision
        again = evaluate_images(_asked(precision), tmp_path, Runtime(), HELD)
        assert (again.cached, again.path) == (True, path)


def test_float32_leaves_keys_as_they_were() -> None:
    """The specification that goes into a key holds no word of float32, as in records from before the choice; any
    other precision is in it."""
    (metric,) = select_metrics(["fd"], ["cnn_digits"])
    plain, half = (
        load_extractors([metric], ExtractorLoader(torch.device("cpu")), precision).specification(metric)
        for precision in ("float32", "float16")
    )
    assert set(plain) == {"name", "version", "extractor", "weights_sha256", "resize"}
    assert half == {**plain, "precision": "float16"}


def test_run_takes_it(tmp_path: Path) -> None:
    """A control's cell: rows of the network name it, rows without one name none."""
    options: dict[str, Any] = {
        "samples": 12,
        "metrics": ["fd"],
        "extractors": ["cnn_digits"],
        "device": "cpu",
    }
    frame = benchbench.run("real", "digits", precision="bfloat16", out=tmp_path, **options)
    judged = frame["extractor"].notna()
    assert set(frame.loc[judged, "precision"]) == {"bfloat16"}
    assert frame.loc[~judged, "precision"].isna().all()


def test_statistics_name_it_and_refuse_another(tmp_path: Path) -> None:
    """A file made in bfloat16 serves bfloat16, with the number that the images give (1e-9: the file holds the same
    float64 moments), and nothing else. Of others' files nobody knows; their software computes in float32."""
    folder = tmp_path / "real"
    folder.mkdir()
    for i, image in enumerate(REAL):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:02}.png")
    file = tmp_path / "half.npz"
    spec = StatisticsSpec(reference=str(folder), precision="bfloat16")
    done = prepare_reference(spec, file, Runtime())
    assert done.extractor.describe()["precision"] == "bfloat16"
    value = evaluated("bfloat16", file, metrics="fd").loc[f"fd_{LITE}", "value"]
    assert value == pytest.approx(evaluated("bfloat16").loc[f"fd_{LITE}", "value"], rel=1e-9)
    with pytest.raises(InputError, match=r"its precision is bfloat16 and not float32; .*--precision"):
        evaluated("float32", file, metrics="fd")
    np.savez(tmp_path / "theirs.npz", mu=np.zeros(1280), sigma=np.eye(1280))
    with pytest.raises(
        InputError, match=r"does not say in which precision .* leave --precision bfloat16 out"
    ):
        evaluated("bfloat16", tmp_path / "theirs.npz", metrics="fd", extractors=LITE)


def test_what_is_no_precision_and_who_has_none(tmp_path: Path) -> None:
    """Refused before anything is computed or written: a name nobody knows, and a judge in closed form."""
    with pytest.raises(InputError, match="unknown precision 'fp16'; did you mean 'float16'"):
        evaluated("fp16", out=tmp_path)
    with pytest.raises(
        InputError, match="modes_ring8 computes in float32 only; leave --precision float16 out"
    ):
        evaluated("float16", out=tmp_path, metrics=["modes"], extractors="modes_ring8")
    assert not list(tmp_path.rglob("*.csv"))
