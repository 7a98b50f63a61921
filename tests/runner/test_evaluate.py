"""`benchbench.evaluate` on tiny images through the bundled network: the numbers, what they may depend on, the
record, and every way to ask for something impossible."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.images import quantize
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.features.extract import extract
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.models.build import build_model
from benchbench.results.claims.conditions import check_comparable
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.results.record import COLUMNS
from benchbench.runner.evaluate import Evaluated, evaluate_images
from benchbench.runner.run import run_cells
from benchbench.runner.sources import InMemory, named
from benchbench.runner.spec import EvaluationSpec, StatisticsSpec
from benchbench.runner.statistics import Prepared, prepare_reference
from benchbench.tasks.generation import generate

LITE = "efficientnet_lite0"
SETS = ["fd", "is", "kd", "precision", "recall", "density", "coverage", "vendi"]


def pictures(n: int, seed: int = 0, side: int = 16) -> Tensor:
    """Seeded uint8 N×3×side×side: noise around a colour of each image's own, so that they differ in content."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (n, 3, 1, 1))
    noisy = colours + rng.integers(-40, 41, (n, 3, side, side))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8))


SAMPLES, REAL = pictures(24, 1), pictures(32, 2)


def write_folder(folder: Path, images: Tensor) -> Path:
    """Images as 000.png, 001.png, … in reverse order of time."""
    folder.mkdir(parents=True)
    for i in reversed(range(len(images))):
        Image.fromarray(images[i].permute(1, 2, 0).numpy()).save(folder / f"{i:03}.png")
    return folder


def evaluated(images: Any, against: Any, metrics: Any = ("fd",), **options: Any) -> Evaluated:
    """`evaluate_images` on the CPU, with the options of the spec beside `out` and `batch_size`."""
    out, runtime = options.pop("out", None), Runtime(batch_size=options.pop("batch_size", None))
    spec = EvaluationSpec.of(images=named(images), reference=named(against), metrics=metrics, **options)
    return evaluate_images(spec, out, runtime, InMemory.of(images, against))


def prepared(spec: Path, out: Path | None = None) -> Prepared:
    """`prepare_reference` on the CPU."""
    return prepare_reference(StatisticsSpec(reference=str(spec)), out, Runtime())


def values(frame: pd.DataFrame) -> pd.Series:
    return frame.set_index("metric")["value"].astype(float)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of the network was shown."""
    calls: list[int] = []
    forward = EfficientNetLite0.__call__

    def counted(self: EfficientNetLite0, images: Tensor) -> Any:
        calls.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(EfficientNetLite0, "__call__", counted)
    return calls


@pytest.mark.costly
@pytest.mark.usefixtures("own_cache")
def test_numbers_are_those_of_the_pure_functions() -> None:
    """Each equals the public function on features extracted beforehand, against as many reference images as its
    row says: all 32, or 24 as there are samples, chosen by the seed. The same network in the same batches, so to
    1e-9; the cache is empty, as another test may have read the same images in other batches."""
    frame = benchbench.evaluate(SAMPLES, REAL, SETS, device="cpu")
    assert (frame["status"] == "ok").all()
    rows = frame.set_index("metric")
    judge = EfficientNetLite0("cpu")
    x, y = (extract(images, judge, need_features=True, need_logits=True) for images in (SAMPLES, REAL))
    assert x.features is not None
    assert y.features is not None
    assert x.logits is not None
    real = {32: y.features, 24: y.features[permutation(0, 32)[:24]]}
    a, b = x.moments, y.moments
    expected = {
        f"fd_{LITE}": benchbench.frechet_distance(a.mean, a.covariance, b.mean, b.covariance),
        f"kd_{LITE}": benchbench.kernel_distance(
            x.features, real[rows.loc[f"kd_{LITE}", "n_reference"]]
        ).value,
        f"is_{LITE}": benchbench.inception_score(x.logits).value,
        f"vendi_{LITE}": benchbench.vendi_score(x.features),
    }
    expected |= {f"{name}_{LITE}": v for name, v in benchbench.prdc(real[24], x.features).items()}
    for name, value in expected.items():
        assert rows.loc[name, "value"] == pytest.approx(value, rel=1e-9), name
    assert (rows["n_images"] == 24).all()
    assert rows.loc[f"fd_{LITE}", "n_reference"] == 32
    assert rows.loc[f"precision_{LITE}", "n_reference"] == 24
    assert pd.isna(rows.loc[f"is_{LITE}", "n_reference"])


@pytest.mark.costly
def test_the_container_and_the_batch_size_change_nothing(tmp_path: Path) -> None:
    """The same images as a tensor, a list of uneven tensors, an iterator, a folder, a zip, an .npz and in other
    batches: one fingerprint, by its definition, and the same numbers to 1e-6 (the network's float32 sums may
    differ in their last bits with the number of images in a batch; 1e-7 for a kernel distance near 0)."""
    folder = write_folder(tmp_path / "made", SAMPLES)
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for file in sorted(folder.iterdir(), reverse=True):
            archive.write(file, f"inner/{file.name}")
    np.savez(tmp_path / "made.npz", arr_0=SAMPLES.permute(0, 2, 3, 1).numpy())
    pieces = list(SAMPLES.split([1, 10, 13]))
    sources: list[tuple[Any, dict[str, Any]]] = [
        (SAMPLES, {}),
        (SAMPLES, {"batch_size": 5}),
        (pieces, {}),
        (iter(pieces), {"samples": 24}),
        (folder, {}),
        (str(tmp_path / "made.zip"), {}),
        (tmp_path / "made.npz", {"batch_size": 1}),
    ]
    frames = []
    for i, (images, options) in enumerate(sources):
        found = evaluated(images, REAL, SETS, out=tmp_path / str(i), **options)
        assert found.path is not None
        run = read_run_json(found.path / "run.json")
        assert run["samples"]["fingerprint"] == fingerprint(SAMPLES)
        frames.append(values(found.rows))
    for frame in frames[1:]:
        pd.testing.assert_series_equal(frame, frames[0], rtol=1e-6, atol=1e-7)


@pytest.mark.costly
def test_each_image_goes_through_the_network_once(seen: list[int]) -> None:
    """All metrics at once: 24 + 32 images pass. The same reference again: 24 only, the rest is in the cache."""
    reference = pictures(32, 77)
    evaluated(SAMPLES, reference, ["all", "mse"], extractors=LITE, samples=24)
    assert sum(seen) == 24 + 32
    seen.clear()
    evaluated(SAMPLES, reference, SETS)
    assert sum(seen) == 24


def test_a_reference_that_nothing_reads_is_not_shown_to_the_network(seen: list[int]) -> None:
    """The Vendi score and the Inception Score look at the samples alone."""
    evaluated(SAMPLES, pictures(32, 78), ["is", "vendi"])
    assert sum(seen) == 24


@pytest.mark.costly
def test_the_record_is_whole_and_answers_the_second_call(tmp_path: Path, seen: list[int]) -> None:
    """Files and fields as `run` leaves them. The same call shows the network nothing; without `out` the same rows
    come back, less what only a record states, and nothing is written."""
    folder = write_folder(tmp_path / "mine", SAMPLES)
    out = tmp_path / "results"
    first = evaluated(folder, REAL, ["fd", "kd"], out=out)
    assert first.path is not None
    assert not first.cached
    assert first.path.parts[-3:-1] == ("reference", "folder-mine")
    assert sorted(file.name for file in first.path.iterdir()) == ["metrics.csv", "run.json", "samples.png"]
    run = read_run_json(first.path / "run.json")
    assert (run["data"]["n"], run["data"]["fingerprint"]) == (32, fingerprint(REAL))
    assert run["samples"]["size"] == run["data"]["size"] == "16×16"
    assert run["extractors"][LITE]["weights_sha256"] == EfficientNetLite0("cpu").weights_sha256
    seen.clear()
    again = evaluated(folder, REAL, ["kd", "fd"], out=out)
    assert again.cached
    assert again.path == first.path
    assert seen == []
    pd.testing.assert_frame_equal(benchbench.load_results(out), again.rows)
    loose = benchbench.evaluate(folder, REAL, ["fd", "kd"], device="cpu")
    pd.testing.assert_frame_equal(loose, first.rows[list(COLUMNS)])
    assert len(list(out.rglob("run.json"))) == 1


@pytest.mark.costly
def test_what_changes_the_record(tmp_path: Path) -> None:
    """A changed pixel on either side, another order, metric, seed, name or number of samples: a record of its
    own, all loaded side by side."""
    changed, other = SAMPLES.clone(), REAL.clone()
    changed[3, 0, 0, 0] ^= 1
    other[3, 0, 0, 0] ^= 1
    asked: list[tuple[Tensor, Tensor, dict[str, Any]]] = [
        (SAMPLES, REAL, {}),
        (changed, REAL, {}),
        (SAMPLES, other, {}),
        (SAMPLES.flip(0), REAL, {}),
        (SAMPLES, REAL, {"metrics": "kd"}),
        (SAMPLES, REAL, {"seed": 1}),
        (SAMPLES, REAL, {"name": "mine"}),
        (SAMPLES, REAL, {"samples": 23}),
    ]
    paths = {evaluated(x, y, out=tmp_path, **options).path for x, y, options in asked}
    assert len(paths) == len(asked)
    assert benchbench.load_results(tmp_path)["cell"].nunique() == len(asked)


@pytest.mark.costly
def test_a_name_is_in_the_rows_and_the_source_in_the_folder(tmp_path: Path) -> None:
    """Two folders of one last name, `a/samples` and `b/samples`: as they come their rows share a label, under names
    they do not, and seeds are replicates. run.json tells them apart by their images; the place in the store stays that
    of the source, and the record answers to its name alone."""
    folders = [write_folder(tmp_path / x / "samples", pictures(8, seed)) for x, seed in (("a", 1), ("b", 2))]
    out = tmp_path / "out"
    asked: list[tuple[Path, dict[str, Any]]] = [
        (folders[0], {}),
        (folders[0], {"name": "MyDDPM"}),
        (folders[1], {"name": "MyDDPM", "seed": 1}),
        (folders[1], {"name": "Other"}),
    ]
    paths = [evaluated(folder, REAL, out=out, **options).path for folder, options in asked]
    assert {path.parent.name for path in paths if path} == {"folder-samples"}
    runs = [read_run_json(path / "run.json") for path in paths if path]
    assert [run["name"] for run in runs] == [None, "MyDDPM", "MyDDPM", "Other"]
    prints = [fingerprint(pictures(8, seed))[:8] for seed in (1, 1, 2, 2)]
    assert [run["settings"] for run in runs] == [{"images": x, "source": "folder-samples"} for x in prints]
    frames = [load_results(path) for path in paths if path]
    assert [set(frame["model"]) for frame in frames] == [
        {"folder-samples"},
        {"MyDDPM"},
        {"MyDDPM"},
        {"Other"},
    ]
    assert [set(frame["seed"]) for frame in frames] == [{0}, {0}, {1}, {0}]
    assert all(set(frame["variant"]) == {""} for frame in frames)
    again = evaluated(folders[0], REAL, out=out, name="MyDDPM")
    assert (again.path, again.cached) == (paths[1], True)
    with pytest.raises(InputError, match="comma or an equals sign"):
        evaluated(folders[0], REAL, name="a=b")


@pytest.mark.costly
def test_the_record_states_what_one_of_run_states(tmp_path: Path) -> None:
    """Against a dataset: what any record says of itself, under the names that `run` uses; fields of training are no
    part of it. The notes of both sides are among those on the data."""
    out, options = tmp_path / "out", {"metrics": ["mse"], "samples": 8, "device": "cpu"}
    ((path, _),) = run_cells("noise", "ring8", out=out, **options)
    theirs = read_run_json(path / "run.json")
    found = evaluated(SAMPLES, "ring8", ["modes"], out=out)
    assert found.path is not None
    ours = read_run_json(found.path / "run.json")
    of_models = {
        "recipe", "config", "sampling", "code_hash", "training_key", "weights_loaded_sha256", "selected_on", "protocol",
        "classes",
        "duplicates_among_real", "monitor", "collapse", "training",
    }  # fmt: skip
    assert theirs.keys() - ours.keys() == of_models
    assert theirs["data"].keys() <= ours["data"].keys()
    for name in ("fingerprint", "size", "train", "held_out"):
        assert ours["data"][name] == theirs["data"][name]
    assert ours["machine"].keys() == theirs["machine"].keys()
    assert (ours["control"], ours["status"], ours["name"]) == (False, "finished", None)
    assert ours["data"]["notes"] == found.notes
    assert any("each network resizes both" in note for note in found.notes)


def test_notes_of_an_older_record_are_found(tmp_path: Path) -> None:
    """Records once had their notes beside `data`: such a record still answers, with its notes."""
    first = evaluated(SAMPLES, REAL, samples=8, out=tmp_path)
    assert first.path is not None
    file = first.path / "run.json"
    run = read_run_json(file)
    run["notes"] = run["data"].pop("notes")
    del run["content_sha256"]  # nor were they sealed
    file.write_text(json.dumps(run))
    again = evaluated(SAMPLES, REAL, samples=8, out=tmp_path)
    assert again.cached
    assert again.notes == ["images: the first 8 of 24 images"]


class TestHeadline:
    def test_a_dataset_is_judged_by_its_own(self) -> None:
        """Where nobody says by what: the judge of the dataset, which brings its classes along, and no general network
        on points."""
        rows = evaluated(SAMPLES, "ring8", "standard").rows.set_index("metric")
        assert list(rows.index[rows["headline"]]) == ["fd_modes_ring8"]
        assert {"modes_ring8", "class_kl_modes_ring8", "high_quality_modes_ring8"} <= set(rows.index)
        assert "conditional_accuracy_modes_ring8" not in rows.index
        assert set(rows["extractor"]) == {"modes_ring8"}

    @pytest.mark.costly
    def test_other_references(self) -> None:
        """The first extractor asked for; of pairs the first of psnr, ssim, mse; of both one each."""
        for extractors, leads in (
            (None, f"fd_{LITE}"),
            ([LITE, "cnn_digits"], f"fd_{LITE}"),
            (["cnn_digits", LITE], "fd_cnn_digits"),
        ):
            rows = evaluated(SAMPLES, REAL, ["fd", "kd"], extractors=extractors).rows
            assert list(rows.loc[rows["headline"], "metric"]) == [leads]
        rows = evaluated(REAL, 255 - REAL, "mse,ssim,fd").rows
        assert set(rows.loc[rows["headline"], "metric"]) == {"ssim", f"fd_{LITE}"}


@pytest.mark.costly
def test_a_training_split_stands_beside_the_runs_on_it(tmp_path: Path) -> None:
    """The images that the `real` control draws, scored as a tensor: the same board as its run (dataset, task,
    protocol and data fingerprint, so the two compare) and the same numbers, to the 1e-9 of sums in other
    batches."""
    spec = f"folder:{write_folder(tmp_path / 'data', pictures(40, 9))}"
    benchbench.run("real", spec, samples=18, metrics=["fd", "recall"], device="cpu", out=tmp_path / "run")
    data = load_dataset(spec)
    control: Any = build_model("real", {}, data.spec)
    control.fit(data.train.images, data.held_out.images)
    drawn = torch.cat(list(generate(control, range(18), seed=0)))
    ours = evaluated(drawn, f"{spec}:train", ["fd", "recall"], out=tmp_path / "ours")
    names = [f"fd_{LITE}", f"recall_{LITE}"]
    theirs = values(benchbench.load_results(tmp_path / "run"))
    assert values(ours.rows)[names].tolist() == pytest.approx(theirs[names].tolist(), rel=1e-9)
    tables = [load_results(tmp_path / x) for x in ("run", "ours")]
    assert check_comparable(*tables) == [("folder-data", "generation", "", name) for name in names]


class TestStatistics:
    @pytest.mark.costly
    def test_ours_give_the_distance_of_the_images(self, tmp_path: Path) -> None:
        """FD from the moments in the file is FD from the images (32 < 1280 dimensions: two different formulas
        for singular covariances, which agree to 1e-6). Metrics that need more say so; the Inception Score does not
        look at the reference. Name, count and fingerprint are those of the images."""
        real = write_folder(tmp_path / "real", REAL)
        done = prepared(real, tmp_path / "real.npz")
        assert (done.name, done.n) == ("folder-real", 32)
        metrics = ["fd", "is", "kd", "coverage"]
        by_file = evaluated(SAMPLES, tmp_path / "real.npz", metrics, out=tmp_path / "a")
        by_images = evaluated(SAMPLES, real, metrics, out=tmp_path / "b")
        name = f"fd_{LITE}"
        assert values(by_file.rows)[name] == pytest.approx(values(by_images.rows)[name], rel=1e-6)
        rows = by_file.rows.set_index("metric")
        assert rows.loc[name, "n_reference"] == 32
        assert rows.loc[name, "interval"].startswith("95% delta, reference taken as exact")
        assert rows.loc[f"is_{LITE}", "status"] == "ok"
        for failed in ("kd", "coverage"):
            assert rows.loc[f"{failed}_{LITE}", "status"] == "failed"
            assert "this needs its images" in rows.loc[f"{failed}_{LITE}", "reason"]
        assert by_file.path is not None
        assert by_images.path is not None
        assert by_file.path.parts[-3] == by_images.path.parts[-3] == "folder-real"
        runs = [read_run_json(path / "run.json")["data"] for path in (by_file.path, by_images.path)]
        assert runs[0]["fingerprint"] == runs[1]["fingerprint"] == fingerprint(REAL)
        assert not runs[0]["imported"]

    @pytest.mark.costly
    def test_stats_fill_the_cache(self, tmp_path: Path, seen: list[int]) -> None:
        """After `stats` an evaluation does not show the reference to the network, whatever it needs of it."""
        real = write_folder(tmp_path / "real", pictures(32, 79))
        prepared(real)
        assert sum(seen) == 32
        seen.clear()
        evaluated(SAMPLES, real, ["fd", "kd", "coverage"])
        assert sum(seen) == 24

    @pytest.mark.costly
    def test_foreign_ones_are_marked_as_imported(self, tmp_path: Path) -> None:
        """pytorch-fid's layout, made with NumPy: the same distance to 1e-6 (float64 throughout, singular
        covariances as above), nothing claimed about the number of images, and a note."""
        rows = extract(REAL, EfficientNetLite0("cpu"), need_features=True, need_logits=False).features
        assert rows is not None
        x = rows.double().numpy()
        np.savez(tmp_path / "theirs.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
        found = evaluated(SAMPLES, tmp_path / "theirs.npz", extractors=LITE, out=tmp_path / "out")
        expected = values(benchbench.evaluate(SAMPLES, REAL, ["fd"], device="cpu"))
        assert values(found.rows)[f"fd_{LITE}"] == pytest.approx(expected[f"fd_{LITE}"], rel=1e-6)
        assert pd.isna(found.rows["n_reference"]).all()
        assert any("theirs.npz is imported" in note for note in found.notes)
        assert found.path is not None
        data = read_run_json(found.path / "run.json")["data"]
        assert data["imported"]
        assert data["n"] is None
        assert data["fingerprint"] == data["statistics_sha256"]

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"extractors": LITE}, f"2048-dimensional features but {LITE} makes 1280"),
            ({"metrics": "mse"}, "metrics on pairs need its images"),
        ],
    )
    def test_what_they_cannot_do(self, tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
        """Inception's 2048 dimensions are not EfficientNet's 1280; and statistics hold no partners."""
        np.savez(tmp_path / "fid.npz", mu=np.zeros(2048), sigma=np.eye(2048))
        with pytest.raises(InputError, match=sentence):
            evaluated(SAMPLES, tmp_path / "fid.npz", **options)

    def test_nothing_to_make_them_from(self, tmp_path: Path) -> None:
        """One image has no covariance; statistics are no images; and they go into an .npz."""
        one = write_folder(tmp_path / "one", REAL[:1])
        np.savez(tmp_path / "made.npz", mu=np.zeros(5), sigma=np.eye(5))
        for spec, out, sentence in (
            (one, None, "holds 1 image; statistics need at least 2"),
            (tmp_path / "made.npz", None, "holds statistics already"),
            (one, tmp_path / "x.txt", r"must end in \.npz"),
        ):
            with pytest.raises(InputError, match=sentence):
                prepared(spec, out)


class TestPairs:
    def test_numbers_are_the_means_of_the_pure_functions(self, tmp_path: Path, seen: list[int]) -> None:
        """Partners by name, whatever the order of writing; means of the values the public functions give, to 1e-12
        (float64). The Fréchet distance comes from the same pass."""
        noisy = (
            REAL.int() + torch.randint(-9, 10, REAL.shape, generator=torch.Generator().manual_seed(5))
        ).clamp(0, 255)
        noisy = noisy.to(torch.uint8)
        restored, originals = write_folder(tmp_path / "a", noisy), write_folder(tmp_path / "b", REAL)
        frame = evaluated(restored, originals, "ssim,psnr,fd", batch_size=7).rows
        found = values(frame)
        assert found["ssim"] == pytest.approx(float(benchbench.ssim(noisy, REAL).mean()), rel=1e-12)
        assert found["psnr"] == pytest.approx(float(benchbench.psnr(noisy, REAL).mean()), rel=1e-12)
        assert f"fd_{LITE}" in found.index
        rows = frame.set_index("metric")
        assert rows.loc["ssim", "task"] == "paired"
        assert rows.loc["ssim", "n_images"] == 32

    def test_the_sets_leave_them_out(self) -> None:
        """Two sets of images are no pairs unless somebody says so."""
        frame = benchbench.evaluate(SAMPLES, REAL, "standard", device="cpu")
        assert not frame["metric"].isin(["ssim", "psnr", "mse"]).any()
        assert len(frame) >= 7

    def test_the_first_samples_meet_the_first_references(self, tmp_path: Path) -> None:
        """--samples 5 on pairs: the mean over the first five pairs."""
        worse = 255 - REAL
        frame = evaluated(worse, REAL, "mse", samples=5).rows
        assert values(frame)["mse"] == pytest.approx(
            float(((worse[:5].double() - REAL[:5]) ** 2).mean()) / 255**2
        )

    @pytest.mark.parametrize(
        ("images", "sentence"),
        [
            (REAL[:31], "images has 31 images but reference has 32"),
            (pictures(32, 3, side=12), "images has images of 12×12 but reference of 16×16"),
        ],
    )
    def test_what_has_no_partner(self, images: Tensor, sentence: str) -> None:
        """A missing partner and one of another size are refused, not skipped or resized."""
        with pytest.raises(InputError, match=sentence):
            evaluated(images, REAL, "mse")


class TestNotes:
    @pytest.mark.costly
    @pytest.mark.usefixtures("own_cache")
    def test_the_same_images(self) -> None:
        """Exactly 0 for identical sets, which is worth a word; in another order they are the same images too. Nobody
        has cached the reference: features of another batch size differ in their last digits."""
        found = evaluated(REAL, REAL)
        assert values(found.rows)[f"fd_{LITE}"] == 0
        assert found.notes == ["samples and reference are the same images"]
        assert evaluated(REAL.flip(0), REAL).notes == found.notes

    def test_copies(self) -> None:
        """3 of 24 samples are in the reference."""
        frame = benchbench.evaluate(torch.cat([SAMPLES[:21], REAL[4:7]]), REAL, "fd", device="cpu")
        assert frame.attrs["notes"] == ["3 of 24 samples are, pixel by pixel, images of the reference"]

    def test_another_size(self) -> None:
        """Allowed for sets, for the network resizes both; noted."""
        notes = evaluated(pictures(8, 3, side=12), REAL).notes
        assert notes == ["samples are 12×12 and the reference is 16×16; each network resizes both"]

    def test_size_brings_both_sides_to_one(self, tmp_path: Path) -> None:
        """12 and 16 pixels, both to 8: no note on sizes, but one a side on the resizing."""
        small = write_folder(tmp_path / "a", pictures(8, 3, side=12))
        large = write_folder(tmp_path / "b", REAL)
        notes = evaluated(small, large, size=8).notes
        assert [note.split(":")[0] for note in notes] == ["folder-a", "folder-b"]
        assert all("resized" in note for note in notes)

    def test_the_first_so_many(self) -> None:
        """The first 8 in their order are the same as those 8 alone, but for the note."""
        cut, alone = evaluated(SAMPLES, REAL, samples=8), evaluated(SAMPLES[:8], REAL)
        assert values(cut.rows).tolist() == values(alone.rows).tolist()
        assert cut.notes == ["images: the first 8 of 24 images"]
        assert alone.notes == []


def test_three_images_fail_what_needs_more(tmp_path: Path) -> None:
    """k = 5 neighbours of 3 images do not exist, nor 10 splits; the distances do. No NaN anywhere."""
    frame = evaluated(write_folder(tmp_path / "three", SAMPLES[:3]), REAL, SETS).rows.set_index("metric")
    failed = {f"{name}_{LITE}" for name in ("is", "precision", "recall", "density", "coverage")}
    assert set(frame.index[frame["status"] == "failed"]) == failed
    assert frame.loc[list(failed), "reason"].str.len().gt(10).all()
    assert np.isfinite(frame.loc[frame["status"] == "ok", "value"].astype(float)).all()


@pytest.mark.costly
def test_all_identical_images() -> None:
    """One picture 24 times: every metric gives a finite number or a reason, never NaN. Known exactly: the Vendi
    score of equal images is 1 (Friedman & Dieng 2023), the Inception Score too, and nothing is recalled."""
    frame = evaluated(SAMPLES[:1].expand(24, 3, 16, 16), REAL, "all", extractors=LITE).rows.set_index(
        "metric"
    )
    ok = frame[frame["status"] == "ok"]
    assert np.isfinite(ok["value"].astype(float)).all()
    assert frame.loc[frame["status"] != "ok", "reason"].str.len().gt(10).all()
    assert ok.loc[f"vendi_{LITE}", "value"] == pytest.approx(1, abs=1e-6)
    assert ok.loc[f"is_{LITE}", "value"] == pytest.approx(1, abs=1e-5)
    assert ok.loc[f"recall_{LITE}", "value"] == 0


@pytest.mark.costly
def test_a_generator(tmp_path: Path) -> None:
    """A TorchScript generator: the images of tanh(latents), made here from the definition of the latents, give
    the same numbers (1e-6) and the same fingerprint; the record names the file by its sha256. The kind may stand before
    the path."""

    class Toy(torch.nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.tanh(z).reshape(-1, 3, 8, 8)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Toy(), torch.zeros(2, 192)).save(str(tmp_path / "toy.ts"))  # type: ignore[no-untyped-call]
    options = {"kind": "torchscript", "latent": 192, "samples": 10, "seed": 3, "allow_pickle": True}
    found = evaluated(tmp_path / "toy.ts", REAL, out=tmp_path / "out", **options)
    made = quantize(torch.tanh(ImageRng(3, range(10)).normal(192)).reshape(-1, 3, 8, 8))
    expected = evaluated(made, REAL)
    assert values(found.rows)[f"fd_{LITE}"] == pytest.approx(values(expected.rows)[f"fd_{LITE}"], rel=1e-6)
    assert found.path is not None
    samples = read_run_json(found.path / "run.json")["samples"]
    assert samples["fingerprint"] == fingerprint(made)
    assert samples["generator_sha256"] == file_sha256(tmp_path / "toy.ts")
    assert evaluated(tmp_path / "toy.ts", REAL, out=tmp_path / "out", **options).cached
    del options["kind"]
    assert evaluated(f"torchscript:{tmp_path}/toy.ts", REAL, out=tmp_path / "out", **options).cached


NOT_A_NUMBER = SAMPLES.float().div(127.5).sub(1)
NOT_A_NUMBER[2, 0, 0, 0] = torch.nan


@pytest.mark.costly
@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (NOT_A_NUMBER, {}, "images must be uint8 in 0..255 but is float32, and holds NaN"),
        (SAMPLES.float() / 255, {}, r"seems to be in \[0, 1\]"),
        (SAMPLES.float() / 127.5 - 1, {}, r"seems to be in \[-1, 1\]"),
        (SAMPLES.short(), {}, "images must be uint8 in 0..255 but are int16"),
        (SAMPLES[:, :1], {}, "N×3×H×W"),
        (SAMPLES[0], {}, "N×3×H×W"),
        ([SAMPLES, pictures(2, side=12)], {}, "images differ in size: .* is 16×16 but .* is 12×12"),
        ([], {}, "images holds no images"),
        (SAMPLES[:0], {}, "images holds no images"),
        (SAMPLES[:1], {}, "images holds 1 image; a distribution needs at least 2"),
        (SAMPLES, {"samples": 1}, "images holds 1 image; a distribution needs at least 2"),
        (SAMPLES, {"samples": 0}, "samples=0: input should be greater than or equal to 1"),
        (SAMPLES, {"samples": 25}, "images holds 24 images, fewer than the 25 asked for"),
        (iter([SAMPLES]), {}, "pass samples=N"),
        (iter([SAMPLES]), {"samples": 30}, "was said to hold 30 images but holds 24"),
        (SAMPLES.numpy(), {}, "images are a ndarray; give a uint8 tensor"),
        (SAMPLES, {"size": 8}, "a size is for files and datasets"),
        (SAMPLES, {"metrics": "fud"}, "did you mean 'fd'"),
        (SAMPLES, {"extractors": "efficientnet"}, f"did you mean '{LITE}'"),
        (SAMPLES, {"device": "cuda:77"}, "'cuda:77' is not there"),
        ("nowhere", {}, "unknown dataset 'nowhere'"),
        ("digits", {"latent": 3}, "--latent, --samples and --classes are for a generator"),
    ],
)
def test_bad_images_are_one_sentence(tmp_path: Path, images: Any, options: Any, sentence: str) -> None:
    """Each says what is wrong and the way out, and nothing is written."""
    with pytest.raises(InputError, match=sentence):
        benchbench.evaluate(
            images, REAL, **{"metrics": "fd", "device": "cpu", "out": tmp_path / "out", **options}
        )
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (REAL[:1], r"the reference \(reference\) holds 1 image"),
        (
            iter([REAL]),
            "reference come from a .*, whose end nobody sees|the reference is read more than once",
        ),
        (REAL.float(), "reference must be uint8"),
        ("digitz", "unknown dataset 'digitz'; did you mean 'digits'"),
        ("digits:trian", "did you mean 'train'"),
    ],
)
def test_a_bad_reference_is_one_sentence(reference: Any, sentence: str) -> None:
    """The other side is judged as strictly, and named."""
    with pytest.raises(InputError, match=sentence):
        evaluated(SAMPLES, reference)


@pytest.mark.parametrize(
    ("named_images", "held", "sentence"),
    [
        (None, InMemory(reference=REAL), "images are neither named nor in memory"),
        ("samples", InMemory(SAMPLES, REAL), r"images are named \(samples\) and in memory too"),
    ],
)
def test_each_side_is_given_once(named_images: str | None, held: InMemory, sentence: str) -> None:
    """By its name in the request or in memory beside it: neither and both are refused before anything is opened."""
    spec = EvaluationSpec(images=named_images, reference=None, metrics=("fd",))
    with pytest.raises(InputError, match=sentence):
        evaluate_images(spec, None, Runtime(), held)


def test_a_request_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    """What names and words alone tell: no reference is opened and no folder for records is there."""
    for options in ({"metrics": "fud"}, {"metrics": []}, {"name": "a,b"}, {"extractors": ""}):
        with pytest.raises(InputError):
            evaluated("nowhere", "nowhere either", out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_evaluation_leaves_nothing(tmp_path: Path) -> None:
    """An iterator that breaks after 8 images: its error comes through, and there is no record."""

    def broken() -> Iterator[Tensor]:
        yield SAMPLES[:8]
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        evaluated(broken(), REAL, samples=24, out=tmp_path)
    assert not list(tmp_path.rglob("*.csv"))


def test_progress_is_silent_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    """A library prints nothing unless asked."""
    evaluated(SAMPLES, REAL)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("option", [{"kind": "folder"}, {"latent": 4}, {"classes": 3}])
def test_what_only_files_can_be_asked_for(option: dict[str, Any]) -> None:
    """Beside tensors it would be ignored: it is refused by its name."""
    with pytest.raises(InputError, match=f"{next(iter(option))} is for images that a text names"):
        benchbench.evaluate(SAMPLES, REAL, ["fd"], device="cpu", **option)
