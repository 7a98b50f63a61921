"""The identities of cells, frozen: a key that moves orphans every record people have."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.results.key import KEY_LENGTH, cell_key
from benchbench.results.record import SCHEMA_VERSION

FD = {
    "name": "fd_efficientnet_lite0",
    "version": 1,
    "extractor": "efficientnet_lite0",
    "weights_sha256": "ab" * 32,
    "resize": "bicubic-antialias-128",
}
SSIM = {"name": "ssim", "version": 1, "extractor": None, "weights_sha256": None, "resize": None}
TRAINED: dict[str, Any] = {
    "model_code": "c0de" * 16,
    "hyper": {"latent": 16, "beta": 1.0},
    "sampling": {"steps": 50},
    "training": {"epochs": 10, "lr": 0.001},
    "weights_sha256": None,
    "dataset_fingerprint": "da7a" * 16,
    "metrics": [FD, SSIM],
    "n_samples": 1000,
    "seed": 0,
}
LOADED = TRAINED | {"training": None, "weights_sha256": "ee" * 32}


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        (TRAINED, "abba29dce72d0c54"),
        (LOADED, "72e1668b931c1f90"),
        (TRAINED | {"task": {"direction": "AtoB"}}, "9e1eb22cba7ed407"),
    ],
)
def test_keys_are_frozen(inputs: dict[str, Any], key: str) -> None:
    """The literals are what the first release computes, checked by hand against
    `printf '<canonical JSON>' | sha256sum`; they may change only together with SCHEMA_VERSION (here 2)."""
    assert SCHEMA_VERSION == 2
    assert cell_key(**inputs) == key


def test_key_is_the_digest_of_plain_json() -> None:
    """An independent derivation: hashlib over json.dumps with sorted keys, metrics sorted by their JSON."""
    value = {**TRAINED, "task": {}, "schema_version": 2, "metrics": [SSIM, FD]}
    value["metrics"] = sorted(
        value["metrics"], key=lambda m: json.dumps(m, sort_keys=True, separators=(",", ":"))
    )
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert cell_key(**TRAINED) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert KEY_LENGTH == 16


def test_order_of_metrics_and_fields_means_nothing() -> None:
    """By definition: a set of metrics is scored, and a mapping has no order."""
    shuffled = TRAINED | {
        "metrics": [SSIM, dict(reversed(FD.items()))],
        "hyper": dict(reversed(TRAINED["hyper"].items())),
    }
    assert cell_key(**shuffled) == cell_key(**TRAINED)


JSON = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
MAPPINGS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model_code": st.text(),
    "hyper": MAPPINGS,
    "sampling": MAPPINGS,
    "training": st.none() | MAPPINGS,
    "weights_sha256": st.none() | st.text(),
    "dataset_fingerprint": st.text(),
    "metrics": st.lists(MAPPINGS, max_size=3),
    "n_samples": st.integers(min_value=1),
    "seed": st.integers(min_value=0),
    "task": MAPPINGS,
}


def _frozen(value: Any) -> str:
    """Equality as keys mean it: 1, 1.0 and True are three values, the order of metrics is none."""
    if isinstance(value, list):
        return repr(sorted(_frozen(item) for item in value))
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), field=st.sampled_from(sorted(FIELDS)))
def test_any_changed_field_changes_the_key(data: st.DataObject, field: str) -> None:
    """A key that ignored a field would serve a stale answer; a sha256 collision has odds of 2**-64."""
    before, after = data.draw(FIELDS[field]), data.draw(FIELDS[field])
    same = cell_key(**(TRAINED | {field: before})) == cell_key(**(TRAINED | {field: after}))
    assert same == (_frozen(before) == _frozen(after))


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"weights_sha256": "cd" * 32}, {"resize": "tf1-bilinear-299"}]
)
def test_a_changed_metric_specification_changes_the_key(change: dict[str, Any]) -> None:
    """Rule 4 of the design: another version, network or resize is another number."""
    assert cell_key(**(TRAINED | {"metrics": [FD | change, SSIM]})) != cell_key(**TRAINED)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["hyper", "metrics"])
def test_a_setting_that_is_no_number_has_no_identity(field: str, value: float) -> None:
    """NaN != NaN, so it cannot be part of an identity; JSON has no spelling for it either."""
    bad: Any = {"lr": value} if field == "hyper" else [{"name": "fd", "version": value}]
    with pytest.raises(InputError, match="NaN or infinite"):
        cell_key(**(TRAINED | {field: bad}))
