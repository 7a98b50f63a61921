"""`benchbench evaluate` and `benchbench stats` as a user meets them: two streams, an exit code, a record."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import benchbench
from benchbench.cli import main

LITE = "efficientnet_lite0"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The console script in a folder of its own, in this process: torch is imported once."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        assert isinstance(stop.value.code, int)
        return Done(stop.value.code, done.out, done.err)

    return call


def pictures(n: int, seed: int = 0, side: int = 16) -> np.ndarray:
    """Seeded uint8 n×side×side×3."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        (folder / f"{i:03}.png").write_bytes(png(image))


@pytest.fixture(autouse=True)
def _real(tmp_path: Path) -> None:
    write(tmp_path / "real", pictures(12, 1))


@pytest.mark.costly
def test_a_table_and_where_the_record_is(run: Run, tmp_path: Path) -> None:
    """Data on stdout, progress and notes on stderr; the path on the last line is a record; the second call
    answers from it. Grey and RGBA files are converted, and the notes say how many."""
    write(tmp_path / "made", pictures(6, 2))
    Image.fromarray(pictures(1)[0, :, :, 0]).save(tmp_path / "made" / "grey.png")
    Image.fromarray(np.dstack([pictures(1)[0], pictures(1)[0, :, :, :1]])).save(
        tmp_path / "made" / "rgba.png"
    )
    arguments = ["evaluate", "made", "--reference", "real/", "--metrics", "fd,kd", "--device", "cpu"]
    done = run(*arguments)
    assert done.code == 0
    assert f"fd_{LITE}" in done.out
    last = done.out.splitlines()[-1]
    assert last.startswith("record: runs/folder-real/folder-made/")
    record = tmp_path / last.removeprefix("record: ")
    assert {file.name for file in record.iterdir()} == {"metrics.csv", "run.json", "samples.png"}
    assert "scoring folder-made" in done.err
    assert "note: folder-made: 1 of 8 images were grey" in done.err
    assert "note: folder-made: 1 of 8 images had an alpha channel" in done.err
    assert json.loads((record / "run.json").read_text())["provenance"]["command"].startswith(
        "benchbench evaluate"
    )
    again = run(*arguments)
    assert again.out == done.out.replace("record:", "already done:")
    assert "note: folder-made: 1 of 8 images were grey" in again.err


def test_a_name_stands_in_the_table(run: Run, tmp_path: Path) -> None:
    """`--name` is what the rows say, in the table and in the record; it is none that could not be selected."""
    write(tmp_path / "made", pictures(6, 2))
    asked = ("evaluate", "made", "--reference", "real", "--metrics", "fd", "--seed", "3")
    done = run(*asked, "--name", "MyDDPM")
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("MyDDPM on folder-real, seed 3")
    frame = benchbench.load_results(tmp_path / "runs")
    assert (set(frame["model"]), set(frame["seed"])) == ({"MyDDPM"}, {3})
    done = run(*asked, "--name", "a,b")
    assert done.code == 2
    assert "--name 'a,b' holds a comma or an equals sign" in done.err


@pytest.mark.costly
def test_every_verb_takes_the_same_words(run: Run, tmp_path: Path) -> None:
    """The files of an archive are those of the folder, so their distance is 0 and the note says that they are the same
    images; `run` learns from an array with labels, and `stats` and `evaluate` know the same name by its kind."""
    with zipfile.ZipFile("real.zip", "w") as archive:
        for file in sorted((tmp_path / "real").iterdir()):
            archive.write(file, f"around/{file.name}")
    done = run("evaluate", "folder:real", "--reference", "zip:real.zip", "--metrics", "fd,mse")
    assert done.code == 0
    assert "samples and reference are the same images" in done.err
    frame = benchbench.load_results(tmp_path / "runs").set_index("metric")["value"].astype(float)
    assert frame[f"fd_{LITE}"] == pytest.approx(0, abs=1e-6)
    assert frame["mse"] == 0
    np.savez(
        "faces.npz",
        x_train=pictures(8, 2),
        y_train=np.arange(8) % 2,
        x_test=pictures(6, 3),
        y_test=np.arange(6) % 2,
    )
    done = run(
        "run",
        "--model",
        "real",
        "--dataset",
        "faces.npz",
        "--metrics",
        "fd",
        "--samples",
        "6",
        "--device",
        "cpu",
    )
    assert done.code == 0, done.err
    (record,) = (tmp_path / "runs" / "npz-faces").glob("real/*/run.json")
    data = json.loads(record.read_text())["data"]
    assert (data["train"]["n"], data["held_out"]["n"]) == (8, 6)
    assert run("stats", "npz:faces.npz:train").out.startswith("cached: 8 images of npz-faces,")
    done = run("evaluate", "real", "--reference", "faces.npz:train", "--metrics", "fd")
    assert "folder-real on npz-faces" in done.out
    done = run("run", "--model", "real", "--dataset", "faces.npz:train")
    assert (done.code, "a run needs both: write faces.npz" in done.err) == (2, True)


def test_few_images_fail_single_metrics_and_not_the_call(run: Run, tmp_path: Path) -> None:
    """Three images: the distance stands, the Inception Score and precision fail with their reasons, exit 0. If
    nothing stands: exit 4, and the record has the reasons."""
    write(tmp_path / "three", pictures(3, 2))
    done = run("evaluate", "three", "--reference", "real", "--metrics", "fd,is,precision")
    assert done.code == 0
    assert "20 images but has 3" in " ".join(done.out.split())
    nothing = run("evaluate", "three", "--reference", "real", "--metrics", "is,precision")
    assert nothing.code == 4
    assert "none of the metrics could be computed" in nothing.err
    assert "record: " in nothing.out
    frame = benchbench.load_results(tmp_path / "runs")
    assert (frame.set_index("metric")["status"] == "ok").sum() == 1


@pytest.mark.costly
def test_stats_then_evaluate_without_the_images(run: Run, tmp_path: Path) -> None:
    """The exported file stands for the images: the same distance on the same board (text as printed)."""
    write(tmp_path / "made", pictures(8, 2))
    done = run("stats", "real", "--out", "stats.npz")
    assert done.code == 0
    assert done.out.splitlines()[0].startswith(
        f"cached: 12 images of folder-real, {LITE} (sha256 579344248a93"
    )
    assert done.out.splitlines()[1] == "statistics: stats.npz"
    by_file, by_images = (
        run("evaluate", "made", "--reference", reference, "--metrics", "fd")
        for reference in ("stats.npz", "real")
    )
    assert by_file.code == by_images.code == 0
    lines = [next(x for x in done.out.splitlines() if "fd_" in x) for done in (by_file, by_images)]
    assert lines[0].split()[:3] == lines[1].split()[:3]


@pytest.mark.costly
def test_precision_is_an_option_of_both(run: Run, tmp_path: Path) -> None:
    """`stats` prints it, `evaluate` records it, and what is no precision is wrong usage. The file of one precision is
    refused by the other with the option to name."""
    write(tmp_path / "made", pictures(8, 2))
    done = run("stats", "real", "--out", "half.npz", "--precision", "bfloat16")
    assert done.code == 0
    assert done.out.splitlines()[0].endswith(", bfloat16)")
    asked = ("evaluate", "made", "--reference", "half.npz", "--metrics", "fd")
    assert run(*asked, "--precision", "bfloat16").code == 0
    assert set(benchbench.load_results(tmp_path / "runs")["precision"]) == {"bfloat16"}
    done = run(*asked)
    assert done.code == 2
    assert "its precision is bfloat16 and not float32" in done.err
    done = run(*asked, "--precision", "fp16")
    assert done.code == 2
    assert "'float32', 'bfloat16', 'float16'" in done.err


def test_pairs(run: Run, tmp_path: Path) -> None:
    """Only if named; the rows are on the task `paired`. A pair of equal images has no finite PSNR, which says so
    and leaves the rest."""
    write(tmp_path / "restored", pictures(12, 1) // 2)
    done = run("evaluate", "restored", "--reference", "real", "--metrics", "ssim,psnr,mse")
    assert done.code == 0
    frame = benchbench.load_results(tmp_path / "runs")
    assert set(frame["metric"]) == {"ssim", "psnr", "mse"}
    assert (frame["task"] == "paired").all()
    equal = run("evaluate", "real", "--reference", "real", "--metrics", "psnr,mse")
    assert equal.code == 0
    assert "report mse instead" in " ".join(equal.out.split())
    assert "samples and reference are the same images" in equal.err


def test_outputs_under_a_task(run: Run, tmp_path: Path) -> None:
    """`--scale 4` is the task's setting: the rows are of x4, and what looks odd is a note on stderr;
    other sizes are one sentence, and so is a task that nothing says the scale of."""
    write(tmp_path / "hr", np.kron(pictures(2, 3, side=6), np.ones((1, 6, 6, 1), np.uint8)))
    write(
        tmp_path / "sr", np.kron(pictures(2, 3, side=6), np.ones((1, 6, 6, 1), np.uint8))[..., ::-1] // 2 + 60
    )
    asked = ("evaluate", "sr", "--reference", "hr", "--task", "super-resolution")
    done = run(*asked, "--scale", "4", "--metrics", "psnr_y_crop4")
    assert done.code == 0
    assert set(benchbench.load_results(tmp_path / "runs")["task"]) == {"super-resolution:x4"}
    assert "note: 2 of 2 outputs come much closer with red and blue exchanged" in done.err
    assert (
        run(*asked, "--task-option", "scale=4", "--metrics", "psnr_y_crop4")
        .out.splitlines()[-1]
        .startswith("already")
    )
    for more, sentence in (
        ((), "--task super-resolution does not say what the outputs undo; say it with --scale"),
        (("--scale", "x"), "scale='x': input should be 2, 3, 4 or 8"),
    ):
        done = run(*asked, *more)
        assert (done.code, done.out) == (2, "")
        assert sentence in done.err.splitlines()[-1]


def bomb() -> bytes:
    """A PNG header that promises 30,000 × 30,000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def make_bad(folder: Path) -> None:
    """One of each kind of input that cannot be used."""
    a = png(pictures(1)[0])
    np.savez(folder / "keys.npz", a=pictures(3), b=pictures(3))
    np.savez(folder / "floats.npz", arr_0=pictures(3) / 255)
    np.savez(folder / "nan.npz", arr_0=np.full((3, 16, 16, 3), np.nan, np.float32))
    np.savez(folder / "rgba.npz", arr_0=np.zeros((3, 16, 16, 4), np.uint8))
    np.savez(folder / "stats.npz", mu=np.zeros(4), sigma=np.full((4, 4), np.nan))
    zipped(folder / "empty.zip", {})
    zipped(folder / "escape.zip", {"../a.png": a, "b.png": a})
    zipped(folder / "bomb.zip", {"a.png": a, "b.png": bomb()})
    (folder / "text.zip").write_text("no archive")
    for name, content in (("truncated", a[:60]), ("fake", b"no image"), ("bombs", bomb())):
        write(folder / name, pictures(2))
        (folder / name / "odd.png").write_bytes(content)
    write(folder / "sizes", pictures(2))
    (folder / "sizes" / "odd.png").write_bytes(png(pictures(1, side=12)[0]))
    (folder / "nothing").mkdir()
    write(folder / "one", pictures(1))
    write(folder / "eleven", pictures(11))
    (folder / "single.png").write_bytes(a)
    (folder / "generator.pt").write_text("no network")


@pytest.mark.costly
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["keys.npz"], "keys.npz has none of the arrays that are the images: it holds a, b"),
        (["floats.npz"], "must be uint8 in 0..255 but is float64"),
        (["nan.npz"], "holds NaN"),
        (["rgba.npz"], "has four channels"),
        (["empty.zip"], "empty.zip is an empty archive"),
        (["escape.zip"], "'../a.png' leads out of the archive"),
        (["bomb.zip"], "b.png in bomb.zip"),
        (["text.zip"], "cannot read text.zip"),
        (["truncated"], "odd.png"),
        (["fake"], "odd.png"),
        (["bombs"], "odd.png"),
        (["sizes"], "--size N resizes and crops all to N×N"),
        (["nothing"], "no images in nothing"),
        (["one"], "folder-one holds 1 image; a distribution needs at least 2"),
        (["eleven", "--metrics", "mse"], "011.png (only in folder-real) lacks a partner"),
        (["single.png"], "is a single image; give the folder it is in"),
        (["generator.pt"], "--kind torchscript"),
        (["generator.pt", "--kind", "torchscript", "--latent", "8"], "a generator needs --latent"),
        (
            ["generator.pt", "--kind", "torchscript", "--latent", "8", "--samples", "9"],
            "is not a TorchScript",
        ),
        (["real", "--kind", "zop"], "did you mean 'zip'"),
        (["real", "--metrics", "fod"], "did you mean 'fd'"),
        (["real", "--samples", "13"], "folder-real holds 12 images, fewer than the 13 asked for"),
        (["real", "--samples", "1"], "holds 1 image"),
        (["real", "--extractor", ""], "extractors='': a name is empty"),
        (["nowhere"], "unknown dataset 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    run: Run, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    """The last line of stderr names the thing; nothing on stdout, nothing recorded."""
    make_bad(tmp_path)
    done = run(
        "evaluate",
        *arguments,
        "--reference",
        "real",
        *([] if "--metrics" in arguments else ["--metrics", "fd"]),
    )
    assert done.code == 2
    said = done.err.splitlines()[-1]
    assert said.startswith("benchbench: ")
    assert sentence in said
    assert done.out == ""
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("bad", ["stats.npz", "keys.npz", "truncated", "one", "nowhere"])
def test_a_bad_reference_is_one_sentence_and_exit_code_2(run: Run, tmp_path: Path, bad: str) -> None:
    """The other side, and `stats` with it, is judged alike."""
    make_bad(tmp_path)
    for arguments in (["evaluate", "real", "--reference", bad, "--metrics", "fd"], ["stats", bad]):
        done = run(*arguments)
        assert done.code == 2
        assert bad.split(".")[0] in done.err.splitlines()[-1]
        assert done.out == ""
    assert not list(tmp_path.rglob("*.csv"))


def test_unavailable_weights_name_the_way_to_get_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FID without the Inception weights: `stats` is refused; `evaluate` leaves a row that is unavailable, and
    exits with 4 as nothing else was asked."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("BENCHBENCH_INCEPTION_WEIGHTS", raising=False)
    stats = run("stats", "real", "--extractor", "inception_v3")
    assert stats.code == 2
    assert "weights-inception-2015-12-05" in stats.err
    assert "run benchbench fetch inception_v3" in stats.err
    done = run("evaluate", "real", "--reference", "real", "--metrics", "fid")
    assert done.code == 4
    assert "unavailable" in done.out
