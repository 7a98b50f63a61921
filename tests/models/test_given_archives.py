"""Generators out of archives: our own DCGAN through torch.export, TorchScript and ONNX; a small pipeline of diffusers.

Expected images are those of the module that was exported, on the same latents: networks are computed by other kernels
there, so one level is allowed.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Conditional, ImageSpec, Sampled
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.runner.resolve import resolve
from benchbench.runner.spec import CellSpec
from benchbench.tasks.speed import measure_cost

pytestmark = [pytest.mark.costly, pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")]
SPEC = ImageSpec(32, 32, grey=False, n_classes=0)
N = 3


class Networks(nn.Module):
    """The generator of our DCGAN alone: latents to floats in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model: Any = build_model("dcgan", {"latent": 6, "width": 2}, SPEC)
        self.eval()

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.model.generator(z)
        return made


class Labelled(nn.Module):
    """Every pixel is the label."""

    def __init__(self, one_hot: bool) -> None:
        super().__init__()
        self.one_hot = one_hot

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        levels = y @ torch.arange(3.0) if self.one_hot else y.float()
        return (levels / 2)[:, None, None, None] + 0 * z[:, :1, None, None].expand(-1, 3, 32, 32)


def drawn(generator: Any, n: int = N, labels: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        images: Tensor = generator.sample(n, ImageRng(7, range(n)), labels)
    return images


def close(images: Tensor, expected: Tensor) -> bool:
    """Up to a level."""
    return bool((images.int() - expected.int()).abs().max() <= 1)


def expected_of(own: Networks) -> Tensor:
    """Our model's own samples: it draws the same latents."""
    with torch.no_grad():
        return own.model.sample(N, ImageRng(7, range(N)))


@pytest.mark.parametrize("batch", [None, 2])
def test_torch_export(tmp_path: Path, batch: int | None) -> None:
    """Of any number of images, or of two a call; latents are as long as the graph says."""
    own, path = Networks(), tmp_path / "gen.pt2"
    n = {0: torch.export.Dim("n")} if batch is None else None
    torch.export.save(torch.export.export(own, (torch.zeros(batch or 2, 6),), dynamic_shapes=(n,)), path)
    model: Any = build_model(f"generator:{path}", {}, SPEC)
    assert model.form.latent == (6,)
    assert close(drawn(model), expected_of(own))
    assert ("it makes 2 images a call, whatever is asked for" in model.notes) == (batch == 2)
    weights = [sum(weight.numel() for weight in each.parameters()) for each in (model, own)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("one_hot", [False, True])
def test_torch_export_with_labels(tmp_path: Path, one_hot: bool) -> None:
    """Labels are numbers or rows as the graph has them."""
    n = torch.export.Dim("n")
    labels = torch.zeros(2, 3) if one_hot else torch.zeros(2, dtype=torch.int64)
    program = torch.export.export(
        Labelled(one_hot), (torch.zeros(2, 5), labels), dynamic_shapes=({0: n}, {0: n})
    )
    torch.export.save(program, tmp_path / "gen.pt2")
    model: Any = build_model(f"generator:{tmp_path / 'gen.pt2'}", {}, ImageSpec(32, 32, False, 3))
    assert isinstance(model, Conditional)
    assert drawn(model, labels=torch.tensor([2, 0, 1]))[:, 0, 0, 0].tolist() == [255, 0, 128]


def test_torchscript(tmp_path: Path) -> None:
    """In its own process; what nobody can count there has no number but a reason."""
    own, path = Networks(), tmp_path / "gen.ts"
    torch.jit.trace(own, torch.zeros(2, 6)).save(str(path))
    model: Any = build_model(f"generator:{path}", {"latent": 6}, SPEC)
    assert close(drawn(model), expected_of(own))
    costs = {one.metric: one for one in measure_cost(model, device=torch.device("cpu"))}
    assert costs["flops_per_image"].estimate is None
    assert "a process of its own" in str(costs["parameters_sampling"].reason)
    evaluations = costs["network_evaluations"].estimate
    assert evaluations is not None
    assert evaluations.value == 1


def test_programs_run_only_for_who_trusts_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An archive that may unpickle or is a program wants --allow-pickle, before it is read. Of one that is damaged a
    sentence is said, and torch's own log, a trace, is not."""
    own = Networks()
    torch.jit.trace(own, torch.zeros(2, 6)).save(str(tmp_path / "gen.ts"))
    (tmp_path / "gen.pt2").write_bytes(b"never read")
    for name in ("gen.ts", "gen.pt2"):
        spec = CellSpec(model=f"generator:{tmp_path / name}", dataset="digits")
        with pytest.raises(InputError, match="--allow-pickle lets it"):
            resolve(spec)
    resolve(spec.model_copy(update={"allow_pickle": True}))
    log = logging.getLogger("torch.export")
    before = [*log.filters]
    with (
        caplog.at_level("DEBUG", "torch.export"),
        pytest.raises(InputError, match=r"no archive of torch\.export"),
    ):
        build_model(f"generator:{tmp_path / 'gen.pt2'}", {}, SPEC)
    assert caplog.records == []
    assert log.filters == before


def exported_onnx(module: nn.Module, path: Path, *inputs: Tensor) -> None:
    """As users export, with whichever exporter is there."""
    names = ["z", "labels"][: len(inputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=names,
            output_names=["images"],
            dynamic_axes={name: {0: "n"} for name in names},
            dynamo=False,
        )


def test_onnx(tmp_path: Path) -> None:
    """Our DCGAN in ONNX Runtime; latents as long as the graph says, and the file's sha256."""
    pytest.importorskip("onnx", reason="onnx, which writes the file, is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    own, path = Networks(), tmp_path / "gen.onnx"
    exported_onnx(own, path, torch.zeros(2, 6))
    model: Any = build_model(f"generator:{path}", {}, SPEC)
    assert model.form.latent == (6,)
    assert close(drawn(model), expected_of(own))
    assert torch.equal(drawn(model, 2), drawn(model)[:2])
    assert "ONNX Runtime" in " ".join(model.notes)
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match="ONNX Runtime cannot read"):
        build_model(f"generator:{path}", {}, SPEC)


def test_onnx_with_labels(tmp_path: Path) -> None:
    """Labels are the input of whole numbers."""
    pytest.importorskip("onnx", reason="onnx, which writes the file, is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    exported_onnx(
        Labelled(False), tmp_path / "gen.onnx", torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64)
    )
    model: Any = build_model(f"generator:{tmp_path / 'gen.onnx'}", {}, ImageSpec(32, 32, False, 3))
    assert drawn(model, labels=torch.tensor([2, 0, 1]))[:, 0, 0, 0].tolist() == [255, 0, 128]


def test_onnx_without_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the extra."""
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "gen.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"pip install onnxruntime"):
        build_model(f"generator:{tmp_path / 'gen.onnx'}", {}, SPEC)


def ddpm_folder(folder: Path) -> Path:
    """A DDPM pipeline of 8×8 images from its config, with seeded weights."""
    diffusers = pytest.importorskip("diffusers", reason="the extra 'diffusers' is not installed")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=20)
    diffusers.DDPMPipeline(unet=unet, scheduler=scheduler).save_pretrained(folder)
    return folder


def test_a_pipeline_of_diffusers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Images are those of the pipeline under the same generators of torch; steps are a setting of sampling and what an
    image costs; images belong to their numbers; other weights are other files; more steps than it was trained in are
    refused before it draws, its default of 1,000 among them; the library says nothing of its own."""
    folder = ddpm_folder(tmp_path / "ddpm")
    diffusers = pytest.importorskip("diffusers")
    name, spec = f"generator:diffusers:{folder}", ImageSpec(8, 8, grey=False, n_classes=0)
    capfd.readouterr()
    model: Any = build_model(name, {}, spec, {"steps": 4})
    assert capfd.readouterr().err == ""
    assert isinstance(model, Sampled)
    images = drawn(model)
    seeds = ImageRng(7, range(N)).integers(2**63 - 1).tolist()
    pipeline = diffusers.DDPMPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        batch_size=N,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        num_inference_steps=4,
        output_type="np",
    ).images
    assert close(images, torch.from_numpy(made * 255).round().permute(0, 3, 1, 2))
    assert close(drawn(model, 2), images[:2])
    costs = {one.metric: one.estimate for one in measure_cost(model, device=torch.device("cpu"))}
    assert costs["network_evaluations"] is not None
    assert costs["network_evaluations"].value == 4
    assert MODELS.recorded(name) == "generator-ddpm"
    for asked, steps in (({}, 1000), ({"steps": 21}, 21)):
        with pytest.raises(
            InputError, match=rf"cannot draw in {steps} steps .*say in how many, with --set sampling"
        ):
            build_model(name, {}, spec, asked)
    with pytest.raises(InputError, match=r"no guidance_scale; leave sampling\.guidance out"):
        build_model(name, {}, spec, {"guidance": 2.0})
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"num_train_timesteps": 20', '"num_train_timesteps": 30'))
    other: Any = build_model(name, {}, spec, {"steps": 4})
    assert other.config.sha256 != model.config.sha256


def test_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of the hub that is not in the cache is refused with the command that gets it."""
    pytest.importorskip("diffusers", reason="the extra 'diffusers' is not installed")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match="nothing is downloaded here: get it with hf download nobody/no-such"
    ):
        build_model("generator:diffusers:nobody/no-such", {}, SPEC)
