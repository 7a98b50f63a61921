"""Training with the time that is left, from and to a checkpoint that comes back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image

from benchbench.core.seeds import ImageRng
from benchbench.training.checkpoint import FILE, Checkpoints
from benchbench.training.data import TrainingData
from benchbench.training.recipe import other_recipes
from benchbench.training.trainer import train as run_training
from benchbench.training.weights import save_weights
from gpu_sections.carried import images_of
from gpu_sections.child import Bench, SkippedError
from gpu_sections.recipes import prepared
from gpu_sections.tools import cifar, device_of

SEED = 0
EVERY = 200  # steps between checkpoints
RESERVE = 8.0  # seconds for what comes after the last step


class TimeIsUpError(Exception):
    """There is a checkpoint, and no time for the next one."""


class Until:
    """A `Progress` that stops a training at a checkpoint, before the time is up."""

    def __init__(self, bench: Bench, every: int) -> None:
        self.bench, self.every = bench, every
        self.first = self.step = 0
        self.started = self.last = time.monotonic()
        self.loss = float("nan")

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Until]:
        """Training begins, at a step that a checkpoint may have reached."""
        self.first = self.step = done
        self.started = self.last = time.monotonic()
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        """A step is done, and its checkpoint written if it was due."""
        self.step += n
        self.loss = numbers.get("loss", self.loss)
        if self.step % self.every:
            return
        now = time.monotonic()
        taken, self.last = now - self.last, now
        if self.bench.left() < RESERVE + 1.5 * taken:
            raise TimeIsUpError

    def note(self, text: str) -> None:
        """Into the log."""
        print(text, flush=True)


def train(bench: Bench) -> None:
    """The CIFAR-10 recipe of the model that was asked for, `gpu.toml` where there is one."""
    name = bench.settings.train
    if name is None:
        raise SkippedError("no model was asked for")
    device = device_of(bench)
    folder = bench.settings.out / "train" / f"{name}-cifar10"
    folder.mkdir(parents=True, exist_ok=True)
    before = bench.settings.resume
    if before is not None and before.resolve() != folder.resolve():
        shutil.copy2(before / FILE, folder / FILE)
    images, labels, kind = cifar_all(bench)
    held_out, _, _ = cifar(bench, "test", 64 if bench.small else 2000)
    made = prepared(name, "cifar10", 8, recipe_file=other_recipes(name, "cifar10").get("gpu"))
    every = 2 if bench.small else EVERY
    config = made.training.model_copy(update={"checkpoint_every": every})
    if bench.small:
        config = config.model_copy(update={"batch_size": 4, "steps": 6, "epochs": None})
    until = Until(bench, every)
    try:
        run_training(
            made.model,
            TrainingData(images, labels, held_out),
            config,
            seed=SEED,
            device=device,
            checkpoints=Checkpoints(folder, {"model": name, "recipe": "cifar10", "images": kind}),
            progress=until,
        )
        done = "trained to the end"
    except TimeIsUpError:
        done = "stopped at a checkpoint"
        put_average(made.model, folder)
    say(bench, name, until, config.batch_size, f"{done}; {len(images):,} images, {kind}")
    save_weights(made.model, folder / "weights.safetensors", name=name)
    picture(made.model, folder / "samples.png", device)
    size = (folder / FILE).stat().st_size / 1e6
    bench.measure(f"{name} on cifar10: checkpoint", size, "MB", note="--resume takes its folder")


def put_average(model: torch.nn.Module, folder: Path) -> None:
    """The averaged weights of the checkpoint, if it has any: those that the training would hand out now."""
    state = torch.load(folder / FILE, map_location="cpu", weights_only=True)["state"]
    if state["ema"] is not None:
        model.load_state_dict(state["model"] | state["ema"][0])


def cifar_all(bench: Bench) -> tuple[torch.Tensor, torch.Tensor, str]:
    """All training images that travelled, or made-up ones."""
    most = 64 if bench.small else 50_000
    found = images_of(bench.settings.carried, "cifar10_train", most)
    if found is None:
        return cifar(bench, "train", most)
    return torch.from_numpy(found[0]), torch.from_numpy(found[1]), "CIFAR-10"


def say(bench: Bench, name: str, until: Until, batch_size: int, note: str) -> None:
    """How far it came and how fast."""
    steps = until.step - until.first
    seconds = max(time.monotonic() - until.started, 1e-9)
    bench.measure(f"{name} on cifar10: steps", until.step, "steps", note=f"from step {until.first}; {note}")
    bench.measure(f"{name} on cifar10: speed", steps / seconds, "steps/s", note=f"batches of {batch_size}")
    bench.measure(f"{name} on cifar10: last loss", until.loss, "")


def picture(model: torch.nn.Module, path: Path, device: torch.device) -> None:
    """64 samples in a square, of the weights as they are now."""
    model.eval()
    with torch.inference_mode():
        images = model.sample(64, ImageRng(SEED, range(64), device)).cpu()  # type: ignore[operator]
    rows = images.view(8, 8, *images.shape[1:]).permute(0, 3, 1, 4, 2)
    height, width = images.shape[2:]
    Image.fromarray(rows.reshape(8 * height, 8 * width, 3).numpy()).save(path)
