"""Weights files: looked for where the sentence says, checked, never unpickled with code in them."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchbench.core.errors import MetricFailed
from benchbench.features.weights import WeightsFile, tensors_sha256


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsFile:
    """A weights file that its authors published under file://, not yet in the (empty) torch hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("BENCHBENCH_TOY_WEIGHTS", raising=False)
    torch.save({"w": torch.arange(3.0)}, tmp_path / "origin.pth")
    sha256 = hashlib.sha256((tmp_path / "origin.pth").read_bytes()).hexdigest()
    url = (tmp_path / "origin.pth").as_uri()
    return WeightsFile("toy", "toy.pth", url, sha256[:8], "BENCHBENCH_TOY_WEIGHTS")


def reason(weights: WeightsFile) -> str:
    with pytest.raises(MetricFailed) as caught:
        weights.read()
    assert caught.value.status == "unavailable"
    assert "\n" not in caught.value.reason
    return caught.value.reason


def test_absent_says_what_to_get_and_where_to_put_it(published: WeightsFile, tmp_path: Path) -> None:
    """Name, folder, command and variable, all in one sentence; and nothing is fetched or created."""
    said = reason(published)
    folder = str(tmp_path / "torch/hub/checkpoints")
    for part in ("toy.pth", folder, "run benchbench fetch toy", "BENCHBENCH_TOY_WEIGHTS"):
        assert part in said
    assert not (tmp_path / "torch").exists()


def test_another_that_asks_for_it(published: WeightsFile) -> None:
    """It is named, and the command is of the name under which the file is known."""
    said = reason(replace(published, extractor="dists", fetched_as="toy"))
    assert said.startswith("dists needs toy.pth")
    assert "run benchbench fetch toy," in said


def test_from_the_cache(published: WeightsFile, tmp_path: Path) -> None:
    """What lies there under its name, with the digest that was published; the record gets the address."""
    in_cache(published, tmp_path)
    weights, sha256, source = published.read()
    assert torch.equal(weights["w"], torch.arange(3.0))
    assert sha256.startswith(published.sha256)
    assert source == published.url


def in_cache(published: WeightsFile, tmp_path: Path) -> None:
    published.cached.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "origin.pth", published.cached)


def test_cached_file_must_have_the_right_digest(published: WeightsFile, tmp_path: Path) -> None:
    """A truncated download under the right name is named, not loaded."""
    in_cache(published, tmp_path)
    published.cached.write_bytes(published.cached.read_bytes()[:-10])
    assert "damaged or another file; run benchbench fetch toy, which gets it again" in reason(published)


def test_given_file_is_recorded(
    published: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the user points to is taken whatever its digest, and its digest is what the record gets."""
    torch.save({"w": torch.ones(2)}, tmp_path / "mine.pth")
    monkeypatch.setenv(published.env, str(tmp_path / "mine.pth"))
    weights, sha256, source = published.read()
    assert torch.equal(weights["w"], torch.ones(2))
    assert sha256 == hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert str(tmp_path) not in source, "no path of this machine in a record"
    monkeypatch.setenv(published.env, str(tmp_path / "gone.pth"))
    assert "which is not a file" in reason(published)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, ("/dev/null/never",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not weights", "cannot be read as tensors alone; get the file again"),
        ([torch.ones(2)], "is no PyTorch state dict"),
        (_Bomb(), "cannot be read as tensors alone (they hold io.open); get the file again"),
        ({"w": torch.ones(2) * 1j}, "w is complex"),
        ({"w": torch.ones(2) > 0}, "w is bool"),
        ({"w": torch.ones(2) / 0}, "w is not finite"),
        ({"w": torch.ones(2).to(torch.float8_e5m2)}, "w is float8_e5m2"),
    ],
    ids=["text", "list", "pickle", "complex", "bool", "infinite", "float8"],
)
def test_not_a_state_dict(
    published: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, sentence: str
) -> None:
    """Text, a list of tensors, a pickle that would call a function, and tensors of which a network would make other
    numbers: one sentence; the function never runs (it would raise NotADirectoryError)."""
    file = tmp_path / "mine.pth"
    if isinstance(content, str):
        file.write_text(content)
    else:
        torch.save(content, file)
    monkeypatch.setenv(published.env, str(file))
    assert sentence in reason(published)
    assert "--allow-pickle" not in reason(published)


def test_digest_of_tensors() -> None:
    """Equal tensors in another order are equal; a name, a value, a dtype or a shape makes a difference."""
    a = {"x": torch.zeros(2, 3), "y": torch.ones(1)}
    assert tensors_sha256(a) == tensors_sha256(dict(reversed(a.items())))
    others = [
        {"x": torch.zeros(2, 3), "z": torch.ones(1)},
        {"x": torch.zeros(2, 3), "y": torch.full((1,), 2.0)},
        {"x": torch.zeros(2, 3), "y": torch.ones(1, dtype=torch.float64)},
        {"x": torch.zeros(3, 2), "y": torch.ones(1)},
    ]
    assert len({tensors_sha256(w) for w in [a, *others]}) == 5
