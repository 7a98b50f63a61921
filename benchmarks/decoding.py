"""What decodes folders of image files fastest, and whether all of it decodes them to the same pixels.

    OMP_NUM_THREADS=1 python benchmarks/decoding.py --rounds 5

Files are crops of one photograph (scikit-image's astronaut), PNG and JPEG of 32, 256 and 512 pixels a side. Each way is
taken in turn, in another order each round, and read ahead as the harness does (`data.pipeline.prefetch`):

    pillow       what the harness does: `decode_ahead`, with its checks, in threads
    torchvision  `decode_png` and `decode_jpeg` in threads, nothing checked: the most that could be gained
    checked      torchvision behind the harness's own look at the header by Pillow: what could be gained under its rules
    processes    what the harness does, in as many processes, pixels back through shared memory

Of each: images a second of the clock and of processors (all threads and processes), the median over rounds, and how
many times as fast as the first the way is, by the median over rounds of the ratio, which a busy machine distorts less.
"Same" says that all pixels are, bit for bit.

Two cores of an EPYC that a dozen programs shared:

    png  32  pillow         4,269 a s    8,199 a processor s  1.00  1.00  same
    png  32  torchvision    6,008 a s   12,445 a processor s  1.53  1.42  same
    png  32  checked        2,857 a s    7,090 a processor s  0.58  0.85  same
    png  32  processes      1,790 a s    5,520 a processor s  0.38  0.63  same
    png 256  pillow           166 a s      484 a processor s  1.00  1.00  same
    png 256  torchvision      188 a s      540 a processor s  1.09  1.11  same
    png 256  checked          169 a s      484 a processor s  1.01  0.99  same
    png 256  processes        160 a s      469 a processor s  0.96  0.97  same
    png 512  pillow            43 a s      128 a processor s  1.00  1.00  same
    png 512  torchvision       51 a s      144 a processor s  1.19  1.14  same
    png 512  checked           42 a s      132 a processor s  0.90  1.04  same
    png 512  processes         41 a s      123 a processor s  0.98  0.98  same
    jpg  32  pillow         1,201 a s    6,144 a processor s  1.00  1.00  same
    jpg  32  torchvision    2,502 a s   13,002 a processor s  2.15  2.13  same
    jpg  32  checked        1,087 a s    5,850 a processor s  0.97  0.94  same
    jpg  32  processes      1,153 a s    4,123 a processor s  0.97  0.66  same
    jpg 256  pillow           392 a s    1,937 a processor s  1.00  1.00  same
    jpg 256  torchvision      537 a s    3,063 a processor s  1.38  1.48  same
    jpg 256  checked          469 a s    2,310 a processor s  1.07  1.13  same
    jpg 256  processes        301 a s    1,620 a processor s  0.73  0.83  same
    jpg 512  pillow            70 a s      585 a processor s  1.00  1.00  same
    jpg 512  torchvision       91 a s      711 a processor s  1.09  1.22  same
    jpg 512  checked           95 a s      728 a processor s  1.08  1.20  same
    jpg 512  processes         60 a s      553 a processor s  0.84  0.94  same

Torchvision decodes PNG 1.1 to 1.4 times as fast for a processor second, and not at all once an image is refused or
converted by the harness's rules; processes gain nothing that threads lack. So Pillow in threads stays.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image, features
from skimage import data
from torchvision.io import ImageReadMode, decode_jpeg, decode_png

from benchbench.core.device import describe_machine
from benchbench.data.pipeline import decode
from benchbench.data.pipeline.prefetch import map_ahead

Pixels = Iterator[NDArray[np.uint8]]
Way = Callable[[Sequence[Path]], Pixels]

SIDES = {32: 4000, 256: 300, 512: 100}
"""Images of each side."""


def write(folder: Path, side: int, n: int, suffix: str) -> list[Path]:
    """`n` crops of the photograph."""
    rng = np.random.default_rng(side)
    photograph = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    around = np.tile(photograph, (2, 2, 1))  # no side is longer than its own
    folder.mkdir()
    files = [folder / f"{i:06}.{suffix}" for i in range(n)]
    for file in files:
        top, left = rng.integers(0, 512, 2)
        Image.fromarray(around[top : top + side, left : left + side]).save(file)
    return files


def chunks_of(files: Sequence[Path]) -> Generator[Sequence[Path], None, None]:
    yield from (files[i : i + decode.CHUNK] for i in range(0, len(files), decode.CHUNK))


def by_pillow(files: Sequence[Path]) -> Pixels:
    with closing(decode.decode_ahead((file.name, file) for file in files)) as chunks:
        for chunk in chunks:
            for _, result in chunk:
                assert not isinstance(result, decode.UnusableError)
                yield result[0]


def by_torchvision(files: Sequence[Path], *, checked: bool) -> Pixels:
    def each(chunk: Sequence[Path]) -> list[NDArray[np.uint8]]:
        return [one(file) for file in chunk]

    def one(file: Path) -> NDArray[np.uint8]:
        content = bytearray(file.read_bytes())
        if checked:
            with Image.open(file, formats=decode.FORMATS) as image:
                decode._refuse(image)
                assert image.mode == "RGB"
                assert not image.has_transparency_data
            # Pillow would decode a PNG to say whether it has EXIF, for which there are two places in one.
            assert not any(mark in content for mark in (b"eXIf", b"Raw profile", b"Exif"))
        encoded = torch.frombuffer(content, dtype=torch.uint8)
        function = decode_png if file.suffix == ".png" else decode_jpeg
        pixels: NDArray[np.uint8] = function(encoded, mode=ImageReadMode.RGB).permute(1, 2, 0).numpy()
        return pixels

    with closing(map_ahead(each, chunks_of(files), decode.WORKERS)) as results:
        for result in results:
            yield from result


class Processes:
    """Workers that decode into shared memory, a place for each chunk that is under way."""

    def __init__(self, n: int, place: int) -> None:
        self.places, self.place = n + 2, place
        self.memory = SharedMemory(create=True, size=self.places * place)
        method = multiprocessing.get_context("forkserver")
        self.pool = ProcessPoolExecutor(n, method, initializer=attach, initargs=(self.memory.name,))
        self.seconds = 0.0

    def __call__(self, files: Sequence[Path]) -> Pixels:
        pending: deque[tuple[int, Future[tuple[list[tuple[int, ...]], float]]]] = deque()
        for i, chunk in enumerate(chunks_of(files)):
            if len(pending) == self.places:
                yield from self.result(*pending.popleft())
            start = i % self.places * self.place
            pending.append((start, self.pool.submit(decode_into, start, chunk)))
        while pending:
            yield from self.result(*pending.popleft())

    def result(self, start: int, future: Future[tuple[list[tuple[int, ...]], float]]) -> Pixels:
        shapes, seconds = future.result()
        self.seconds += seconds
        for shape in shapes:
            yield np.ndarray(shape, np.uint8, self.memory.buf, start).copy()
            start += int(np.prod(shape))

    def close(self) -> None:
        self.pool.shutdown()
        self.memory.close()
        self.memory.unlink()


_attached: list[SharedMemory] = []


def attach(name: str) -> None:
    _attached.append(SharedMemory(name))


def decode_into(start: int, files: Sequence[Path]) -> tuple[list[tuple[int, ...]], float]:
    """Shapes, and processor seconds."""
    before, shapes = time.process_time(), []
    for file in files:
        pixels, _ = decode.decode_image(file)
        np.ndarray(pixels.shape, np.uint8, _attached[0].buf, start)[:] = pixels
        start += pixels.nbytes
        shapes.append(pixels.shape)
    return shapes, time.process_time() - before


def measured(way: Way, files: Sequence[Path]) -> tuple[float, float]:
    """Images a second of the clock, and of processors."""
    before = getattr(way, "seconds", 0.0)
    wall, cpu = time.perf_counter(), time.process_time()
    n = sum(1 for _ in way(files))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return n / wall, n / (cpu + getattr(way, "seconds", 0.0) - before)


def same(way: Way, files: Sequence[Path]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(by_pillow(files), way(files), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the images")
    options = parser.parse_args()
    turbo = features.version_feature("libjpeg_turbo")
    print(describe_machine(torch.device("cpu")))
    print(f"Pillow {PIL.__version__} (libjpeg-turbo {turbo}), torchvision {torchvision.__version__}")
    print(f"{decode.WORKERS} threads or processes")
    with tempfile.TemporaryDirectory() as temporary:
        for suffix in ("png", "jpg"):
            for side, n in SIDES.items():
                files = write(Path(temporary, f"{suffix}{side}"), side, round(n * options.share), suffix)
                table(f"{suffix} {side:3}", files, 3 * side * side * decode.CHUNK, options.rounds)


def table(title: str, files: Sequence[Path], place: int, rounds: int) -> None:
    processes = Processes(decode.WORKERS, place)
    ways: dict[str, Way] = {
        "pillow": by_pillow,
        "torchvision": partial(by_torchvision, checked=False),
        "checked": partial(by_torchvision, checked=True),
        "processes": processes,
    }
    equal = {name: same(way, files) for name, way in ways.items()}  # and once round to warm up
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for i in range(rounds):
        order = list(ways)[i % len(ways) :] + list(ways)[: i % len(ways)]
        for name in order:
            found[name].append(measured(ways[name], files))
    for name, rates in found.items():
        wall, cpu = (median(column) for column in zip(*rates, strict=True))
        against = [
            [own / first for own, first in zip(rate, base, strict=True)]
            for rate, base in zip(rates, found["pillow"], strict=True)
        ]
        faster = [median(column) for column in zip(*against, strict=True)]
        print(
            f"{title}  {name:11}  {wall:7,.0f} a s  {cpu:7,.0f} a processor s  "
            f"{faster[0]:4.2f}  {faster[1]:4.2f}  {'same' if equal[name] else 'other pixels'}",
            flush=True,
        )
    processes.close()


if __name__ == "__main__":
    main()
