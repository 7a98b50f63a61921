"""Names as people write them, wherever several are taken at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.core.names import spelled, split_names
from benchbench.core.registry import EXTRACTORS, METRICS
from benchbench.metrics.select import select_metrics, spelled_metric
from benchbench.runner.extractors import with_known_names
from benchbench.runner.spec import CellSpec, EvaluationSpec
from benchbench.runner.suite import load_suite

SAME = [
    "fd,kd",
    "fd, kd",
    " fd ,kd ",
    "fd,kd,",
    "fd , kd , ",
    "fd,fd,kd",
    ["fd", "kd"],
    ["fd ", " kd"],
    ["fd,kd"],
    ("fd", "kd,"),
]


@pytest.mark.parametrize("given", SAME)
def test_every_list_of_names_is_read_alike(given: str | list[str], tmp_path: Path) -> None:
    """By definition: two names, each once, for the command, Python and a suite alike."""
    for spec in (
        CellSpec.of(model="vae", dataset="digits", metrics=given, extractors=given),
        EvaluationSpec.of(images="a", reference="b", metrics=given, extractors=given),
    ):
        assert spec.metrics == ("fd", "kd")
        assert spec.extractors == ("fd", "kd")
    written = repr(list(given) if isinstance(given, tuple) else given).replace("'", '"')
    file = tmp_path / "suite.toml"
    file.write_text(f'models = [" vae ", "gan"]\ndatasets = ["digits"]\n[settings]\nmetrics = {written}\n')
    suite = load_suite(file)
    assert suite.models == ["vae", "gan"]
    assert suite.settings.metrics == ("fd", "kd")


@pytest.mark.parametrize("given", ["", " ", ",", "fd,,kd", ",fd", [], [""], ["fd", " "], [3], ["fd", None]])
def test_a_name_that_is_none(given: object) -> None:
    """One sentence."""
    with pytest.raises(InputError, match=r"metrics=.*(a name is empty|is no name)"):
        CellSpec.of(model="vae", dataset="digits", metrics=given)
    with pytest.raises(ValueError, match=r"a name is empty|is no name"):
        split_names(given)  # type: ignore[arg-type]


FULL = ["fid", "fd", "psnr_y_crop4", "fd_efficientnet_lite0", "standard", "all", "kd_cnn_digits"]


@pytest.mark.parametrize("name", FULL)
def test_capitals_do_not_count(name: str) -> None:
    """By definition; what nobody knows stays as it is."""
    for written in (name, name.upper(), name.title()):
        assert spelled_metric(written) == name
    asked = with_known_names(CellSpec.of(model="vae", dataset="digits", metrics=[name, name.upper()]))
    assert asked.metrics == (name,)
    assert spelled_metric("nothing") == "nothing"


@pytest.mark.parametrize("name", ["efficientnet_lite0", "cnn_digits", "cnn:digits", "inception_v3"])
def test_capitals_of_extractors(name: str) -> None:
    """The same for networks, by either spelling of a family's members."""
    for written in (name, name.upper(), name.title()):
        assert EXTRACTORS.spelled(written) == name
    assert METRICS.spelled("KD") == "kd"
    assert spelled("a", ["A", "b"]) == "A"
    assert spelled("x", ["X", "x "]) == "X"
    assert spelled("ab", ["AB", "Ab"]) == "ab"


@pytest.mark.parametrize("digits", ["10000", "9" * 16, "9" * 5000])
@pytest.mark.parametrize("suffix", ["_crop", "_hints"])
def test_numbers_in_names_have_bounds(digits: str, suffix: str) -> None:
    """However many digits: a sentence, and short."""
    with pytest.raises(InputError, match="more than 9999") as refused:
        select_metrics([f"ssim{suffix}{digits}"], [])
    assert len(str(refused.value)) < 120
    assert select_metrics([f"ssim{suffix}9999"], [])[0].name == f"ssim{suffix}9999"
