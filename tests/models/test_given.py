"""Generators that others wrote: how they are called is found, what they make is read right, and what cannot be is said.

Expected images come from the generators' own formulas on the latents of Philox keyed (seed, i), by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from theirs import LAYERS, write_public
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError, NotImagesError
from benchbench.core.protocols import Conditional, Examined, ImageSpec
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.given.family import generator as given
from benchbench.models.given.python_file import load_python
from benchbench.models.given.where import Where, parse, recorded

SPEC = ImageSpec(8, 8, grey=False, n_classes=0)
LABELLED = ImageSpec(8, 8, grey=False, n_classes=3)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A Python file, and one beside it that it imports."""
    return write_public(tmp_path)


def latents(seed: int, indices: range, *shape: int) -> Tensor:
    """The first normals of each image's Philox stream, as NumPy draws them."""
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, i])).standard_normal(shape, dtype=np.float32)
        for i in indices
    ]
    return torch.from_numpy(np.stack(rows))


def drawn(generator: Any, n: int = 4, seed: int = 3, labels: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        images: Tensor = generator.sample(n, ImageRng(seed, range(n)), labels)
    return images


class Spread(nn.Module):
    """`scale` of the first latent plus `shift` in every pixel, in some form."""

    nz = 4

    def __init__(self, form: Callable[[Tensor], Tensor] = torch.tanh, column: bool = False) -> None:
        super().__init__()
        self.form, self.column = form, column

    def forward(self, z: Tensor) -> Tensor:
        assert z.ndim == (4 if self.column else 2)
        return self.form(z.reshape(len(z), -1)[:, :1, None, None].expand(-1, 3, 8, 8))


FIRST = latents(3, range(4), 4)[:, 0]
TANH = ((torch.tanh(FIRST) + 1) * 127.5).round()


@pytest.mark.parametrize(
    ("form", "expected", "options"),
    [
        (torch.tanh, TANH, {}),
        (torch.sigmoid, (torch.sigmoid(FIRST) * 255).round(), {}),
        (lambda z: torch.sigmoid(z) * 255, (torch.sigmoid(FIRST) * 255).round(), {}),
        (lambda z: (torch.sigmoid(z) * 255).to(torch.uint8), (torch.sigmoid(FIRST) * 255).floor(), {}),
        (lambda z: torch.tanh(z).permute(0, 2, 3, 1), TANH, {}),
        (lambda z: torch.tanh(z)[:, :1], TANH, {}),
        (lambda z: torch.tanh(z).double(), TANH, {}),
        (lambda z: torch.tanh(z).numpy(), TANH, {}),
        (lambda z: z, ((FIRST.clamp(-1, 1) + 1) * 127.5).round(), {"range": "-1,1"}),
        (torch.sigmoid, ((torch.sigmoid(FIRST) + 1) * 127.5).round(), {"range": [-1, 1]}),
    ],
    ids=["tanh", "sigmoid", "0..255", "uint8", "NHWC", "grey", "double", "numpy", "cut off", "said"],
)
def test_whatever_it_returns_is_read_as_levels(
    form: Callable[[Tensor], Tensor], expected: Tensor, options: dict[str, Any]
) -> None:
    """In [-1, 1], [0, 1] or [0, 255], as uint8, channels last, grey, of another dtype, or as somebody says. A level of
    slack, for tanh and sigmoid round otherwise at a batch of another size."""
    images = drawn(given(Spread(form), **options))
    assert images.dtype == torch.uint8
    assert images.shape == (4, 3, 8, 8)
    assert (images.float() - expected[:, None, None, None]).abs().max() <= 1


def test_what_was_found_is_said() -> None:
    """The latents, their size, and what black and white are."""
    generator = given(Spread(torch.sigmoid, column=True))
    assert generator.form.latent == (4, 1, 1)
    notes = " ".join(generator.examine(torch.device("cpu")))
    assert "standard normal, N×4×1×1" in notes
    assert "floats in [0, 1], NCHW" in notes
    assert generator.describe()["range"] == [0.0, 1.0]
    assert isinstance(generator, Examined)


@pytest.mark.parametrize(("distribution", "length"), [("uniform", None), ("sphere", 2.0)])
def test_latents_are_of_the_distribution_that_was_said(distribution: str, length: float | None) -> None:
    """Uniform ones are 2u − 1 of the image's own stream; those of the sphere have the length √4."""
    seen: list[Tensor] = []

    def generator(z: Tensor) -> Tensor:
        seen.append(z)
        return torch.zeros(len(z), 3, 8, 8, dtype=torch.uint8)

    drawn(given(generator, latent=4, distribution=distribution))
    if length is None:
        rows = [
            np.random.Generator(np.random.Philox(key=[3, i])).random(4, dtype=np.float32) for i in range(4)
        ]
        assert torch.equal(seen[-1], torch.from_numpy(np.stack(rows)) * 2 - 1)
    else:
        assert torch.allclose(seen[-1].norm(dim=1), torch.full((4,), length))


class Told(nn.Module):
    """Every pixel is the label, told as a number or by a row."""

    def __init__(self, one_hot: bool) -> None:
        super().__init__()
        self.one_hot = one_hot
        self.first = nn.Linear(4 + 3 if one_hot else 4, 3)
        self.embed = nn.Embedding(3, 4)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        if self.one_hot:
            self.first(torch.cat([z, y], 1))
            y = y.argmax(1)
        else:
            self.first(z + self.embed(y))
        return (y * 100).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


@pytest.mark.parametrize("one_hot", [False, True])
def test_labels_are_told_as_it_takes_them(one_hot: bool) -> None:
    """As numbers, or as rows where numbers fail; of a first layer that takes latents and a row, the latents are what
    remains."""
    generator = given(Told(one_hot), classes=3)
    assert isinstance(generator, Conditional)
    assert generator.conditional
    assert generator.form.latent == (4,)
    assert drawn(generator, labels=torch.tensor([2, 0, 1, 1]))[:, 0, 0, 0].tolist() == [200, 0, 100, 100]
    asked = drawn(generator)[:, 0, 0, 0]  # drawn from each image's own stream where nobody asks
    rows = [np.random.Generator(np.random.Philox(key=[3, i])).integers(3) for i in range(4)]
    assert asked.tolist() == [100 * int(row) for row in rows]


def test_labels_that_it_may_be_told() -> None:
    """An optional argument of a label's name: told where there are classes, else not."""

    def generator(z: Tensor, labels: Tensor | None = None) -> Tensor:
        told = torch.full((len(z),), 7) if labels is None else labels
        return told.to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)

    assert drawn(given(generator, classes=3, latent=2), labels=torch.tensor([2, 1, 0, 0]))[
        :, 0, 0, 0
    ].tolist() == [2, 1, 0, 0]
    assert set(drawn(given(generator, latent=2)).flatten().tolist()) == {7}
    assert set(drawn(given(generator, classes=3, latent=2, labels="none")).flatten().tolist()) == {7}


def noisy(z: Tensor) -> Tensor:
    """As StyleGAN does, noise of its own beside the latents."""
    return torch.sigmoid(z[:, :1, None, None] + torch.randn(len(z), 3, 8, 8))


def counted(n: int) -> Tensor:
    """From torch's, NumPy's and Python's generators."""
    return torch.rand(n, 3, 8, 8) * float(np.random.rand())


def of_stream(n: int, rng: ImageRng) -> Tensor:
    """From ours."""
    return torch.sigmoid(rng.normal(3, 8, 8))


@pytest.mark.parametrize("generator", [Spread(), noisy, counted, of_stream])
def test_images_belong_to_seed_and_number(generator: Any) -> None:
    """Image i is the same in any batch, whatever it draws from, and another under another seed; the global generators
    draw afterwards what they would have drawn."""
    own = given(generator, **({"latent": 4} if generator is noisy else {}))
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    whole = drawn(own)
    assert (torch.rand(1), np.random.rand()) == expected
    assert torch.equal(own.sample(2, ImageRng(3, [2, 1])), whole[[2, 1]])
    assert not torch.equal(drawn(own, seed=4), whole)
    assert own.form.alone == (generator in (noisy, counted))


@pytest.mark.parametrize(
    ("generator", "said", "sentence"),
    [
        (lambda z, size, y: z, {"latent": 3}, "it is not known what size should be"),
        (lambda x, t: x, {"latent": 3}, "one step of a sampler"),
        (lambda z: z, {}, "say it with --set latent=N"),
        (lambda z: (z, z), {"latent": 3}, "a tuple of 2 things, and must return one tensor"),
        (lambda z: z.flatten(1), {"latent": 3}, "returns 2×3 for 2 images, and must return N×3×H×W"),
        (lambda z: torch.zeros(len(z), 4, 8, 8), {"latent": 3}, "images of 1 or 3 channels"),
        (lambda z: torch.zeros(1, 3, 8, 8), {"latent": 3}, "1×3×8×8 for 2 images"),
        (lambda z: torch.zeros(len(z), 3, 8, 8).long(), {"latent": 3}, "returns int64"),
        (lambda z: z.no_such, {"latent": 3}, "failed on 2×3 latents"),
        (lambda z: None, {"latent": 3}, "returns a NoneType"),
        (lambda: 3, {}, "takes no arguments"),
        (
            torch.zeros(2, 3, 8, 8),
            {},
            "^a thing of type Tensor cannot be called for images; .*evaluate scores",
        ),
        (Spread, {}, "^the class Spread cannot be called for images"),
        (Spread(), {"labels": "numbers"}, "takes no labels"),
        (of_stream, {"latent": 3}, "takes no latents"),
        (Told(False), {}, "there are none here"),
    ],
)
def test_what_is_no_generator_is_said_when_it_is_made(
    generator: Any, said: dict[str, Any], sentence: str
) -> None:
    """One sentence, before anything expensive."""
    with pytest.raises(InputError, match=sentence):
        given(generator, **said)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (lambda z: z * float("nan"), r"not numbers \(NaN or infinite\)"),
        (lambda z: z * 1000, r"--set range=-1,1"),
    ],
)
def test_what_is_no_image_is_said_when_it_is_looked_at(
    form: Callable[[Tensor], Tensor], sentence: str
) -> None:
    """Values that are no numbers, and those of which nobody can tell what they mean."""
    with pytest.raises(InputError, match=sentence):
        given(Spread(form)).examine(torch.device("cpu"))


def test_what_goes_wrong_later_is_the_cells_failure() -> None:
    """An image beyond what the first ones showed, and an error after them."""
    module = Spread(torch.sigmoid)
    generator = given(module)
    generator.examine(torch.device("cpu"))
    module.form = torch.tanh
    with pytest.raises(NotImagesError, match=r"its first images lay in \[0, 1\]"):
        drawn(generator, 16)
    module.form = lambda z: z.no_such  # type: ignore[attr-defined]
    with pytest.raises(CellFailed, match="no_such"):
        drawn(generator)


def test_a_module_of_theirs_and_its_arguments(theirs: Path) -> None:
    """The class is made of `args`, of the file's own folder; its latents are N×nz×1×1, found from its first layer; the
    names of its weights are its own; equal files give equal configs and a changed neighbour another."""
    name = f"generator:{theirs}:Generator"
    model: Any = build_model(name, {"args": {"nz": 5}}, SPEC)
    assert model.form.latent == (5, 1, 1)
    assert "main.0.weight" in model.state_dict()
    assert MODELS.recorded(name) == "generator-dcgan"
    again: Any = build_model(name, {"args": {"nz": 5}}, SPEC)
    assert model.config == again.config
    (theirs.parent / "layers.py").write_text(LAYERS + "# another\n")
    changed: Any = build_model(name, {"args": {"nz": 5}}, SPEC)
    assert changed.config.sha256 != model.config.sha256
    with pytest.raises(InputError, match="is not what was asked for"):
        build_model(name, {"args": {"nz": 5}, "sha256": model.config.sha256}, SPEC)
    expected = model.net.eval()(latents(3, range(4), 5, 1, 1))
    assert (drawn(model).float() - (expected.detach() + 1) * 127.5).abs().max() <= 1


def test_two_files_with_neighbours_of_one_name(theirs: Path, tmp_path: Path) -> None:
    """Each gets its own `layers.py`; Python's path and its modules are as before."""
    import sys

    other = tmp_path / "other"
    other.mkdir()
    (other / "dcgan.py").write_text("from layers import draws\n")
    (other / "layers.py").write_text(
        "def draws(z):\n    return z[:, :3, None, None].expand(-1, -1, 8, 8).sigmoid()\n"
    )
    before = list(sys.path)
    build_model(f"generator:{theirs}:make_generator", {}, SPEC)
    model: Any = build_model(f"generator:{other / 'dcgan.py'}:draws", {"latent": 3}, SPEC)
    assert model.form.latent == (3,)
    assert sys.path == before
    assert "layers" not in sys.modules


@pytest.mark.parametrize(
    ("function", "settings", "sentence"),
    [
        ("Generater", {}, "did you mean 'Generator'"),
        ("Generator", {}, "needs nz: give them with --set args.nz=…"),
        ("Generator", {"args": {"nz": 5, "gnf": 3}}, "did you mean 'ngf'"),
        ("Generator", {"args": {"nz": "five"}}, "cannot be made"),
        ("broken", {}, "cannot be made: KeyError"),
        (
            "returns_images",
            {},
            "returns a Tensor: a function that needs no arguments is to return the generator",
        ),
        ("TWO", {}, "is a int and cannot be called"),
        ("draws", {}, "say it with --set latent=N"),
        ("make_generator", {"latent": 7}, "failed on 2×7 latents"),
    ],
)
def test_what_a_file_does_not_have(
    theirs: Path, function: str, settings: dict[str, Any], sentence: str
) -> None:
    """One sentence with the way out."""
    with pytest.raises(InputError, match=sentence):
        build_model(f"generator:{theirs}:{function}", settings, SPEC)


def test_images_of_another_size_than_the_datasets(theirs: Path) -> None:
    """Refused before anything is drawn, with the size that would do."""
    with pytest.raises(InputError, match=r"8×8 pixels and the dataset has 32×32; use --size 8"):
        build_model(f"generator:{theirs}:make_generator", {}, ImageSpec(32, 32, False, 0))


def test_where_nothing_is(tmp_path: Path) -> None:
    """No file, a folder, a pipe, weights alone, something else, a file that cannot be imported."""
    os.mkfifo(tmp_path / "pipe.py")
    torch.save({"a": torch.zeros(1)}, tmp_path / "G.pth")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "ends.py").write_text("raise SystemExit(3)")
    (tmp_path / "empty.py").write_text("")
    for what, sentence in {
        "gone.py:f": "there is no generator",
        ".": "is a folder",
        "pipe.py": "is a pipe",
        "G.pth": "holds weights and no generator; .* --weights",
        "notes.txt": "no generator that is known",
        "ends.py": "cannot be imported: SystemExit: 3",
        "empty.py": "has no make_generator",
    }.items():
        with pytest.raises(InputError, match=sentence):
            build_model(f"generator:{tmp_path / what}", {}, SPEC)


def test_names_in_tables(theirs: Path, tmp_path: Path) -> None:
    """Safe for a folder; what is left out is told apart by a digest."""
    odd = tmp_path / "mein modell.py"
    odd.write_text("")
    assert recorded(f"{theirs}:Generator") == "generator-dcgan"
    assert recorded(str(odd)).startswith("generator-mein-modell-")
    assert parse(f"{theirs}:Generator").function == "Generator"


def test_two_generators_of_one_file_are_two(tmp_path: Path) -> None:
    """Keys are made of the config, which names no place: were it of the file alone, one of them would be answered with
    the record of the other. `make_generator` is what is meant without a name, so both ways to say it are one."""
    file = tmp_path / "gen.py"
    draws = "    return rng.normal((n, 3, 8, 8)).clamp(0, 1)\n"
    file.write_text(
        f"def few(n, rng):\n{draws}\ndef many(n, rng):\n{draws}\ndef make_generator():\n    return few\n"
    )
    few, many, plain, named = (
        load_python(Where("python", str(file), name), {}).sha256
        for name in ("few", "many", "", "make_generator")
    )
    assert len({few, many, plain}) == 3
    assert plain == named
