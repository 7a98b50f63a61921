"""The model card and the results beside it, read by the Hub's own library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from told import KEY, a_record

import benchbench
from benchbench.core.errors import InputError
from benchbench.results.manifest import Artefact

pytest.importorskip("huggingface_hub")


@pytest.fixture
def rows(make_row: Any) -> list[Any]:
    """Numbers of two tasks, a failed one, and a rate."""
    return [
        make_row(cell=KEY),
        make_row(cell=KEY, metric="psnr", task="reconstruction", value=30.0, low=1e-05, high=31.0),
        make_row(cell=KEY, metric="kd_efficientnet_lite0", value=None),
        make_row(cell=KEY, metric="sampling_rate", aspect="throughput", value=100.0),
    ]


def test_the_card_is_read(tmp_path: Path, rows: list[Any]) -> None:
    """By `ModelCard`: one result a metric with a value, none of a measurement of the machine nor of what failed, with
    task, dataset, ends and conditions."""
    from huggingface_hub import ModelCard

    out = benchbench.export(a_record(tmp_path / "runs", rows), to="hf", out=tmp_path / "out")
    card = ModelCard.load(out / "README.md")
    assert card.data.model_name == "vae width=16"
    assert (card.data.library_name, card.data.pipeline_tag) == (
        "benchbench",
        "unconditional-image-generation",
    )
    fd, psnr = card.data.eval_results
    assert (fd.task_type, fd.dataset_type, fd.dataset_name) == (
        "unconditional-image-generation",
        "digits",
        "digits",
    )
    assert (fd.metric_type, fd.metric_name, fd.metric_value) == (
        "fd_efficientnet_lite0",
        "fd_efficientnet_lite0",
        12.5,
    )
    assert fd.metric_args["low"] == 11.0
    assert fd.metric_args["n_reference"] == 1437
    assert (psnr.task_type, psnr.task_name, psnr.metric_value) == ("image-to-image", "reconstruction", 30.0)
    assert psnr.metric_args["low"] == 1e-05
    assert "![samples](samples.png)" in card.text
    assert "    benchbench run --model vae --dataset digits" in card.text
    assert "| generation | kd\\_efficientnet\\_lite0 ↓ | none: too few images | " in card.text
    assert " images against 1,437; efficientnet\\_lite0" in card.text
    assert "Model: width=16." in card.text
    assert not (out / ".eval_results").exists()


def test_results_for_leaderboards_are_read(tmp_path: Path, rows: list[Any]) -> None:
    """By `parse_eval_result_entries`, under the id that was named: values, tasks, the date of the run and under which
    conditions."""
    yaml = pytest.importorskip("yaml")
    from huggingface_hub import parse_eval_result_entries

    record = a_record(tmp_path / "runs", rows)
    out = benchbench.export(record, to="hf", out=tmp_path / "out", hub_dataset="somebody/digits")
    (file,) = (out / ".eval_results").glob("*.yaml")
    fd, psnr = parse_eval_result_entries(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert (fd.dataset_id, fd.task_id, fd.value) == (
        "somebody/digits",
        "generation_fd_efficientnet_lite0",
        12.5,
    )
    assert (psnr.task_id, psnr.value) == ("reconstruction_psnr", 30.0)
    assert fd.date == "2026-01-02T03:04:05Z"
    assert fd.notes == (
        "benchbench 0.1.0; images 1000, reference images 1437, network efficientnet_lite0, resize "
        "bicubic-antialias-128, seed 0, interval 11 to 14 (95% bootstrap)"
    )


def test_names_of_records_are_never_markup(tmp_path: Path, rows: list[Any], make_row: Any) -> None:
    """A record may be somebody else's: a name with tags, links, cells and lines of YAML stands as text, and a kind of
    artefact that is a path names a file beside the card."""
    from huggingface_hub import ModelCard

    nasty = '<img src=x onerror=alert(1)> [a](http://b) | "\n---\nlicense: mit'
    rows = [*rows, make_row(cell=KEY, metric="swd", value=None, reason="<script>|x")]
    rows = [replace(row, model=nasty) for row in rows]  # as runs with --name write them
    record = a_record(
        tmp_path / "runs",
        rows,
        name=nasty,
        artefacts=[Artefact(file="samples.png", kind="../../escaped", caption="x")],
    )
    out = benchbench.export(record, to="hf", out=tmp_path / "out")
    card = ModelCard.load(out / "README.md")
    assert card.data.model_name == nasty
    assert card.data.license is None
    assert "<" not in card.text.replace("&lt;", "")
    assert "\\[a\\](http" in card.text
    assert "&lt;script&gt;\\|x" in card.text
    assert sorted(path.parent for path in tmp_path.rglob("*escaped*")) == [out]


def test_one_card_over_seeds(tmp_path: Path, make_row: Any) -> None:
    """Two seeds of a model and one of another: the mean over seeds and Student's interval by hand, on a linear scale,
    a metric that one seed lacks from the other, keys and seeds of both; the other model's card is that of its
    record."""
    from huggingface_hub import ModelCard

    ends = {"low": None, "high": None, "interval": None}
    for seed, value in ((0, 10.0), (1, 14.0)):
        rows = [
            make_row(cell=f"{seed}" * 16, seed=seed, value=value, scale="linear", **ends),
            make_row(cell=f"{seed}" * 16, seed=seed, metric="psnr", value=30.0 if seed else None, **ends),
        ]
        a_record(tmp_path / "runs", rows)
    a_record(tmp_path / "runs", [make_row(cell="a" * 16, model="gan")])
    out = benchbench.export(tmp_path / "runs", to="hf", out=tmp_path / "out", over_seeds=True)
    assert sorted(path.name for path in out.iterdir()) == [f"digits-gan-{'a' * 16}", f"digits-vae-{'0' * 16}"]
    card = ModelCard.load(out / f"digits-vae-{'0' * 16}" / "README.md")
    fd, psnr = card.data.eval_results
    assert fd.metric_value == 12.0
    # t(0.975, 1 df) = 12.7062; the spread over two seeds is 4/√2, over √2.
    assert fd.metric_args["high"] - 12.0 == pytest.approx(12.7062 * 2.0, rel=1e-4)
    assert fd.metric_args["interval"] == "95% t over 2 seeds"
    assert psnr.metric_value == 30.0
    assert "mean over seeds 0, 1." in card.text
    assert "Pictures and weights are those of seed 0." in card.text
    assert f"Records `{'0' * 16}`, `{'1' * 16}`;" in card.text
    assert card.text.count("    benchbench run --model vae --dataset digits") == 1
    assert "seed 0." in ModelCard.load(out / f"digits-gan-{'a' * 16}" / "README.md").text


def test_numbers_of_several_kinds_have_no_mean(tmp_path: Path, make_row: Any) -> None:
    """One seed was scored on fewer images: nothing is averaged, and nothing is left of the folder."""
    for seed, n in ((0, 1000), (1, 500)):
        a_record(tmp_path / "runs", [make_row(cell=f"{seed}" * 16, seed=seed, n_images=n)])
    with pytest.raises(
        InputError, match=r"vae .* has fd_efficientnet_lite0 of several kinds, which have no mean"
    ):
        benchbench.export(tmp_path / "runs", to="hf", out=tmp_path / "out", over_seeds=True)
    assert not (tmp_path / "out").exists()
