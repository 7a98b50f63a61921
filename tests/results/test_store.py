"""The store: whole cells or none, whoever writes, and whatever kills the writer."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.results.load import load_results
from benchbench.results.manifest import Artefact, RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store, folder_name
from benchbench.results.tables import write_rows

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
KEY = "00112233aabbccdd"
FORK = multiprocessing.get_context("fork")


def _names(root: Path) -> list[str]:
    """Every file and folder below `root`, hidden ones too."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_a_cell_is_found_after_it_is_written(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """The layout of the design, `<dataset>/<model>/<cell>/`; run.json lists the sha256 that sha256sum prints
    for b"png" (a literal from coreutils)."""
    store = Store(tmp_path)
    assert store.find("digits", "vae", KEY) is None
    run = RunFacts.model_validate({"command": "benchbench run", "finished": "2024-05-01T12:00:00Z"})
    with store.write("digits", "vae", KEY, run) as folder:
        write_rows(folder / "metrics.csv", [make_row()])
        (folder / "samples.png").write_bytes(b"png")
    assert store.find("digits", "vae", KEY) == tmp_path / "digits" / "vae" / KEY
    assert _names(tmp_path / "digits" / "vae" / KEY) == ["metrics.csv", "run.json", "samples.png"]
    found = json.loads((tmp_path / "digits" / "vae" / KEY / "run.json").read_text())
    assert found["files"]["samples.png"] == "8f8cbb7dcf46e0bc7d53265749a6c17d116093a6ba95e442764060c76fd4a86c"
    assert {k: found[k] for k in ("cell", "dataset", "model", "schema_version", "finished", "command")} == {
        "cell": KEY,
        "dataset": "digits",
        "model": "vae",
        "schema_version": 2,
        "finished": "2024-05-01T12:00:00Z",
        "command": "benchbench run",
    }


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    """Neither the cell nor a temporary folder is there afterwards, and the error comes through as it was."""
    store = Store(tmp_path)

    def half() -> None:
        with store.write("digits", "vae", KEY, RunFacts()) as folder:
            (folder / "metrics.csv").write_text("half")
            raise ArithmeticError("loss is not a number")

    with pytest.raises(ArithmeticError, match="loss is not a number"):
        half()
    assert store.find("digits", "vae", KEY) is None
    assert _names(tmp_path) == ["digits", "digits/vae"]


def test_a_cell_without_numbers_is_refused(tmp_path: Path) -> None:
    """The contract of `write`: metrics.csv is what makes a record."""
    with (
        pytest.raises(ValueError, match=r"without metrics.csv"),
        Store(tmp_path).write("digits", "vae", KEY, RunFacts()),
    ):
        pass
    assert Store(tmp_path).find("digits", "vae", KEY) is None


@pytest.mark.parametrize("moment", ["inside", "before the rename"])
def test_a_killed_writer_leaves_nothing_visible(
    tmp_path: Path, make_row: MakeRow, land: Land, moment: str
) -> None:
    """`os._exit` runs no clean-up, like SIGKILL. Readers see no cell although the temporary folder is left,
    and the next writer lands a whole one."""

    def doomed() -> None:
        if moment == "before the rename":
            os.rename = lambda *_: os._exit(9)  # type: ignore[assignment]
        with Store(tmp_path).write("digits", "vae", KEY, RunFacts()) as folder:
            write_rows(folder / "metrics.csv", [make_row()])
            if moment == "inside":
                os._exit(9)

    process = FORK.Process(target=doomed)
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert any(name.endswith(".tmp") for name in _names(tmp_path))
    assert Store(tmp_path).find("digits", "vae", KEY) is None
    assert len(load_results(tmp_path)) == 0
    land(tmp_path, [make_row()])
    assert len(load_results(tmp_path)) == 1


def _write_many(root: Path, who: int, rows: list[Row], start: Any) -> None:
    """Land the shared cells, then one of our own, with `who` in every file."""
    start.wait(60)
    for row in [*rows, Row(**(rows[0].as_dict() | {"cell": f"{who:016x}"}))]:
        with Store(root).write(row.dataset, row.model, row.cell, RunFacts(who=who)) as folder:
            write_rows(folder / "metrics.csv", [Row(**(row.as_dict() | {"value": float(who)}))])
            (folder / "samples.png").write_bytes(bytes([who]) * 1000)


@pytest.mark.costly
def test_processes_that_write_the_same_cells_leave_each_whole(tmp_path: Path, make_row: MakeRow) -> None:
    """Three processes start together on the same 20 cells: every cell is one writer's from first to last
    file (find checks all sha256), nobody fails, and no temporary folder is left."""
    rows = [make_row(cell=f"{n:016x}") for n in range(100, 120)]
    start = FORK.Barrier(3)
    writers = [FORK.Process(target=_write_many, args=(tmp_path, who, rows, start)) for who in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    store = Store(tmp_path)
    for row in rows:
        folder = store.find(row.dataset, row.model, row.cell)
        assert folder is not None
        who = json.loads((folder / "run.json").read_text())["who"]
        assert (folder / "samples.png").read_bytes() == bytes([who]) * 1000
        assert load_results(folder)["value"].tolist() == [float(who)]
    assert len(load_results(tmp_path)) == 23
    assert not any(name.endswith(".tmp") for name in _names(tmp_path))


def test_the_first_to_land_a_cell_keeps_it(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A cell is a function of its key: a second record is dropped, not swapped in under a reader."""
    land(tmp_path, [make_row(value=12.5)])
    land(tmp_path, [make_row(value=13.0)])
    assert load_results(tmp_path)["value"].tolist() == [12.5]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("metrics.csv", b"", r"metrics.csv is not what run.json lists"),
        ("metrics.csv", None, r"metrics.csv cannot be read"),
        ("run.json", None, r"run.json cannot be read"),
        ("run.json", b'{"cell": ', r"run.json is not JSON"),
        ("run.json", b"[]", r"run.json has no schema_version"),
        ("run.json", b'{"schema_version": 2}', r"run.json does not state cell"),
        (
            "run.json",
            b'{"schema_version": 2, "cell": "00112233aabbccdd", "dataset": "d", "model": "m", "files": {}}',
            r"not list metrics.csv",
        ),
        (
            "run.json",
            b'{"schema_version": 2, "cell": "ff112233aabbccdd", "dataset": "d", "model": "m", "files": {}}',
            r"belongs to the cell ff",
        ),
        ("run.json", b'{"schema_version": 99}', r"schema version 99 but this benchbench reads 2"),
    ],
)
def test_a_damaged_cell_is_named(
    tmp_path: Path, make_row: MakeRow, land: Land, name: str, damage: bytes | None, message: str
) -> None:
    """What a bad copy, a full quota or an editor leaves. It is neither served nor silently done again."""
    folder = land(tmp_path, [make_row()])
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage)
    with pytest.raises(InputError, match=message) as caught:
        Store(tmp_path).find("digits", "vae", KEY)
    assert str(folder / name) in str(caught.value)
    assert "again" in str(caught.value)


def test_work_goes_on_where_it_was_and_is_cleared_at_once(tmp_path: Path) -> None:
    """The work folder is the same for the same key, belongs to no reader, and clearing it twice is fine."""
    store = Store(tmp_path)
    (store.workdir(KEY) / "last.ckpt").write_bytes(b"1")
    assert (Store(tmp_path).workdir(KEY) / "last.ckpt").read_bytes() == b"1"
    assert len(load_results(tmp_path)) == 0
    store.clear_work(KEY)
    store.clear_work(KEY)
    assert _names(tmp_path) == [".work"]


def test_check_writable_leaves_no_trace(tmp_path: Path) -> None:
    """A probe, not a change: the root is there afterwards and empty."""
    Store(tmp_path / "a" / "b").check_writable()
    assert _names(tmp_path) == ["a", "a/b"]


@pytest.mark.parametrize("place", ["results", "results/deeper"])
def test_a_file_in_the_way_is_named(tmp_path: Path, place: str) -> None:
    """A file where the folder or its parent should be."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match=r"cannot write .*results.*choose another folder"):
        Store(tmp_path / place).check_writable()


def test_a_folder_without_the_right_to_write_is_named() -> None:
    """chmod 555. Root may write anywhere, so a privileged test process first becomes nobody (uid 65534)."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)

        def refused() -> None:
            if os.getuid() == 0:
                os.setuid(65534)
            try:
                Store(name).check_writable()
            except InputError as error:
                os._exit(7 if str(error).startswith(f"cannot write {name}: Permission denied;") else 8)

        process = FORK.Process(target=refused)
        process.start()
        process.join(60)
        os.chmod(name, 0o755)
    assert process.exitcode == 7


@pytest.mark.parametrize("step", ["fsync", "mkdir", "write"])
def test_a_full_disk_is_one_sentence(
    tmp_path: Path, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """ENOSPC, as the kernel raises it, at each step that needs space; nothing is left or visible."""
    store = Store(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write() -> None:
        with store.write("digits", "vae", KEY, RunFacts()) as folder:
            write_rows(folder / "metrics.csv", [make_row()])

    target = {"fsync": (os, "fsync"), "mkdir": (Path, "mkdir"), "write": (Path, "write_bytes")}[step]
    with monkeypatch.context() as patch:
        patch.setattr(*target, full)
        with pytest.raises(InputError, match=r"cannot write .*: No space left on device; .*free some space"):
            write()
    assert store.find("digits", "vae", KEY) is None
    assert not any(name.endswith(".tmp") for name in _names(tmp_path))


@settings(max_examples=80, deadline=None)
@given(name=st.text(min_size=1, max_size=120))
def test_any_name_is_one_plain_folder(name: str) -> None:
    """Portable characters, never hidden (readers skip those), never a way out of the root, short enough for
    every file system (255 bytes), and the same again for the result."""
    folder = folder_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", folder)
    assert len(folder) < 100
    assert folder_name(folder) == folder


def test_names_stay_apart_and_ordinary_ones_stay_themselves() -> None:
    """Two names that lose the same characters keep different folders by their digest."""
    assert [folder_name(n) for n in ("cifar10", "beta-vae", "a.b_C")] == ["cifar10", "beta-vae", "a.b_C"]
    assert folder_name("a/b") != folder_name("a:b") != folder_name("a-b")
    assert "/" not in folder_name("../../etc/passwd")
    with pytest.raises(InputError, match="not empty"):
        folder_name("")


@pytest.mark.parametrize("key", ["", "../../etc", "0011", "00112233AABBCCDD"])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str) -> None:
    """Keys are digests; anything else would be a path."""
    for use in (
        lambda s: s.find("digits", "vae", key),
        lambda s: s.workdir(key),
        lambda s: s.clear_work(key),
    ):
        with pytest.raises(InputError, match="is not the key of a cell"):
            use(Store(tmp_path))


@pytest.mark.costly
def test_records_are_read_without_torch() -> None:
    """The room's own rule: reading a table must not wait for torch."""
    code = (
        "import sys; import benchbench.results.load, benchbench.results.key, benchbench.results.claims.gate;"
        "import benchbench.results.claims.planning, benchbench.results.claims.ranks, benchbench.results.across;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_and_pictures_may_be_taken_away(tmp_path: Path, make_row: MakeRow) -> None:
    """A store is published without them: the cell is still found, and what is left is still checked."""
    store, row = Store(tmp_path), make_row()
    with store.write(row.dataset, row.model, row.cell, RunFacts()) as folder:
        write_rows(folder / "metrics.csv", [row])
        for name in ("weights.safetensors", "samples.png", "samples.npz", "curves.csv"):
            (folder / name).write_text(name)
    cell = store.cell_dir(row.dataset, row.model, row.cell)
    for name in ("weights.safetensors", "samples.png", "samples.npz"):
        (cell / name).unlink()
    assert store.find(row.dataset, row.model, row.cell) == cell
    (cell / "samples.png").write_text("another")
    with pytest.raises(InputError, match=r"samples\.png"):
        store.find(row.dataset, row.model, row.cell)
    (cell / "samples.png").unlink()
    (cell / "curves.csv").unlink()
    with pytest.raises(InputError, match=r"curves\.csv"):
        store.find(row.dataset, row.model, row.cell)


def test_an_artefact_is_sealed_with_its_digest(tmp_path: Path, make_row: MakeRow) -> None:
    """Whoever announces it says file, kind and caption; the sha256 of b"png" is that of coreutils."""
    store, row = Store(tmp_path), make_row()
    artefact = Artefact(file="samples.png", kind="samples", caption="what was drawn")
    with store.write(row.dataset, row.model, row.cell, RunFacts(artefacts=[artefact])) as folder:
        write_rows(folder / "metrics.csv", [row])
        (folder / "samples.png").write_bytes(b"png")
    cell = store.cell_dir(row.dataset, row.model, row.cell)
    assert json.loads((cell / "run.json").read_text())["artefacts"] == [
        {
            "file": "samples.png",
            "kind": "samples",
            "caption": "what was drawn",
            "sha256": "8f8cbb7dcf46e0bc7d53265749a6c17d116093a6ba95e442764060c76fd4a86c",
        }
    ]


def test_an_artefact_that_is_not_written_leaves_no_cell(tmp_path: Path, make_row: MakeRow) -> None:
    """A record never lists what it never had."""
    store, row = Store(tmp_path), make_row()
    artefact = Artefact(file="samples.png", kind="samples", caption="what was drawn")

    def write() -> None:
        with store.write(row.dataset, row.model, row.cell, RunFacts(artefacts=[artefact])) as folder:
            write_rows(folder / "metrics.csv", [row])

    with pytest.raises(ValueError, match=r"samples\.png was announced and not written"):
        write()
    assert store.find(row.dataset, row.model, row.cell) is None
