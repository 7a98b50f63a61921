"""Headers of NumPy's files: whatever they claim is judged before memory is asked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchbench.core.errors import InputError
from benchbench.core.numpy_files import DAMAGE, map_content, read_arrays, read_header
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.streams import open_images

HEADERS = [
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 8, 8, 3)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (4, -8, -8, 3)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 8, 8, 3)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (10**30, 8, 8, 3)}",
    f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**30}, 8, 8, 3)}}",
    f"{{'descr': '|u1', 'fortran_order': True, 'shape': ({2**62}, 8, 8, 3)}}",
    f"{{'descr': '|u1', 'fortran_order': False, 'shape': (0, {2**62}, 8, 3)}}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (4.0, 8, 8, 3)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': '4'}",
    "{'descr': '|u1', 'fortran_order': 1, 'shape': (4, 8, 8, 3)}",
    "{'descr': '|u9999999999', 'fortran_order': False, 'shape': (4, 8, 8, 3)}",
    "{'descr': ['a', 'b'], 'fortran_order': False, 'shape': (4, 8, 8, 3)}",
    "{'descr': [('a', '|u1'), ('a', '|u1')], 'fortran_order': False, 'shape': (4,)}",
    "{'descr': None, 'fortran_order': False, 'shape': (4, 8, 8, 3)}",
    "{'descr': '|V7', 'fortran_order': False, 'shape': (4, 8, 8, 3)}",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4, 8, 8)}",
    "{'descr': '<U9', 'fortran_order': False, 'shape': (4, 8, 8)}",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (4, 8, 8)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 8, 8, 3)",
    "{'descr': '|u1', 'fortran_order': False}",
    "('descr', '|u1')",
    "[" * 9000,
    "(" * 300,
    "1 if 1 else (",
    "{**{}, 'shape': __import__('os')}",
    "'" * 3,
    "\0",
    "",
    "é",
]


def _npy(header: str, content: bytes = bytes(768)) -> bytes:
    """A .npy file of version 1, by its specification (NEP 1)."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_is_impossible_is_named(header: str, kind: str, tmp_path: Path) -> None:
    """No array of images says this: one sentence that names the file, and no memory that the file does not have."""
    path = tmp_path / f"x.{kind}"
    path.write_bytes(_npy(header))
    if kind == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("arr_0.npy", _npy(header))
    for read in (load_dataset, open_images):
        with pytest.raises(InputError, match=rf"x\.{kind}") as refused:
            read(str(path))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("version", [0, 3, 4, 255])
def test_a_version_that_is_not_known(version: int) -> None:
    """NEP 1 has versions 1 and 2; version 3 is for names of fields that are no latin1."""
    content = bytearray(_npy(HEADERS[0]))
    content[6] = version
    with pytest.raises(DAMAGE):
        read_header(io.BytesIO(bytes(content)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_they_were_written(shape: tuple[int, ...], order: Any, tmp_path: Path) -> None:
    """Against NumPy's own writer, for either order of memory: read and mapped."""
    array = np.asarray(np.random.default_rng(0).random(shape), order=order)
    np.savez(tmp_path / "x.npz", a=array, b=array + 1)
    found = read_arrays(tmp_path / "x.npz", ["a", "absent"])
    assert list(found) == ["a"]
    np.testing.assert_array_equal(found["a"], array)
    np.save(tmp_path / "x.npy", array)
    with open(tmp_path / "x.npy", "rb") as file:
        np.testing.assert_array_equal(map_content(file, read_header(file), "r"), array)


def test_an_array_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    """80 bytes are more than 79, as the header says; a pickle is never read; a member that is shorter than its header
    says is damaged."""
    np.savez(tmp_path / "x.npz", a=np.zeros(10))
    with pytest.raises(ValueError, match="a has 80 bytes, more than 79"):
        read_arrays(tmp_path / "x.npz", most=79)
    np.savez(tmp_path / "x.npz", a=np.array([None]))
    with pytest.raises(ValueError, match="a holds pickled objects"):
        read_arrays(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", _npy("{'descr': '|u1', 'fortran_order': False, 'shape': (769,)}"))
    with pytest.raises(ValueError, match="a has not the length its header says"):
        read_arrays(tmp_path / "x.npz")
