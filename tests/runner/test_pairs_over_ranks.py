"""A pass over pairs of files by 1, 2, 3 and 7 ranks: what one finds, and no file is read by two."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ranks import on_ranks

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError
from benchbench.core.registry import METRICS
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline import decode
from benchbench.data.pipeline.image_stream import MixedSizesError, Pairs, pairs
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.spec import parse_spec
from benchbench.runner.pair_pass import PairPass
from benchbench.runner.restored import asked_task

N = 5  # fewer than seven ranks, so that some have none


def picture(side: int, seed: int) -> np.ndarray:
    """Blocks of 5×5 pixels."""
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 5 + 1, side // 5 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(5, 0).repeat(5, 1)[:side, :side])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """made/ and real/: outputs of 130×130 pixels and of 140×140; references have one more a side, which is cut."""
    for i in range(N):
        side = 130 if i < 3 else 140
        whole = picture(side + 1, i)
        for name, own in (("real", whole), ("made", 255 - whole[:side, :side] // (i + 2))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(own).save(tmp_path / name / f"{i}.png")
    return tmp_path


def opened(folder: Path) -> Pairs:
    return pairs(*(open_images(parse_spec(f"folder:{folder / side}")) for side in ("made", "real")))


def passed(folder: Path, comm: Comm) -> dict[str, Any]:
    """All that a pass of a task of restoration leaves, on this rank."""
    both = opened(folder)
    metrics = [METRICS.get(name)() for name in ("psnr", "ssim")]
    task = asked_task("super-resolution", {"scale": 2})
    compared = PairPass(both, metrics, one_size=False, task=task, keep_pieces=True)
    own = [len(part) for part in compared.outputs(Runtime(batch_size=2, comm=comm))]
    assert sum(own) == len(comm.shard(N))
    evidence = compared.evidence(comm)
    return {
        "values": {name: values.tolist() for name, values in evidence.values.items()},
        "shown": [(side.shape, zlib.crc32(side.numpy().tobytes())) for side in compared.shown],
        "pieces": [(side.shape, zlib.crc32(side.numpy().tobytes())) for side in compared.pieces],
        "notes": compared.notes,
        "digests": [list(side.digests) for side in (both.a, both.b)],
        "sizes": [list(side.sizes) for side in (both.a, both.b)],
        "windowed": compared.windowed,
    }


@pytest.mark.parametrize("size", [2, 3, 7])
def test_ranks_find_what_one_does(folders: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected is what one process leaves: images to the bit, values to 1e-12, as sums in float64 over batches of other
    lengths have other orders. Files are decoded once, and on each rank one a side of the next rank's."""
    alone = passed(folders, ALONE)
    assert any("5 of 5 references were cut" in note for note in alone["notes"])
    values = alone.pop("values")
    assert len(values["psnr"]) == N
    read: Counter[str] = Counter()
    decoded = decode.decode_image

    def counted(*arguments: Any, **named: Any) -> Any:
        read.update([str(arguments[0])])
        return decoded(*arguments, **named)

    monkeypatch.setattr(decode, "decode_image", counted)
    for found in on_ranks(size, lambda comm: passed(folders, comm)):
        for name, expected in values.items():
            assert found["values"][name] == pytest.approx(expected, rel=1e-12), name
        assert {name: what for name, what in found.items() if name != "values"} == alone
    assert sum(read.values()) == 2 * (N + size)


def test_a_pair_that_does_not_fit_ends_all_ranks(folders: Path) -> None:
    """What one rank alone sees is the error of the job, and names the image."""
    Image.fromarray(picture(99, 9)).save(folders / "made" / "4.png")
    with pytest.raises(InputError, match=r"4\.png of .*made is 99×99"):
        on_ranks(3, lambda comm: passed(folders, comm))


def test_sizes_that_differ_between_ranks(folders: Path) -> None:
    """Each rank alone sees images of one size; together they do not have one."""
    for name in ("made", "real"):
        (folders / name / "2.png").unlink()
    metrics = [METRICS.get("psnr")()]

    def read(comm: Comm) -> None:
        list(PairPass(opened(folders), metrics, one_size=True).outputs(Runtime(comm=comm)))

    for name in ("real", "made"):
        for i in (0, 1, 3, 4):
            Image.fromarray(picture(140 if i > 2 else 130, i)).save(folders / name / f"{i}.png")
    with pytest.raises(MixedSizesError, match=r"3\.png.*140×140"):
        on_ranks(2, read)
