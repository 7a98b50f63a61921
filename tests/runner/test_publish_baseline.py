"""From a record to a baseline and back: published, verified, scored with another network, rendered; what is refused.

A checkout of its own: a package folder with baselines and results beside it, in which a small VAE is trained under two
seeds. Expected numbers are those of its records, which the same code on the same machine gives again.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

import benchbench
from benchbench.cli import cli
from benchbench.core.baselines import CARD, CHECKSUM, WEIGHTS, Shipped
from benchbench.core.errors import InputError
from benchbench.core.hashing import canonical_json, file_sha256
from benchbench.core.seeds import ImageRng
from benchbench.results.load import load_failures, load_results, records
from benchbench.results.provenance import sealed
from benchbench.results.rows import rows_of
from benchbench.results.verify import verify_records
from benchbench.runner.baselines import publish as publishing
from benchbench.runner.baselines.records import Rounded, record_of, rounded_of
from benchbench.runner.baselines.reproduce import Held
from benchbench.runner.baselines.rounded import rounded_to_float16
from benchbench.training.weights import METADATA_KEY
from benchbench.views.baseline_card import REMARKS
from benchbench.views.paper_numbers import of_papers, paper_numbers, why_without

pytestmark = pytest.mark.costly

REPOSITORY = Path(__file__).parents[2]
NAME = "vae-mlp-digits"
RECIPE = """
dataset = "digits"
[model]
name = "vae-mlp"
width = 8
depth = 1
latent = 2
[training]
epochs = 2
"""
ASKED: Any = {"metrics": ["fd", "recall", "psnr"], "extractors": ["cnn_digits"], "device": "cpu"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout before anything is published, and `runs` beside it: two seeds of the VAE, and two controls."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("pkg", "results", f"baselines/{NAME}"):
        (root / name).mkdir(parents=True)
    (root / "baselines" / NAME / "recipe.toml").write_text(RECIPE)
    shutil.copytree(REPOSITORY / "baselines" / "cnn-digits", root / "baselines" / "cnn-digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchbench, "__file__", str(root / "pkg" / "__init__.py"))
        benchbench.run("vae-mlp", "digits", seeds=2, samples=60, out=root / "runs", **ASKED)
        for model in ("real", "noise"):
            benchbench.run(model, "digits", samples=60, out=root / "runs", **ASKED)
    return root


@pytest.fixture
def checkout(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one's own, which the package takes for its checkout."""
    root = tmp_path / "checkout"
    shutil.copytree(origin, root)
    monkeypatch.setattr(benchbench, "__file__", str(root / "pkg" / "__init__.py"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="module")
def published(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the VAE and the controls' records published, and the board made."""
    root = tmp_path_factory.mktemp("published") / "checkout"
    shutil.copytree(origin, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchbench, "__file__", str(root / "pkg" / "__init__.py"))
        benchbench.baselines.publish(root / "runs" / "digits" / "vae-mlp", device="cpu")
        for model in ("real", "noise"):
            benchbench.baselines.publish(root / "runs" / "digits" / model, device="cpu")
        benchbench.baselines.render()
    return root


@pytest.fixture
def shelf(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one's own of what was published."""
    root = tmp_path / "checkout"
    shutil.copytree(published, root)
    monkeypatch.setattr(benchbench, "__file__", str(root / "pkg" / "__init__.py"))
    monkeypatch.chdir(root)
    return root


def typed(*words: str) -> Result:
    return CliRunner().invoke(cli, ["baselines", *words])


def cells(root: Path, model: str = "vae-mlp") -> list[Path]:
    return sorted((root / "digits" / model).iterdir())


class TestPublished:
    """What lies there afterwards."""

    def test_weights_are_half_as_large_and_say_whose_they_are(self, published: Path) -> None:
        """All floats in float16; the checksum is that of the file; the record is that of seed 0, whose own weights have
        the sha256 that is named."""
        folder = published / "baselines" / NAME
        assert {tensor.dtype for tensor in load_file(folder / WEIGHTS).values()} == {torch.float16}
        assert Shipped(folder).checked() == folder / WEIGHTS
        told = rounded_of(folder / WEIGHTS)
        assert told is not None
        (record,) = [run for _, run in records(published / "results") if run.cell == told.cell]
        assert (record.seed, record.files[WEIGHTS]) == (0, told.sha256)

    def test_records_are_there_without_weights(self, published: Path) -> None:
        """Both seeds, whole, with the pictures of the first alone; their numbers are those of the runs."""
        found = verify_records([published / "results"])
        assert not found.faults
        own = {run.seed: folder for folder, run in found.records if run.model == "vae-mlp"}
        assert own.keys() == {0, 1}
        names = {seed: {file.name for file in folder.iterdir()} for seed, folder in own.items()}
        assert {"samples.png", "training.png", "curves.csv", "metrics.csv", "run.json"} <= names[0]
        assert names[1] == {"curves.csv", "metrics.csv", "run.json"}
        assert not {WEIGHTS, "samples.npz"} & (names[0] | names[1])
        before, after = (
            load_results(root / "digits" / "vae-mlp").set_index(["seed", "metric", "task"])["value"]
            for root in (published / "runs", published / "results")
        )
        assert before.equals(after)

    def test_no_folder_of_a_machine_is_named(self, published: Path) -> None:
        """The command of the run named its output by an absolute path; only its last name is left."""
        said = "".join(file.read_text() for file in (published / "results").rglob("run.json"))
        assert str(published.parent) not in said
        assert str(published) not in (published / "baselines" / NAME / CARD).read_text()

    def test_reasons_name_no_folder_either(self, checkout: Path) -> None:
        """Why a number is not there may name where weights were looked for: cut to the last name, in a record that is
        whole; everything else of its numbers is what it was."""
        folder = cells(checkout / "runs")[0]
        table = (folder / "metrics.csv").read_text().splitlines()
        columns = table[0].split(",")
        lost = next(csv.DictReader(table))
        lost |= dict.fromkeys(("value", "low", "high", "interval"), "")
        lost |= {
            "metric": "lpips",
            "status": "unavailable",
            "reason": "lpips is not in /root/.cache/torch/hub",
        }
        line = ",".join(lost[name] for name in columns)
        (folder / "metrics.csv").write_text("\n".join([*table, line, ""]))
        run = json.loads((folder / "run.json").read_text())
        run["files"]["metrics.csv"] = file_sha256(folder / "metrics.csv")
        (folder / "run.json").write_text(json.dumps(sealed(run)))
        benchbench.baselines.publish(folder, exact=True, device="cpu")
        assert not verify_records([checkout / "results"]).faults
        (there,) = cells(checkout / "results")
        *before, last = (there / "metrics.csv").read_text().splitlines()
        assert before == table
        assert last == line.replace("/root/.cache/torch/hub", "hub")

    def test_the_card_has_the_numbers(self, published: Path) -> None:
        """Those of the record, its interval, data, budget and licence; both seeds; a picture that is there."""
        folder = published / "baselines" / NAME
        card = (folder / CARD).read_text()
        row = load_results(published / "results").set_index(["model", "seed", "metric"]).loc[("vae-mlp", 0)]
        line = row.loc["fd_cnn_digits"]
        assert f"{line['value']:.4g}"[:5] in card
        for words in (
            "`benchbench run --model vae-mlp --dataset digits --pretrained`",
            "CC BY 4.0",
            "collapsed 0 of 2",
            "unknown: nobody watched it",
            "float16; every number above came out within its interval with them",
            "60 images are few",
        ):
            assert words in card, words
        (picture,) = [part.split(")")[0] for part in card.split("![samples](")[1:]]
        assert (folder / picture).is_file()

    def test_pretrained_loads_them(self, shelf: Path) -> None:
        """And gives the numbers of the record again, to what half precision moves: within the interval."""
        again = benchbench.run("vae-mlp", "digits", samples=60, pretrained=True, out="again", **ASKED)
        before = load_results("results").set_index(["model", "seed", "metric", "task"])
        row = before.loc[("vae-mlp", 0, "fd_cnn_digits", "generation")]
        value = float(again.set_index("metric").loc["fd_cnn_digits", "value"])
        assert row["low"] <= value <= row["high"]
        assert again["budget"].isna().all()  # nothing was trained there

    def test_changed_weights_are_not_loaded(self, shelf: Path) -> None:
        """By `run --pretrained`, before anything is made."""
        with (shelf / "baselines" / NAME / WEIGHTS).open("ab") as file:
            file.write(b"\0")
        with pytest.raises(InputError, match="is not what was published"):
            benchbench.run("vae-mlp", "digits", samples=60, pretrained=True, out="again", **ASKED)


class TestVerify:
    """`benchbench baselines verify`."""

    def test_all_is_as_published(self, shelf: Path) -> None:
        """Every number of the record comes out within its interval; a judge without a record has its checksum alone."""
        found = benchbench.baselines.verify(device="cpu")
        states = dict(zip(found.table["name"], found.table["state"], strict=True))
        assert states == {"cnn-digits": "no record", NAME: "reproduced"}
        assert found.exit_code == 0
        (own,) = [line for line in found.baselines if line.name == NAME]
        metrics = {held.before.metric for held in own.held}
        assert {"fd_cnn_digits", "recall_cnn_digits", "psnr"} <= metrics
        assert not metrics & {"sampling_rate", "training_rate", "parameters_training"}

    def test_other_weights_are_a_miss(self, shelf: Path) -> None:
        """Weights of a network that was never trained, with a checksum that fits them."""
        folder = shelf / "baselines" / NAME
        torch.manual_seed(0)
        tensors = {k: torch.randn_like(v.float()).half() for k, v in load_file(folder / WEIGHTS).items()}
        told = rounded_of(folder / WEIGHTS)
        assert told is not None
        save_file(tensors, folder / WEIGHTS, {METADATA_KEY: canonical_json({"record": told._asdict()})})
        (folder / CHECKSUM).write_text(f"{file_sha256(folder / WEIGHTS)}  {WEIGHTS}\n")
        done = typed("verify", NAME, "--device", "cpu")
        assert done.exit_code == 1, done.output
        assert "missed" in done.output
        assert "outside [" in done.output

    def test_weights_that_do_not_fit_the_recipe_beside_them(self, shelf: Path) -> None:
        """What a recipe that was changed alone leaves: nobody could load them, whatever is at hand."""
        recipe = shelf / "baselines" / NAME / "recipe.toml"
        recipe.write_text(recipe.read_text().replace("width = 8", "width = 16"))
        done = typed("verify", NAME, "--device", "cpu")
        assert done.exit_code == 1, done.output
        assert "damaged" in done.output
        assert "do not fit" in " ".join(done.output.split())

    def test_damaged_weights_are_found_fast(self, shelf: Path) -> None:
        """No image is drawn for that."""
        with (shelf / "baselines" / "cnn-digits" / WEIGHTS).open("r+b") as file:
            file.write(b"\xff" * 20)
        done = typed("verify", "cnn-digits", "--fast")
        assert done.exit_code == 1, done.output
        assert "is not what was published" in " ".join(done.output.split())

    @pytest.mark.parametrize("content", ["", "nothing", "f" * 63, "\N{SNOWMAN}"])
    def test_a_checksum_that_says_none(self, shelf: Path, content: str) -> None:
        """Damaged like its weights."""
        (shelf / "baselines" / NAME / CHECKSUM).write_text(content, encoding="utf-8")
        (line,) = benchbench.baselines.verify(NAME, device="cpu").baselines
        assert line.state == "damaged"

    def test_nothing_can_be_computed(self, shelf: Path) -> None:
        """Where the record is gone: exit code 3, which is neither yes nor no."""
        shutil.rmtree(shelf / "results" / "digits" / "vae-mlp")
        done = typed("verify", NAME)
        assert done.exit_code == 3, done.output
        assert "no record" in done.output

    def test_data_that_are_not_at_hand(self, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine whose digits are others cannot say anything of these numbers."""
        monkeypatch.setattr("benchbench.runner.again.fingerprint_of", lambda run: run.cell)
        (line,) = benchbench.baselines.verify(NAME, device="cpu").baselines
        assert line.state == "not here"
        assert "other images here" in line.words

    def test_names(self, shelf: Path) -> None:
        """Unknown and empty ones are one sentence."""
        for names in ("nosuch", [""], ["cnn-digits", "x"]):
            with pytest.raises(InputError):
                benchbench.baselines.verify(names)

    def test_list(self, shelf: Path) -> None:
        """Each with its size, checksum and record."""
        found = benchbench.baselines.list().set_index("name")
        assert found.index.tolist() == ["cnn-digits", NAME]
        assert found.loc[NAME, "record"].startswith("digits/vae-mlp/")
        assert found.loc[NAME, "size"] == (shelf / "baselines" / NAME / WEIGHTS).stat().st_size
        assert typed("list").exit_code == 0


class TestRender:
    """`benchbench baselines render`."""

    def test_what_was_made_is_up_to_date(self, shelf: Path) -> None:
        """And a page that was changed or is gone is not, until it is made again."""
        assert typed("render", "--check").exit_code == 0
        card, board = shelf / "baselines" / NAME / CARD, shelf / "results" / "LEADERBOARD.md"
        before = card.read_text(), board.read_text()
        card.write_text("mine")
        board.unlink()
        done = typed("render", "--check")
        assert done.exit_code == 1
        assert done.output.count("is out of date") == 2
        assert benchbench.baselines.render() == [card, board]
        assert (card.read_text(), board.read_text()) == before

    def test_remarks_by_hand_stay(self, shelf: Path) -> None:
        """All that stands below their heading, and nothing else."""
        card = shelf / "baselines" / NAME / CARD
        whole = card.read_text()
        card.write_text(f"lost\n\n{REMARKS}\n\nMost samples are grey.\n\nAnd | odd.\n")
        benchbench.baselines.render()
        assert card.read_text() == f"{whole}\n{REMARKS}\n\nMost samples are grey.\n\nAnd | odd.\n"
        assert benchbench.baselines.render() == []

    def test_remarks_on_the_board_stay(self, shelf: Path) -> None:
        """As those of cards do."""
        board = shelf / "results" / "LEADERBOARD.md"
        whole = board.read_text()
        assert REMARKS not in whole
        board.write_text(f"lost\n\n{REMARKS}\n\nIts order surprises.\n")
        benchbench.baselines.render()
        assert board.read_text() == f"{whole}\n{REMARKS}\n\nIts order surprises.\n"
        board.write_bytes(b"\xff")
        assert "no text in UTF-8" in str(typed("render").exception)

    def test_the_board_says_what_it_is(self, shelf: Path) -> None:
        """Title, date, version, commit, machine, a key of its marks, what the images are, and what is missing. By hand:
        two seeds of one model and two landmarks; digits has 898 images to learn from, under the thousand from which on
        a dataset is no smoke test; a seed of the VAE trains once."""
        board = (shelf / "results" / "LEADERBOARD.md").read_text()
        assert board.startswith("# Published baselines\n")
        for words in (
            "| date | 20",
            f"| version | benchbench {benchbench.__version__}",
            "| commit |",
            "| machine |",
            "| records | 4, of 1 dataset, 1 model and the landmarks noise, real |",
            "hours in 2 trainings, as the clock has it",
            "898 to learn from, 899 held out | a smoke test: ",
            "- digits: none beside vae-mlp: papers learn from MNIST",
        ):
            assert words in board, words
        key = board.split("## Key")[1].split("## ")[0]
        assert all(mark in key for mark in ("**bold**", "†", "‡", "§", "collapsed"))
        assert f"| {NAME} | digits | not yet | not yet |" in board
        assert "fid and kid of 1 of 1 baselines are missing" in board

    def test_a_seed_that_died_is_named(self, shelf: Path) -> None:
        """One that left no record: neither hidden nor a part of any mean."""
        lost = shelf / "results" / "digits" / "vae-mlp" / ("d" * 16)
        lost.mkdir()
        failure = {
            "cell": "d" * 16,
            "dataset": "digits",
            "model": "vae-mlp",
            "seed": 2,
            "reason": "loss is nan | <b>",
        }
        (lost / "failed.json").write_text(json.dumps(failure))
        benchbench.baselines.render()
        board = (shelf / "results" / "LEADERBOARD.md").read_text()
        assert "- vae-mlp on digits, seed 2: failed, loss is nan \\| \\<b\\>" in board

    def test_a_damaged_record_is_one_sentence(self, shelf: Path) -> None:
        """Nothing is rendered from it."""
        (cells(shelf / "results")[0] / "metrics.csv").write_text("x")
        assert typed("render", "--check").exception.__class__ is InputError


class TestScore:
    """`benchbench baselines score`: with a network that is at hand, for one that is not."""

    def test_rows_of_another_network(self, shelf: Path) -> None:
        """A distance on it of the weights that ship and of the real images, each a record of its own without weights;
        the second time nothing is left to do."""
        made = benchbench.baselines.score(extractor="efficientnet_lite0", device="cpu")
        assert len(made) == 2
        rows = load_results("results")
        own = rows[(rows["metric"] == "fd_efficientnet_lite0") & (rows["status"] == "ok")]
        assert sorted(zip(own["model"], own["variant"], strict=True)) == [
            ("real", ""),
            ("vae-mlp", "pretrained"),
        ]
        assert not [
            file for folder in made for file in folder.iterdir() if file.suffix in (".png", ".safetensors")
        ]
        assert not verify_records([Path("results")]).faults
        assert benchbench.baselines.score(extractor="efficientnet_lite0", device="cpu") == []

    def test_a_network_that_is_not_at_hand(self, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sentence says how to get it; nothing is written."""
        monkeypatch.setenv("TORCH_HOME", str(shelf / "nowhere"))
        monkeypatch.delenv("BENCHBENCH_INCEPTION_WEIGHTS", raising=False)
        before = sorted((shelf / "results").rglob("*"))
        error = typed("score", "--extractor", "inception_v3").exception
        assert isinstance(error, InputError)
        assert "benchbench fetch inception_v3" in str(error)
        assert sorted((shelf / "results").rglob("*")) == before
        with pytest.raises(InputError, match="unknown extractor"):
            benchbench.baselines.score(extractor="nosuch")


def test_a_baseline_as_a_model(shelf: Path) -> None:
    """Images of seed 0 beside those that its record keeps, which the weights before they were rounded drew: float16 has
    11 bits, so no grey level of 255 moves by more than a few, and hardly any at all."""
    model = benchbench.baselines.load(NAME, device="cpu")
    images = model.sample(60, ImageRng(0, range(60)))  # type: ignore[operator]
    (kept,) = [
        cell for cell in cells(shelf / "runs") if json.loads((cell / "run.json").read_text())["seed"] == 0
    ]
    drawn = torch.from_numpy(numpy.load(kept / "samples.npz")["images"]).permute(0, 3, 1, 2)
    moved = (images.int() - drawn.int()).abs()
    assert images.shape == drawn.shape
    assert moved.max() <= 3
    assert moved.float().mean() < 0.5
    for name, words in (("vae-digits", "unknown baseline"), ("cnn-digits", "no published record")):
        with pytest.raises(InputError, match=words):
            benchbench.baselines.load(name, device="cpu")


class TestRefused:
    """What is no baseline. Nothing is written."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, checkout: Path) -> Iterator[None]:
        before = sorted(file for name in ("baselines", "results") for file in (checkout / name).rglob("*"))
        yield
        assert (
            sorted(file for name in ("baselines", "results") for file in (checkout / name).rglob("*"))
            == before
        )

    def refused(self, path: Path | str, **options: Any) -> str:
        with pytest.raises(InputError) as caught:
            benchbench.baselines.publish(path, device="cpu", **options)
        return str(caught.value)

    def test_one_that_failed(self, checkout: Path) -> None:
        folder = checkout / "runs" / "digits" / "vae-mlp" / ("e" * 16)
        folder.mkdir()
        (folder / "failed.json").write_text('{"reason": "loss is nan"}')
        assert "loss is nan" in self.refused(folder)

    @pytest.mark.parametrize("name", ["metrics.csv", "curves.csv", "run.json", WEIGHTS])
    def test_a_damaged_one(self, checkout: Path, name: str) -> None:
        folder = cells(checkout / "runs")[0]
        with (folder / name).open("r+b") as file:
            file.truncate((folder / name).stat().st_size // 2)
        assert "what is damaged is not published" in self.refused(folder)

    def test_one_without_weights(self, checkout: Path) -> None:
        for folder in cells(checkout / "runs"):
            (folder / WEIGHTS).unlink()
        assert f"keeps no {WEIGHTS}" in self.refused(cells(checkout / "runs")[0])

    def test_nothing_and_several_models(self, checkout: Path) -> None:
        assert "there is no record" in self.refused("pkg")
        assert "several models" in self.refused("runs")
        assert "no folder" in self.refused("nowhere")

    @pytest.mark.parametrize("name", ["", "vae-digits", "../x", "vae-mlp-digits/", ".", "vae-mlp-cifar10"])
    def test_a_name_that_nobody_would_find(self, checkout: Path, name: str) -> None:
        assert "--pretrained would not find" in self.refused(cells(checkout / "runs")[0], name=name)

    def test_another_recipe(self, checkout: Path) -> None:
        """The recipe was changed after the training: together they are no baseline."""
        (checkout / "baselines" / NAME / "recipe.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 3"))
        assert "epochs=2" in self.refused(cells(checkout / "runs")[0])
        (checkout / "baselines" / NAME / "recipe.toml").write_text(RECIPE)

    def test_too_much_together(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The bound holds for all weights that ship together."""
        monkeypatch.setattr(publishing, "MOST", 390_000)
        said = self.refused(cells(checkout / "runs")[0], exact=True)
        assert "more than 0.4 MiB" in said

    def test_what_cannot_be_scored_again(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("benchbench.runner.again.fingerprint_of", lambda run: run.cell)
        assert "--exact publishes them as they were trained" in self.refused(cells(checkout / "runs")[0])

    def test_weights_that_do_not_give_the_numbers(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A record whose own weights do not reproduce it here, whatever the cause."""
        held = publishing.held_against
        moved = lambda *asked: [Held(own.before, (own.value or 0) + 1e3) for own in held(*asked)]  # noqa: E731
        monkeypatch.setattr(publishing, "held_against", moved)
        assert "do not give its numbers here" in self.refused(cells(checkout / "runs")[0])

    def test_a_pipe_is_no_record(self, checkout: Path) -> None:
        os.mkfifo(checkout / "runs" / "pipe")
        assert self.refused("runs/pipe")


def test_a_model_without_weights_has_numbers_alone(checkout: Path) -> None:
    """A landmark's record goes among the published ones as it was run, and nothing among the baselines. It has no
    weights that could be called anything."""
    before = sorted(checkout.glob("baselines/**/*"))
    (own,) = cells(checkout / "runs", "real")
    named = typed("publish", str(own), "--as", "real-digits")
    assert isinstance(named.exception, InputError)
    assert "no weights that could be called" in str(named.exception)
    assert not (checkout / "results" / "digits").exists()
    done = typed("publish", str(own))
    assert (done.exit_code, "numbers alone" in done.output) == (0, True), done.output
    assert not verify_records([checkout / "results"]).faults
    (placed,) = cells(checkout / "results", "real")
    assert (placed / "metrics.csv").read_text() == (own / "metrics.csv").read_text()
    assert sorted(checkout.glob("baselines/**/*")) == before


def test_exact_weights_stay_what_they_are(checkout: Path) -> None:
    """With --exact: the file of the record, byte by byte, and the record is found by its sha256. No other seed was
    named, so the card says that there is one."""
    folder = cells(checkout / "runs")[1]
    done = typed("publish", str(folder), "--exact")
    assert done.exit_code == 0, done.output
    shipped = checkout / "baselines" / NAME
    assert (shipped / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert rounded_of(shipped / WEIGHTS) is None
    card = (shipped / CARD).read_text()
    assert "as they were trained" in card
    assert "One seed: what another one would give is not known." in card
    assert benchbench.baselines.verify(NAME, device="cpu").exit_code == 0


def test_a_seed_that_left_no_record_is_published_too(checkout: Path) -> None:
    """Beside those that did, with the reason and without the folders of the machine."""
    lost = checkout / "runs" / "digits" / "vae-mlp" / ("d" * 16)
    lost.mkdir()
    facts = {
        "cell": lost.name,
        "dataset": "digits",
        "model": "vae-mlp",
        "seed": 2,
        "reason": f"no room in {checkout}",
    }
    (lost / "failed.json").write_text(json.dumps(facts))
    benchbench.baselines.publish("runs/digits/vae-mlp", exact=True, device="cpu")
    (failed,) = load_failures(checkout / "results").to_dict("records")
    assert (failed["cell"], failed["seed"], failed["reason"]) == (lost.name, 2, "no room in checkout")


def test_the_first_seed_that_lives_ships(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two seeds of which the first collapsed the second, whatever their numbers; where all did, the first."""
    found = publishing.records_to_publish(checkout / "runs" / "digits" / "vae-mlp")
    assert [run.seed for _, run in found] == [0, 1]
    dead = {"collapse": {"step": 3, "words": "few classes"}}
    first = (found[0][0], type(found[0][1]).model_validate({**found[0][1].as_json(), **dead}))
    second = (found[1][0], type(found[1][1]).model_validate({**found[1][1].as_json(), **dead}))
    assert publishing.shipped_one(found)[1].seed == 0
    assert publishing.shipped_one([first, found[1]])[1].seed == 1
    assert publishing.shipped_one([first, second])[1].seed == 0


class TestRounded:
    """float16."""

    def saved(self, folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
        file = folder / "w.safetensors"
        save_file(tensors, file, {METADATA_KEY: '{"config":{"a":1},"model":"m"}'})
        return file

    def test_values_and_metadata(self, tmp_path: Path) -> None:
        """Each float rounded to the nearest half, whole numbers as they are; what the file said of itself stays."""
        x = torch.randn(50, generator=torch.Generator().manual_seed(0))
        file = self.saved(tmp_path, {"x": x, "n": torch.tensor(7), "d": x.double()})
        assert rounded_to_float16(file, tmp_path / "h", Rounded("c" * 16, "s"))
        half = load_file(tmp_path / "h")
        assert torch.equal(half["x"], x.half())
        assert torch.equal(half["d"], x.double().half())
        assert half["n"].dtype == torch.int64
        assert rounded_of(tmp_path / "h") == Rounded("c" * 16, "s")

    @pytest.mark.parametrize("tensor", [torch.tensor([1e5]), torch.tensor([1], dtype=torch.int32)])
    def test_what_is_not_rounded(self, tmp_path: Path, tensor: torch.Tensor) -> None:
        """65,504 is the largest half; whole numbers have no other width."""
        file = self.saved(tmp_path, {"x": tensor})
        assert not rounded_to_float16(file, tmp_path / "h", Rounded("c", "s"))
        assert not (tmp_path / "h").exists()

    @pytest.mark.parametrize("said", [{}, {METADATA_KEY: "["}, {METADATA_KEY: "[]"}])
    def test_files_of_others(self, tmp_path: Path, said: dict[str, str]) -> None:
        save_file({"x": torch.ones(1)}, tmp_path / "w.safetensors", said)
        with pytest.raises(InputError, match="does not say what it was made with"):
            rounded_to_float16(tmp_path / "w.safetensors", tmp_path / "h", Rounded("c", "s"))
        assert rounded_of(tmp_path / "w.safetensors") is None


def test_every_number_of_a_paper_stands_in_its_page() -> None:
    """As `papers.toml` says: the value as the page writes it, and the year of the paper where it names one."""
    assert len(paper_numbers()) >= 10
    for own in paper_numbers():
        page = (REPOSITORY / "docs" / own.page).read_text(encoding="utf-8")
        assert own.value in page, own
        year = next((word.strip(",") for word in own.paper.split() if word.strip(",b").isdecimal()), None)
        assert year is None or year in page, own
    assert [own.value for own in of_papers("dncnn", "bsd68", {"denoise:sigma25", "training"})] == ["29.23"]
    assert of_papers("dncnn", "bsd68", {"denoise:sigma50"}) == []


def test_why_there_is_no_number_of_a_paper() -> None:
    """By hand from `papers.toml`: a reason of a dataset is one for all of its models in the task, a kind of task stands
    for its settings, and none speaks of a model that has a number."""
    assert "MNIST" in why_without("dcgan", "digits", {"generation", "training"})
    assert why_without("dcgan", "digits", {"classification"}) == ""
    assert "holes" in why_without("partial-conv", "set12", {"inpaint:strokes-1-10"})
    assert why_without("biharmonic", "set12", {"inpaint:strokes"}) == ""
    assert "x4 alone" in why_without("srgan", "set5", {"super-resolution:x2"})
    assert why_without("srgan", "set5", {"super-resolution:x4"}) == ""
    for own in paper_numbers():
        assert why_without(own.model, own.dataset, {own.task}) == "", own


def test_two_at_once_leave_one_whole_baseline(checkout: Path) -> None:
    """Two processes publish two seeds under one name, ten times: the weights that lie there in the end fit their
    checksum and belong to a record, and who came too late was told so."""
    code = (
        "import sys, benchbench; benchbench.__file__ = sys.argv[1]\n"
        "from benchbench.core.errors import InputError\n"
        "for _ in range(10):\n"
        "    try: benchbench.baselines.publish(sys.argv[2], exact=True, device='cpu')\n"
        "    except InputError as error: assert 'is being published by' in str(error), error\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, benchbench.__file__ or "", str(folder)])
        for folder in cells(checkout / "runs")
    ]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    shipped = Shipped(checkout / "baselines" / NAME)
    shipped.checked()
    assert record_of(shipped, list(records(checkout / "results"))) is not None
    assert {file.name for file in shipped.folder.iterdir()} == {"recipe.toml", WEIGHTS, CHECKSUM, CARD}


def test_one_training_behind_several_records(published: Path) -> None:
    """The same weights scored with other metrics, drawn otherwise, or loaded again: the record is that of the recipe,
    and of several such the first by its key, whatever the order in which they are met."""
    shipped = Shipped(published / "baselines" / NAME)
    own = next(found for found in records(published / "results") if found[1].model == "vae-mlp")
    sha256 = shipped.sha256

    def like(**other: Any) -> Any:
        files = {"metrics.csv": "0", WEIGHTS: sha256}
        told = {**own[1].as_json(), "artefacts": [], "files": files, **other}
        return own[0], type(own[1]).model_validate(told)

    drawn, first, second = like(cell="a" * 16, variant="steps=3"), like(cell="b" * 16), like(cell="c" * 16)
    loaded = like(cell="0" * 16, weights_loaded_sha256=sha256)
    for found in ([drawn, second, first, loaded], [loaded, first, drawn, second]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("benchbench.runner.baselines.records.rounded_of", lambda weights: None)
            assert record_of(shipped, found) == first


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ("digits/vae", "vae-digits"),
        ("set5/edsr", "edsr-x2"),
        ("bsd68/dncnn", "dncnn-sigma25"),
        ("bsd68/dncnn-b", "dncnn-b"),
        ("set12/partial-conv", "partial-conv"),
    ],
)
def test_the_name_under_which_pretrained_looks(record: str, name: str) -> None:
    """Expected: where the weights of these published records lie; a network that learned noise of all strengths, or
    holes of all kinds, ships for all of them."""
    (folder, run), *_ = records(Path(__file__).parents[2] / "results" / record)
    assert publishing.name_for(run, [row.task for row in rows_of(folder, run)], None) == name
    assert (Path(__file__).parents[2] / "baselines" / name / WEIGHTS).is_file()
