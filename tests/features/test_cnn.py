"""The dataset's own classifiers as judges: the network that was trained, from weights that are what they say, and the
same for a dataset of the user's own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.baselines import TRAITS
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import EXTRACTORS
from benchbench.data.catalogue import load_dataset
from benchbench.features.extractor import load_extractor, traits_of
from benchbench.features.networks import cnn as module
from benchbench.features.networks.cnn import CNN, FoldedCNN, variable
from benchbench.models.build import build_model
from benchbench.training.weights import save_weights

ENV = "BENCHBENCH_CNN_CIFAR10_WEIGHTS"
OURS = ("cifar10", "digits", "mnist", "openmoji-tones")
CATS = "BENCHBENCH_CNN_FOLDER_CATS_WEIGHTS"


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for dataset in (*OURS, "folder-cats"):
        monkeypatch.delenv(variable(dataset), raising=False)


def trained(spec: ImageSpec, convs: int = 1) -> Any:
    """A `cnn` whose batch norms have something to say."""
    torch.manual_seed(0)
    model = build_model("cnn", {"convs": convs}, spec)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 2)
            torch.nn.init.normal_(part.bias)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return model.eval()


def pictures(n: int, side: int, grey: bool = False) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (n, 1 if grey else 3, side, side), dtype=torch.uint8, generator=rng)
    return images.expand(-1, 3, -1, -1).contiguous()


@pytest.mark.parametrize(("grey", "convs"), [(True, 1), (False, 2), (False, 3)])
def test_it_is_the_network_that_was_trained(
    grey: bool, convs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the model itself on the same images. Folding reorders float32 products of up to 9·128 terms:
    1e-4 relative, of the largest."""
    model = trained(ImageSpec(32, 32, grey, 10), convs)
    save_weights(model, tmp_path / "w.safetensors", name="cnn")
    monkeypatch.setenv(ENV, str(tmp_path / "w.safetensors"))
    images = pictures(5, 32, grey)
    seen = CNN.of("cifar10")()(images)
    with torch.inference_mode():
        features, logits = model.features(images), model.classify(images)
    torch.testing.assert_close(seen.features, features, rtol=1e-4, atol=1e-4 * float(features.max()))
    assert seen.logits is not None
    torch.testing.assert_close(seen.logits, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))


@pytest.mark.costly
@pytest.mark.parametrize(
    ("dataset", "right", "sha256"),
    [
        ("digits", 884, "b0b2d75fc4ebc86452be7ff5e10f464c9f19bff89cdd0f0d530d30fe73b74f0b"),
        ("openmoji-tones", 323, "6cf6218a235b86e94e3dd8fdc04949c33e15b8e5f6268fb5c4ed0aca287ee4a0"),
    ],
)
def test_shipped_weights_are_as_good_as_their_card_says(dataset: str, right: int, sha256: str) -> None:
    """884 of the 899 held-out digits and 323 of 330 tones, as the cards have it; another processor may round a tie
    the other way, so two images either way are let pass."""
    judge = CNN.of(dataset)()
    held_out = load_dataset(dataset).held_out
    logits = judge(held_out.images).logits
    assert logits is not None
    assert held_out.labels is not None
    assert abs(int((logits.argmax(1) == held_out.labels).sum()) - right) <= 2
    described = judge.describe()
    assert described["weights_sha256"] == sha256
    assert described["weights_source"] == f"shipped, baselines/cnn-{dataset}"
    assert described["resize"] == "bilinear-antialias-32"


def test_preprocessing() -> None:
    """Closed form: an image of one level is the same image at any size, up to the rounding of interpolation
    weights; a grey judge sees the mean of the channels, so (0, 30, 60) is the level 30."""
    judge = CNN.of("digits")()

    def flat(size: int, levels: tuple[int, int, int]) -> Tensor:
        return torch.tensor(levels, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, size, size)

    whole = judge(flat(32, (30, 30, 30))).features
    torch.testing.assert_close(judge(flat(64, (30, 30, 30))).features, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(judge(flat(20, (0, 30, 60))).features, whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(judge(flat(32, (90, 90, 90))).features, whole, rtol=1e-2)


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_absent(dataset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Known, and one sentence with the command that makes the weights and the variable to set."""
    (tmp_path / f"cnn-{dataset}").mkdir()
    (tmp_path / f"cnn-{dataset}" / TRAITS).write_text("input_side = 28\nn_classes = 10\n")
    monkeypatch.setattr(module, "baselines_folder", lambda: tmp_path)
    with pytest.raises(MetricFailed) as caught:
        EXTRACTORS.get(f"cnn_{dataset}")()
    assert caught.value.status == "unavailable"
    assert f"benchbench run --model cnn --dataset {dataset}, then" in caught.value.reason
    assert f"BENCHBENCH_CNN_{dataset.upper()}_WEIGHTS" in caught.value.reason


def test_what_ships_is_what_records_were_made_with() -> None:
    """The sides and digests that stood in the code when the published records were made; a name pins them."""
    found = {dataset: EXTRACTORS.get(f"cnn_{dataset}") for dataset in OURS}
    assert {
        dataset: (judge.input_side, judge.resize, judge.shipped.sha256[:8])
        for dataset, judge in found.items()
    } == {
        "cifar10": (32, "bilinear-antialias-32", "90132c65"),
        "digits": (32, "bilinear-antialias-32", "b0b2d75f"),
        "mnist": (28, "bilinear-antialias-28", "6232d652"),
        "openmoji-tones": (32, "bilinear-antialias-32", "6cf6218a"),
    }
    assert CNN.members() == list(OURS)


def test_weights_that_are_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a damaged one, another model's, another number of classes, and a shipped file that changed:
    each is "unavailable" with its reason, none is a traceback."""
    file = tmp_path / "w.safetensors"
    monkeypatch.setenv(ENV, str(file))

    def reason() -> str:
        with pytest.raises(MetricFailed) as caught:
            CNN.of("cifar10")()
        assert caught.value.status == "unavailable"
        assert "\n" not in caught.value.reason
        return caught.value.reason

    assert "which is not a file" in reason()
    file.write_bytes(b"not tensors")
    assert "damaged or no safetensors file" in reason()
    for name in ("vae", "vae-mlp"):
        save_weights(build_model(name, {}, ImageSpec(16, 16, False, 0)), file, name=name)
        assert "another network's" in reason()
    save_weights(trained(ImageSpec(32, 32, False, 7)), file)
    assert "cnn_cifar10 tell 7 classes apart, and cifar10 has 10" in reason()

    monkeypatch.setattr(module, "baselines_folder", lambda: tmp_path)
    (tmp_path / "cnn-digits").mkdir()
    (tmp_path / "cnn-digits" / TRAITS).write_text('input_side = 32\nn_classes = 10\nsha256 = "b0b2d75f"\n')
    save_weights(trained(ImageSpec(32, 32, True, 10)), tmp_path / "cnn-digits" / "weights.safetensors")
    with pytest.raises(MetricFailed, match="damaged or another file"):
        CNN.of("digits")()


def test_given_weights_go_before_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file the user names is taken as it is, and the record says which it was."""
    file = tmp_path / "mine.safetensors"
    save_weights(trained(ImageSpec(32, 32, True, 10)), file)
    monkeypatch.setenv("BENCHBENCH_CNN_DIGITS_WEIGHTS", str(file))
    described = CNN.of("digits")().describe()
    assert described["weights_sha256"] == file_sha256(file)
    assert described["weights_source"] == "a file named by BENCHBENCH_CNN_DIGITS_WEIGHTS"


def test_a_tensor_too_many_is_another_network() -> None:
    """Every tensor must have its place: one left over means that another computation was trained."""
    weights = trained(ImageSpec(32, 32, True, 10)).state_dict()
    with pytest.raises(KeyError, match=r"gate\.weight is not what a cnn has"):
        FoldedCNN({**weights, "gate.weight": torch.ones(1)})


def cats(folder: Path, spec: ImageSpec, size: str | None) -> Path:
    """Weights as a run leaves them: beside a record that says on what they were trained."""
    folder.mkdir()
    save_weights(trained(spec), folder / "weights.safetensors")
    data = {} if size is None else {"data": {"size": size}}
    (folder / "run.json").write_text(json.dumps({"dataset": "folder-cats", **data}))
    return folder / "weights.safetensors"


def test_a_judge_of_ones_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By either spelling, with what the weights (3 classes, 128 features as of every `cnn`) and the record (48×48) say:
    the network sees images at 48 pixels a side. It is listed while the variable is set."""
    assert "cnn_folder-cats" not in EXTRACTORS.names()
    monkeypatch.setenv(CATS, str(cats(tmp_path / "cell", ImageSpec(48, 48, False, 3), "48×48")))
    for name in ("cnn:folder-cats", "cnn_folder-cats"):
        judge: Any = load_extractor(name)
        assert (judge.name, judge.dim, judge.n_logits) == ("cnn_folder-cats", 128, 3)
        assert (judge.input_side, judge.describe()["resize"]) == (48, "bilinear-antialias-48")
    seen: list[torch.Size] = []
    judge.network.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0].shape))
    assert judge(pictures(2, 20)).features.shape == (2, 128)
    assert seen == [torch.Size([2, 3, 48, 48])]
    assert traits_of("cnn_folder-cats").classes_of == "folder-cats"
    assert "cnn_folder-cats" in EXTRACTORS.names()


def test_a_judge_of_ones_own_data_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights named, none that ship under a path: refused with the way to make them. No record beside the weights,
    one without a size, one of oblong images: "unavailable", each with its sentence."""
    for what in ("folder-cats", "../cnn-digits", "autoencoder-openmoji-lines"):
        with pytest.raises(
            InputError, match=r"no extractor cnn:.* point BENCHBENCH_CNN_\w+_WEIGHTS to .* cnn:digits"
        ):
            load_extractor(f"cnn:{what}")

    def reason(weights: Path) -> str:
        monkeypatch.setenv(CATS, str(weights))
        with pytest.raises(MetricFailed) as caught:
            load_extractor("cnn:folder-cats")
        assert caught.value.status == "unavailable"
        return caught.value.reason

    spec = ImageSpec(32, 32, False, 2)
    for number, size in enumerate((None, "large")):
        assert "no run.json beside it says at which size" in reason(cats(tmp_path / str(number), spec, size))
    assert "trained on images of 48×32 pixels" in reason(cats(tmp_path / "oblong", spec, "48×32"))
    alone = tmp_path / "alone"
    alone.mkdir()
    save_weights(trained(spec), alone / "w.safetensors")
    assert "no run.json beside it says at which size" in reason(alone / "w.safetensors")
    (alone / "run.json").write_text("[")
    assert "no run.json beside it says at which size" in reason(alone / "w.safetensors")
    for number, size in enumerate(("0×0", "99999999×99999999")):
        assert "at which no cnn was trained" in reason(cats(tmp_path / f"senseless-{number}", spec, size))
    (alone / "run.json").unlink()
    os.mkfifo(alone / "run.json")  # nobody writes to it: it must not be waited for
    assert "no run.json beside it says at which size" in reason(alone / "w.safetensors")
    assert "cnn_folder-cats" not in EXTRACTORS.names()
    (alone / "run.json").unlink()
    (alone / "run.json").write_text(json.dumps({"dataset": "folder-dogs", "data": {"size": "32×32"}}))
    assert "trained on folder-dogs and not on folder-cats" in reason(alone / "w.safetensors")


NO_NAMES = [
    "foo/../../x",
    "..",
    ".",
    "/",
    "a/b",
    "a\\b",
    "a b",
    "../cnn-digits",
    "digits/",
    "x\n",
    ".hidden",
    "-x",
    "a:b",
]


@pytest.mark.parametrize("what", NO_NAMES)
def test_what_records_call_no_dataset(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, a blank, an end that nobody sees: no name of a dataset, also where a variable of that spelling is set."""
    monkeypatch.setenv(variable(what), str(cats(tmp_path / "cell", ImageSpec(8, 8, False, 3), "8×8")))
    with pytest.raises(InputError, match=r"there is no extractor .*records call no dataset so") as caught:
        EXTRACTORS.get(f"cnn:{what}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["cats", "Cats", "./cats", "imgs/cats/", "folder:cats", "folder-cat"])
def test_the_member_that_may_be_meant(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records call the folder cats/ "folder-cats"; whoever leaves out how, or writes it another way, is told."""
    monkeypatch.setenv(CATS, str(cats(tmp_path / "cell", ImageSpec(8, 8, False, 3), "8×8")))
    with pytest.raises(InputError, match=r"did you mean cnn:folder-cats\?"):
        EXTRACTORS.get(f"cnn:{what}")


def test_letters_of_other_scripts_have_variables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two datasets whose names have no letter of ours: one variable each, of what a shell knows."""
    names = [variable(f"folder-{name}") for name in ("猫", "犬", "हिन्दी", "é")]
    assert len({*names}) == len(names)
    assert all(re.fullmatch("[A-Z0-9_]+", name) for name in names)
    weights = cats(tmp_path / "cell", ImageSpec(8, 8, False, 3), "8×8")
    record = weights.parent / "run.json"
    record.write_text(record.read_text().replace("folder-cats", "folder-猫"))
    monkeypatch.setenv("BENCHBENCH_CNN_FOLDER_U732B_WEIGHTS", str(weights))
    assert "cnn_folder-猫" in EXTRACTORS.names()
    assert EXTRACTORS.get("cnn:folder-猫").name == "cnn_folder-猫"
