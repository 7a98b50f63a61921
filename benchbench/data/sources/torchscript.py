"""Generators that others exported with TorchScript: images made on the spot, from latents that are ours.

The module is called with float32 standard normal latents, N×latent or, if it takes only these, N×latent×1×1; a
conditional one with labels as well, int64 (N,) or, if it takes only these, float32 rows that are one at the label.
Which of them it takes is found by trying, and a note says so. Image i of a run draws both from its own stream
(`core.seeds`), labels first. The images are made in batches of a fixed size, so that they do not depend on how many the
consumer asks for at a time.

Such a file is a program. It runs in a process of its own (`script_process`), and only if the user trusts its author.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import weakref
import zipfile
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchbench.core.errors import InputError, to_the_user
from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.data.sources import script_process

BATCH = 32
"""Images a forward pass. Fixed, because a network's last bits change with it."""

SLACK = 1e-3
"""How far beyond [-1, 1] rounding may carry a tanh, with room to spare; a quarter of half a grey level."""

SECONDS = 60.0
"""How long a batch may take, and the loading, where `LIMIT` names no other number."""

LIMIT = "BENCHBENCH_GENERATOR_SECONDS"

_START = 600.0  # seconds until torch is imported, from a slow disk
_EXPORT = "export the generator with torch.jit.trace(generator, latents).save(PATH)"


class Form(NamedTuple):
    """How a generator is called. column: latents are N×latent×1×1. one_hot: labels are float32 N×classes."""

    column: bool = False
    one_hot: bool = False

    def latents(self, latents: Tensor) -> Tensor:
        """N×latent in this form."""
        return latents[:, :, None, None] if self.column else latents

    @property
    def notes(self) -> list[str]:
        """What a reader of the record should know."""
        notes = ["the generator takes latents of N×latent×1×1"] if self.column else []
        return notes + ["the generator takes labels as one-hot rows"] * self.one_hot


class ScriptedGenerator:
    """A TorchScript generator in eval mode in a process of its own, and what to ask it for."""

    def __init__(
        self,
        path: Path,
        *,
        latent: int,
        samples: int,
        classes: int | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        trusted: bool = False,
    ) -> None:
        """`InputError` if `path` is not TorchScript, is not `trusted`, or cannot be called with what is given.

        latent: length of a latent vector. samples: how many images. classes: labels are uniform on
        0..classes-1, for a conditional generator only. trusted: whether the file, a program, may run.
        """
        for name, value in (("latent", latent), ("samples", samples), ("classes", classes)):
            if value is not None and value < 1:
                raise InputError(f"--{name} {value} is not possible; use 1 or more")
        self.path, self.latent, self.samples, self.classes = path, latent, samples, classes
        self.seed, self.device = seed, torch.device(device)
        _check_archive(path)
        if not trusted:
            raise InputError(
                f"{path} is TorchScript, a program of its author; if it is from somebody you trust, --allow-pickle "
                "lets it run, in a process of its own that can read your files"
            )
        self._process = ScriptProcess(path, self.device)
        self._check_arguments(self._process.arguments)
        self.form = self._form()

    @property
    def notes(self) -> list[str]:
        """What a reader of the record should know; two batches are made to find it out."""
        notes = list(self.form.notes)
        if not self._repeats_itself():
            notes.append("the generator draws noise of its own: the seed does not fix its images")
        if not self._process.confined:
            notes.append("this system (no Landlock) does not keep the generator from changing files")
        return notes

    def labels(self) -> Tensor | None:
        """The labels of all images, int64 (samples,); None for an unconditional generator."""
        if self.classes is None:
            return None
        return ImageRng(self.seed, range(self.samples)).integers(self.classes)

    def images(self) -> Generator[Tensor, None, None]:
        """All images, uint8 N×3×H×W on the CPU, `BATCH` at a time."""
        for rng in image_rngs(self.seed, range(self.samples), BATCH, self.device):
            yield self._made(rng)

    def _first(self) -> ImageRng:
        return ImageRng(self.seed, range(min(BATCH, self.samples)), self.device)

    def _repeats_itself(self) -> bool:
        """Whether the first images come out the same twice; a generator with noise of its own fails this."""
        return torch.equal(self._made(self._first()), self._made(self._first()))

    def _check_arguments(self, arguments: Sequence[dict[str, Any]] | None) -> None:
        if arguments is None:
            raise InputError(f"{self.path} has no forward method; export the generator itself")
        required = sum(not argument["default"] for argument in arguments)
        if required > 2 or not arguments:
            raise InputError(
                f"the generator in {self.path} takes {required} arguments; "
                "it may take latents, or latents and labels"
            )
        if required == 2 and self.classes is None:
            raise InputError(
                f"the generator in {self.path} is conditional (it takes {arguments[0]['name']} and "
                f"{arguments[1]['name']}); pass --classes K for random labels 0..K-1"
            )
        if len(arguments) < 2 and self.classes is not None:
            raise InputError(f"the generator in {self.path} takes no labels; leave --classes out")

    def _form(self) -> Form:
        """The first form in which it makes images; `InputError` says of the first why it does not."""
        forms = [Form(column, one_hot) for one_hot in (False, True) for column in (False, True)]
        reasons = []
        for form in forms if self.classes is not None else forms[:2]:
            try:
                self._call(self._first(), form)
            except _NoImagesError as error:
                reasons.append(str(error))
            else:
                return form
        n = len(self._first())
        and_classes = "" if self.classes is None else " and --classes"
        others = "" if self.classes is None else " (labels as numbers or one-hot)"
        raise InputError(
            f"{reasons[0]}; nor does it make images of {n}×{self.latent}×1×1{others}; check "
            f"--latent{and_classes}, and that it was exported for any batch size"
        )

    def _made(self, rng: ImageRng) -> Tensor:
        try:
            made = self._call(rng, self.form)
        except _NoImagesError as error:
            raise InputError(f"{error}; check that it was exported for any batch size") from error
        return self._to_uint8(made, first=rng.indices[0] == 0)

    def _call(self, rng: ImageRng, form: Form) -> Tensor:
        """What is made of one batch, uint8 or float32 N×C×H×W; `_NoImagesError` if that is no images."""
        n = len(rng)
        labels = [] if self.classes is None else [rng.integers(self.classes)]
        if form.one_hot and self.classes is not None:
            labels = [F.one_hot(labels[0], self.classes).float()]
        inputs = [form.latents(rng.normal(self.latent)), *labels]
        answer, made = self._process.ask([tensor.cpu() for tensor in inputs])
        what, given = f"the generator in {self.path}", "×".join(map(str, inputs[0].shape))
        if "failed" in answer:
            raise _NoImagesError(f"{what} failed on {given} latents ({answer['failed']})")
        if answer["type"] != "tensor":
            raise _NoImagesError(f"{what} returns a {answer['type']}, and must return one tensor of images")
        shape = answer["shape"]
        if len(shape) != 4 or shape[0] != n or shape[1] not in (1, 3) or min(shape[2:]) < 1:
            raise _NoImagesError(
                f"{what} returns {'×'.join(map(str, shape))} for {n} latents, and must return N×3×H×W"
            )
        if max(shape[2:]) > script_process.LARGEST:
            raise InputError(f"{what} returns images of more than {script_process.LARGEST} pixels a side")
        if not made:
            raise InputError(
                f"{what} returns {answer['dtype']}; it must return floats in [-1, 1] or uint8 in 0..255"
            )
        return made[0]

    def _to_uint8(self, images: Tensor, first: bool) -> Tensor:
        what = f"the generator in {self.path}"
        if images.dtype == torch.uint8:
            return images.expand(-1, 3, -1, -1)
        if not images.isfinite().all():
            raise InputError(f"{what} returns values that are not numbers (NaN or infinite)")
        low, high = images.min().item(), images.max().item()
        if low < -1 - SLACK or high > 1 + SLACK:
            raise InputError(
                f"{what} returns floats from {low:g} to {high:g}; "
                "it must return [-1, 1] (clamp or scale at its end) or uint8 in 0..255"
            )
        if first and low >= 0:
            raise InputError(
                f"{what} returns floats from {low:g} to {high:g}, which seem to be in [0, 1]; "
                "it must return [-1, 1] (multiply by 2 and subtract 1 at its end) or uint8 in 0..255"
            )
        return quantize(images)


class _NoImagesError(Exception):
    """A generator did not take what it was given, or made no images of it."""


class ScriptProcess:
    """`script_process` with one generator in it. confined: whether it can change no file. arguments: of `forward`."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path, self._seconds, self._lock = path, _limit(), Lock()
        folder = tempfile.mkdtemp(prefix="benchbench-")
        self._child = subprocess.Popen(
            [sys.executable, "-P", script_process.__file__],  # -P: no module of the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # until torch is imported
            cwd=folder,
            env={**os.environ, "TMPDIR": folder},
            start_new_session=True,  # Ctrl-C is the parent's to pass on
        )
        self._end = weakref.finalize(self, _end, self._child, folder)
        self._send(
            {
                "path": str(path.resolve()),
                "device": str(device),
                "threads": torch.get_num_threads(),
                "matmul_precision": torch.get_float32_matmul_precision(),
                "cudnn_tf32": torch.backends.cudnn.allow_tf32,
            }
        )
        self.confined: bool = self._answer(_START)[0]["confined"]
        self._send({})
        loaded, _ = self._answer(self._seconds)
        if "failed" in loaded:
            raise InputError(f"{path} is not a TorchScript file ({loaded['failed']}); {_EXPORT}")
        self.arguments: list[dict[str, Any]] | None = loaded["arguments"]

    def ask(self, tensors: Sequence[Tensor]) -> tuple[dict[str, Any], list[Tensor]]:
        """What the generator makes of its arguments, as the child puts it."""
        with self._lock:  # passes may run in several threads
            if not self._end.alive:
                raise InputError(f"the generator in {self.path} was ended before")
            self._send({}, tensors)
            return self._answer(self._seconds)

    def _send(self, header: dict[str, Any], tensors: Sequence[Tensor] = ()) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # the child died; waiting for its answer says why
            script_process.send(self._child.stdin, header, tensors)  # type: ignore[arg-type]

    def _answer(self, seconds: float) -> tuple[dict[str, Any], list[Tensor]]:
        deadline = time.monotonic() + seconds
        (length,) = struct.unpack("<Q", self._read(8, deadline, seconds))
        header = json.loads(self._read(length, deadline, seconds))
        if "failed" in header:
            header["failed"] = to_the_user(header["failed"])
        described = header["tensors"]
        content = self._read(script_process.size_of(described), deadline, seconds)
        return header, script_process.unpacked(described, content)

    def _read(self, n: int, deadline: float, seconds: float) -> bytearray:
        assert self._child.stdout is not None
        descriptor, content = self._child.stdout.fileno(), bytearray()
        while len(content) < n:
            if not wait([descriptor], max(0.0, deadline - time.monotonic())):
                self._end()
                raise InputError(
                    f"the generator in {self.path} made nothing in {seconds:g} s, and may never end; "
                    f"{LIMIT}=N gives it N seconds a batch"
                )
            part = os.read(descriptor, min(n - len(content), 2**20))
            if not part:
                raise InputError(f"the generator in {self.path} {self._death()}")
            content += part
        return content

    def _death(self) -> str:
        code = self._child.wait()
        assert self._child.stderr is not None
        lines = self._child.stderr.read().decode(errors="replace").strip().splitlines()
        self._end()
        if code >= 0:
            return f"ended its process with exit code {code}" + (f" ({lines[-1]})" if lines else "")
        hint = "; out of memory?" if code == -signal.SIGKILL else ""
        return f"crashed its process ({signal.Signals(-code).name}{hint})"


def _end(child: subprocess.Popen[bytes], folder: str) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        assert stream is not None
        with suppress(OSError):  # what was not sent yet
            stream.close()
    shutil.rmtree(folder, ignore_errors=True)


def _limit() -> float:
    text = os.environ.get(LIMIT, "")
    try:
        seconds = float(text) if text else SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise InputError(f"{LIMIT}={text} is no number of seconds above 0")
    return seconds


def _check_archive(path: Path) -> None:
    """`InputError` for a file that cannot be TorchScript, before a process is started for it."""
    reason = "it is no zip archive"
    with (
        suppress(OSError, zipfile.BadZipFile, ValueError, NotImplementedError),
        zipfile.ZipFile(path) as archive,
    ):
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            return
        reason = "it has no constants.pkl"
    raise InputError(f"{path} is not a TorchScript file ({reason}); {_EXPORT}")
