"""TorchScript generators: the images of latents that are ours, what a module may be called with, what it may not do."""

from __future__ import annotations

import gc
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from forked import Script
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.seeds import ImageRng
from benchbench.data.pipeline.decode import CONVERSIONS
from benchbench.data.pipeline.streams import ImageStream, open_images
from benchbench.data.sources import torchscript
from benchbench.data.sources.options import SourceOptions

# Each generator gets a process of its own, which imports torch where that is part of the claim.
pytestmark = [pytest.mark.costly, pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")]


def read(stream: ImageStream, batch_size: int = 3) -> Tensor:
    return torch.cat(list(stream.batches(batch_size)))


class Linear(nn.Module):
    """tanh(z W), 4 latents to 3×2×2."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.linspace(-1, 1, 48).reshape(4, 12))

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.weight).reshape(-1, 3, 2, 2)


class Conditional(nn.Module):
    """Every pixel of image i is its label."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return y.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


class Noisy(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(torch.randn(z.shape[0], 3, 2, 2))


class Scaled(nn.Module):
    """Uniform-ish values: sigmoid(z) · high + low, with a NaN where `high` is NaN."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, z: Tensor) -> Tensor:
        return (torch.sigmoid(z) * self.high + self.low).reshape(-1, 1, 2, 2).expand(-1, 3, -1, -1)


class Pair(nn.Module):
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z


class Flat(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z


class Whole(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.zeros(z.shape[0], 3, 2, 2, dtype=torch.int64)


class Transposed(nn.Module):
    """A public DCGAN in small: its latents are N×4×1×1. Pixels are tanh of the latents' sums."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 3, 2, bias=False)
        nn.init.ones_(self.up.weight)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.up(z))


class OneHot(nn.Module):
    """Every pixel of image i is its label, found in a row of zeros and a one; latents are N×4×1×1."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        assert z.dim() == 4
        assert y.size(1) == 5
        return (y @ torch.arange(5.0)).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


class LabelsIfGiven(nn.Module):
    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.tanh(z).reshape(-1, 1, 2, 2) if y is None else y.to(torch.uint8).reshape(-1, 1, 1, 1)


class Half(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z).to(torch.bfloat16).reshape(-1, 1, 2, 2)


class Three(nn.Module):
    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return a


class TestTorchScript:
    @pytest.fixture(autouse=True)
    def _forked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half of these generators are refused after a few numbers; none needs two seconds of imports for them."""
        known = {"Popen": Script, "PIPE": subprocess.PIPE}
        monkeypatch.setattr(torchscript, "subprocess", SimpleNamespace(**known))

    @staticmethod
    def open(tmp_path: Path, module: nn.Module, **options: object) -> ImageStream:
        torch.jit.script(module).save(str(tmp_path / "gen.ts"))
        options = {"kind": "torchscript", "latent": 4, "samples": 70, "allow_pickle": True} | options
        return open_images(str(tmp_path / "gen.ts"), SourceOptions(**options))  # type: ignore[arg-type]

    def test_images_are_those_of_the_latents(self, tmp_path: Path) -> None:
        """Image i is round(127.5 (tanh(z_i W) + 1)), z_i the first four normals of Philox keyed (seed, i). NumPy
        in float64 is the oracle; a value within 1e-4 of a rounding edge could differ by one level, so one level
        is allowed and no more than 1% of pixels may use it."""
        stream = self.open(tmp_path, Linear(), seed=5)
        weight = np.linspace(-1, 1, 48).reshape(4, 12)
        z = [
            np.random.Generator(np.random.Philox(key=[5, i])).standard_normal(4, dtype=np.float32)
            for i in range(70)
        ]
        expected = np.rint((np.tanh(np.stack(z).astype(np.float64) @ weight) + 1) * 127.5)
        difference = np.abs(read(stream, 9).reshape(70, 12).numpy() - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01
        assert (stream.name, stream.n, stream.labels, stream.notes) == ("torchscript-gen", 70, None, ())

    def test_batch_size_changes_no_bit(self, tmp_path: Path) -> None:
        """The images are made 32 at a time whatever the consumer asks for; a second pass makes them again."""
        stream = self.open(tmp_path, Linear())
        first = read(stream, 7)
        assert all(torch.equal(read(stream, batch_size), first) for batch_size in (1, 32, 33, 70))

    def test_fewer_samples_are_the_first_ones(self, tmp_path: Path) -> None:
        """Image i belongs to (seed, i), so 64 of 70 are the same images (64 = two whole forward passes)."""
        few = read(self.open(tmp_path, Linear(), samples=64))
        assert torch.equal(few, read(self.open(tmp_path, Linear()))[:64])

    def test_conditional_generator_draws_labels(self, tmp_path: Path) -> None:
        """Every pixel shows the label it was called with (grey, copied to three channels); labels are the first
        draw of `ImageRng` and all of 0..4 occur."""
        stream = self.open(tmp_path, Conditional(), classes=5, seed=3)
        expected = ImageRng(3, range(70)).integers(5)
        assert stream.labels is not None
        assert torch.equal(stream.labels, expected)
        assert set(expected.tolist()) == set(range(5))
        assert torch.equal(read(stream).long(), expected.reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2))

    def test_noise_of_its_own_is_noted(self, tmp_path: Path) -> None:
        """`randn` inside the network: the same latents give other images, which the record must say."""
        assert "noise of its own" in self.open(tmp_path, Noisy()).notes[0]

    def test_size(self, tmp_path: Path) -> None:
        """2×2 becomes 4×4, and the notes say that it was resized."""
        stream = self.open(tmp_path, Linear(), size=4)
        assert read(stream).shape == (70, 3, 4, 4)
        assert stream.notes == (f"70 of 70 images {CONVERSIONS['resized']}",)

    @pytest.mark.parametrize(
        ("module", "options", "sentence"),
        [
            (Linear(), {"latent": None}, "needs --latent"),
            (Linear(), {"samples": None}, "needs --latent .* and --samples"),
            (Linear(), {"samples": 0}, "--samples 0"),
            (Linear(), {"latent": 5}, "failed on 32×5 latents .*check --latent"),
            (Linear(), {"classes": 3}, "takes no labels"),
            (Conditional(), {}, r"conditional \(it takes z and y\); pass --classes"),
            (Three(), {}, "takes 3 arguments"),
            (Scaled(0.0, 1.0), {}, r"seem to be in \[0, 1\]"),
            (Scaled(-1.0, 255.0), {}, r"must return \[-1, 1\]"),
            (Scaled(0.0, float("nan")), {}, "not numbers"),
            (Pair(), {}, "returns a tuple"),
            (Flat(), {}, "returns 32×4 for 32 latents"),
            (Whole(), {}, "int64"),
        ],
    )
    def test_what_is_no_generator_of_images_is_refused(
        self, tmp_path: Path, module: nn.Module, options: dict[str, object], sentence: str
    ) -> None:
        """All are found when the stream is opened, before anything expensive."""
        with pytest.raises(InputError, match=sentence):
            self.open(tmp_path, module, **options)

    def test_a_checkpoint_is_no_torchscript(self, tmp_path: Path) -> None:
        """torch.save of a state dict has the same ending; the sentence says what to do."""
        torch.save(Linear().state_dict(), tmp_path / "a.pt")
        with pytest.raises(InputError, match=r"a\.pt is not a TorchScript file .*torch\.jit\.trace"):
            open_images(str(tmp_path / "a.pt"), SourceOptions(kind="torchscript", latent=4, samples=2))

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("training", r"\(Unexpected statement kind in class body: expression statement\)"),
            ("training :", r"\(expected ident but found 'newline' here\)"),
            ("training = 3", r"\(Expected a type to present for class constant\)"),
        ],
    )
    def test_damaged_code(self, tmp_path: Path, line: str, said: str) -> None:
        """What torch says of the line `training : bool` of an archive's code, when it is another line: as a rule with
        the lines around it, and of one of them as a bug of its own to be reported. Of each the user gets the reason."""
        torch.jit.script(Linear()).save(str(tmp_path / "whole.ts"))
        with (
            zipfile.ZipFile(tmp_path / "whole.ts") as whole,
            zipfile.ZipFile(tmp_path / "a.ts", "w") as damaged,
        ):
            for name in whole.namelist():
                damaged.writestr(name, whole.read(name).replace(b"training : bool", line.encode()))
        with pytest.raises(InputError, match=rf"a\.ts is not a TorchScript file {said}; export"):
            open_images(
                str(tmp_path / "a.ts"),
                SourceOptions(kind="torchscript", latent=4, samples=2, allow_pickle=True),
            )

    def test_latents_of_one_pixel(self, tmp_path: Path) -> None:
        """N×4×1×1, as convolutions take them: found by trying and noted. Each pixel is tanh of the sum of the latents,
        here from their definition; one level is allowed to rounding."""
        stream = self.open(tmp_path, Transposed(), samples=40)
        assert stream.notes == ("the generator takes latents of N×latent×1×1",)
        expected = (torch.tanh(ImageRng(0, range(40)).normal(4).sum(1)) + 1) * 127.5
        difference = (read(stream).float() - expected.reshape(-1, 1, 1, 1)).abs()
        assert difference.max() <= 1

    def test_labels_of_another_form(self, tmp_path: Path) -> None:
        """Rows of zeros and a one where numbers are not taken; none where they may be left out and are."""
        stream = self.open(tmp_path, OneHot(), classes=5, seed=3)
        assert [*stream.notes] == [
            "the generator takes latents of N×latent×1×1",
            "the generator takes labels as one-hot rows",
        ]
        expected = ImageRng(3, range(70)).integers(5)
        assert torch.equal(read(stream).long(), expected.reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2))
        optional = self.open(tmp_path, LabelsIfGiven())
        assert (optional.labels, read(optional).shape) == (None, (70, 3, 2, 2))

    def test_narrow_floats(self, tmp_path: Path) -> None:
        """Of bfloat16, within its rounding (2⁻⁸ of 1, half a level and a half to either side) of what float32 gives."""
        made = read(self.open(tmp_path, Half(), samples=5))
        exact = (torch.tanh(ImageRng(0, range(5)).normal(4)) + 1) * 127.5
        assert (made[:, 0].reshape(5, 4).float() - exact).abs().max() <= 1.5


VICTIM = b"0123456789abcdef" * 4


class Saves(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, z: Tensor) -> Tensor:
        torch.save(z, self.path)
        return torch.tanh(z).reshape(-1, 1, 2, 2)


class Maps(nn.Module):
    """Through the memory of a file that it shares."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, z: Tensor) -> Tensor:
        shared = torch.from_file(self.path, shared=True, size=4, dtype=torch.float32)
        shared.zero_()
        return torch.tanh(z + shared[0]).reshape(-1, 1, 2, 2)


class Prints(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        print("this is not data")
        return torch.tanh(z).reshape(-1, 1, 2, 2)


class Endless(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        while bool(z.numel() > 0):
            z = z + 1
        return z


class Greedy(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.zeros(1000000000, 10000).reshape(-1, 1, 2, 2) + z[0, 0]


class TestAProgramOfOthers:
    """What a file may not do whose author is trusted with no more than images."""

    open = staticmethod(TestTorchScript.open)

    def test_it_does_not_run_unasked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without permission no process is started; the sentence names the way to permit it."""
        monkeypatch.setattr(torchscript, "ScriptProcess", None)
        with pytest.raises(InputError, match=r"gen\.ts is TorchScript, a program .*--allow-pickle"):
            self.open(tmp_path, Linear(), allow_pickle=False)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock is Linux'")
    @pytest.mark.parametrize("kind", [Saves, Maps])
    @pytest.mark.parametrize("there", [True, False])
    def test_it_changes_no_file(self, tmp_path: Path, kind: type[nn.Module], there: bool) -> None:
        """Neither one that is there, which stays as it was, nor a new one. In this process the same program does it."""
        decoy, victim = tmp_path / "decoy", tmp_path / "victim"
        for file in (decoy, victim):
            if there:
                file.write_bytes(VICTIM)
        torch.jit.script(kind(str(decoy)))(torch.zeros(2, 4))
        assert decoy.read_bytes() != VICTIM
        with suppress(InputError):  # an operation that is refused may fail or do nothing
            self.open(tmp_path, kind(str(victim)))
        assert victim.exists() == there
        assert not there or victim.read_bytes() == VICTIM

    def test_a_system_that_cannot_confine_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said with the numbers, not passed over."""
        monkeypatch.setattr(
            torchscript.ScriptProcess, "confined", property(lambda self: False, lambda self, _: None), False
        )
        assert "does not keep the generator from changing files" in self.open(tmp_path, Linear()).notes[0]

    def test_what_it_prints_goes_nowhere(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """stdout is for data."""
        assert len(read(self.open(tmp_path, Prints()))) == 70
        assert capfd.readouterr() == ("", "")

    def test_it_is_ended_when_it_takes_too_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A loop without end; the sentence names the variable that gives it longer, and the process is gone."""
        monkeypatch.setenv("BENCHBENCH_GENERATOR_SECONDS", "3")
        with pytest.raises(InputError, match=r"made nothing in 3 s, .*BENCHBENCH_GENERATOR_SECONDS=N"):
            self.open(tmp_path, Endless())
        assert children() == []

    @pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "1e400"])
    def test_a_limit_that_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: str
    ) -> None:
        """A number above 0, or nothing."""
        monkeypatch.setenv("BENCHBENCH_GENERATOR_SECONDS", seconds)
        with pytest.raises(InputError, match="is no number of seconds above 0"):
            self.open(tmp_path, Linear())

    def test_more_memory_than_there_is(self, tmp_path: Path) -> None:
        """40 TB: it fails, not the machine."""
        with pytest.raises(InputError, match=r"(failed on 32×4 latents .*memory)|out of memory"):
            self.open(tmp_path, Greedy())

    def test_its_process_ends_with_the_stream(self, tmp_path: Path) -> None:
        """And its folder is gone with it."""
        stream = self.open(tmp_path, Linear())
        assert len(children()) == 1
        folder = Path(children()[0].cwd())
        del stream
        gc.collect()
        assert children() == []
        assert not folder.exists()

    def test_its_process_crashes(self, tmp_path: Path) -> None:
        """Between two batches, from outside: a sentence, and so for whoever asks once more."""
        stream = self.open(tmp_path, Linear())
        children()[0].kill()
        for _ in range(2):
            with pytest.raises(
                InputError, match=r"crashed its process \(SIGKILL; out of memory\?\)|was ended before"
            ):
                read(stream)

    def test_modules_of_the_current_folder_are_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A `torch.py` that lies where the user stands is data, like everything there."""
        for name in ("torch", "json", "contextlib"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit(7)")
        monkeypatch.chdir(tmp_path)
        assert len(read(self.open(tmp_path, Linear()))) == 70


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "script_process" in " ".join(child.cmdline())]
