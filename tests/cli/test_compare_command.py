"""`benchbench compare` as a user meets it: streams, formats and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.cli import main
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

Done = tuple[int | str | None, str, str]


@pytest.fixture
def benchbench(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The console script in this process: exit code, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_row: Callable[..., Row]) -> Path:
    """A working folder whose `results/` has two models with five seeds each, and one made on fewer images."""
    folder = tmp_path_factory.mktemp("compare")
    for number, (model, shift, n_images) in enumerate((("vae", 0, 1000), ("gan", 9, 1000), ("flow", 9, 500))):
        for seed in range(5):
            cell = f"{number}{seed}" * 8
            value = 10 + shift + 0.1 * (seed * (number + 2) % 5)
            row = make_row(
                model=model, seed=seed, cell=cell, value=value, n_images=n_images, low=None, high=None
            )
            with Store(folder / "results").write(
                "digits", model, cell, {"data": {"fingerprint": "x"}}
            ) as place:
                write_rows(place / "metrics.csv", [row])
    return folder


def test_a_comparison(benchbench: Callable[..., Done]) -> None:
    """The better one by nine in five seeds; nothing but the table on stdout, nothing on stderr, exit code 0."""
    code, out, err = benchbench("compare", "model=vae", "results/digits/gan")
    assert (code, err) == (0, "")
    assert "1 number, A against B: 1 better" in out
    _, out, _ = benchbench("compare", "model=gan", "model=vae", "--format", "json")
    assert [line["verdict"] for line in json.loads(out)["pairs"][0]["numbers"]] == ["worse"]
    for format_ in ("markdown", "csv"):
        code, out, _ = benchbench("compare", "model=gan", "model=vae", "--format", format_)
        assert code == 0
        assert "worse" in out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["model=vae", "model=flow"], 3, "n_images is 1000 against 500; run both alike"),
        (["model=vae", "model=gna"], 2, "unknown model 'gna'; did you mean 'gan'"),
        (["model=vae", "git:HEAD"], 2, "git repository"),
        (["model=vae", "model=gan", "--results", "nowhere"], 2, "there is no folder nowhere"),
        (["model=vae"], 2, "Missing argument 'B'"),
        (["model=vae", "model=gan", "--format", "xml"], 2, "'xml' is not one of"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    benchbench: Callable[..., Done], arguments: list[str], code: int, sentence: str
) -> None:
    """On stderr, with the exit code of the design, and never a traceback."""
    status, out, err = benchbench("compare", *arguments)
    assert (status, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err


def test_reading_records_needs_no_torch(folder: Path) -> None:
    """A comparison on a laptop without an accelerator's gigabytes: torch is never imported."""
    code = (
        "import sys; from benchbench.cli import cli;"
        "cli.main(['compare', 'model=vae', 'model=gan'], standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
