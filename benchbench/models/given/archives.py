"""Generators out of archives of PyTorch: what torch.export wrote, and TorchScript.

An archive of torch.export is a graph that runs here, but reading it may unpickle; TorchScript is a program, which runs
in a process of its own (`data.sources.script_process`). Whoever plans a run asks for `--allow-pickle` for both.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, because
from benchbench.core.hashing import file_sha256
from benchbench.data.sources.torchscript import ScriptProcess
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.signature import Argument, called
from benchbench.models.given.where import Where

MADE_BY = "torch.export.save(torch.export.export(generator, (latents,)), PATH)"


def load_export(where: Where) -> Loaded:
    """What torch.export.save wrote; `InputError` where it is something else or is called with what nobody knows."""
    sha256 = file_sha256(where.path)
    try:
        with _silent("torch.export"):  # which writes a trace of its own before it raises
            program = torch.export.load(where.path)
    except Exception as error:  # whatever a damaged archive meets first
        raise InputError(
            f"{where.path} is no archive of torch.export that this torch reads ({because(error)}); make it with "
            f"{MADE_BY}"
        ) from error
    names = {*program.graph_signature.user_inputs}
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    how = called([Argument(str(node.name), True) for node in inputs], where.title)
    latents = inputs[0].meta["val"]
    batch, *shape = latents.shape
    if len(program.graph_signature.user_outputs) != 1:
        raise _several(where, len(program.graph_signature.user_outputs))
    labels = next((node.meta["val"] for node in inputs if node.name == how.label), None)
    net = _Exported(program)
    return Loaded(
        title=where.title,
        call=net,
        takes=how.takes,
        labels=how.labels,
        sha256=sha256,
        net=net,
        latent=tuple(shape) if all(isinstance(side, int) for side in shape) else None,
        batch=batch if isinstance(batch, int) else None,
        one_hot=None if labels is None else labels.is_floating_point(),
        stored=True,
    )


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Inside, the logger of that name says nothing."""
    logger = logging.getLogger(name)

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


class _Exported(nn.Module):
    """The graph of a program, with its weights, on whatever device its latents are on."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self._program = program
        self._where = "cpu"
        self.net = program.module()

    def train(self, mode: bool = True) -> _Exported:
        """Nothing: a graph was exported in one mode and refuses to be told of another."""
        return self

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Any:
        if str(z.device) != self._where:
            from torch.export.passes import move_to_device_pass

            self._program = move_to_device_pass(
                self._program, str(z.device)
            )  # constants of the graph as well
            self.net, self._where = self._program.module(), str(z.device)
        return self.net(z) if labels is None else self.net(z, labels)


def load_torchscript(where: Where) -> Loaded:
    """What `torch.jit.save` wrote, in a process of its own; `InputError` where it is something else."""
    sha256 = file_sha256(where.path)
    process = _process(where, sha256, "cpu")
    if process.arguments is None:
        raise InputError(f"{where.path} has no forward method; export the generator itself")
    arguments = [Argument(str(one["name"]), not one["default"]) for one in process.arguments]
    how = called(arguments, where.title)

    def call(first: Tensor, labels: Tensor | None) -> Tensor:
        tensors = [first.cpu(), *([] if labels is None else [labels.cpu()])]
        answer, made = _process(where, sha256, str(first.device)).ask(tensors)
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        if answer["type"] != "tensor":
            raise _several(where, answer["type"])
        if not made:
            shape = "×".join(map(str, answer["shape"]))
            raise RuntimeError(
                f"it returns {answer['dtype']} {shape}, and must return floats or uint8, N×C×H×W"
            )
        return made[0]

    confined = [] if process.confined else ["this system (no Landlock) does not keep it from changing files"]
    return Loaded(
        title=where.title,
        call=call,
        takes=how.takes,
        labels=how.labels,
        sha256=sha256,
        outside="its network runs in a process of its own, where nobody counts",
        stored=True,
        notes=confined,
    )


@cache
def _process(where: Where, sha256: str, device: str) -> ScriptProcess:
    """One process a file, content and device, which ends with this one: starting it takes seconds."""
    return ScriptProcess(where.path, torch.device(device))


def _several(where: Where, what: object) -> InputError:
    returned = f"{what} tensors" if isinstance(what, int) else f"a {what}"
    return InputError(f"{where.title} returns {returned} and must return one tensor of images")
