"""Names and hyper-parameters to models, and the identity of code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.models.code import code_hash
from benchbench.models.controls import Noise
from benchbench.models.vae import MLPVAE, ConvVAE

SPEC = ImageSpec(16, 16, True, 0)


def test_overrides_reach_the_model() -> None:
    """The class behind the name, with the config asked for."""
    model = build_model("vae-mlp", {"latent": 3}, SPEC)
    assert isinstance(model, MLPVAE)
    assert model.config == MLPVAE.Config(latent=3)


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("vea", {}, "unknown model 'vea'; did you mean 'vae'"),
        ("vae", {"latnet": 3}, "unknown hyper-parameter of vae 'latnet'; did you mean 'latent'"),
        ("vae", {"beta": 3}, "unknown hyper-parameter of vae 'beta'"),
        ("vae", {"latent": "many"}, "hyper-parameter of vae latent='many': input should be a valid integer"),
        ("vae", {"latent": 0}, "hyper-parameter of vae latent=0: input should be greater than or equal to 1"),
        ("noise", {"modes": 2}, "unknown hyper-parameter of noise 'modes'. Known: none"),
    ],
)
def test_mistakes_are_one_sentence(name: str, hyper: dict[str, object], message: str) -> None:
    """The message names what is wrong, what it was and what is known."""
    with pytest.raises(InputError) as error:
        build_model(name, hyper, SPEC)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin of its own: a model, a module it imports, one that imports in turn, and one nobody imports."""
    folder = tmp_path / "plugin_for_code_hash"
    folder.mkdir()
    sources = {
        "__init__": "",
        "model": "from . import blocks\nfrom benchbench.models.vae import VAE\nclass Mine(VAE): ...\n",
        "blocks": "def f():\n    from plugin_for_code_hash.deep import g\n    return g\n",
        "deep": "g = 1\n",
        "unrelated": "h = 1\n",
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def test_code_hash_follows_imports(package: Path) -> None:
    """It changes with the module of the class, with one imported relatively, with one imported inside a
    function two steps away and with the package's `__init__`; not with a module nobody imports, nor with
    CRLF."""
    model = importlib.import_module("plugin_for_code_hash.model").Mine
    seen = {code_hash(model)}
    for name in ("model.py", "blocks.py", "deep.py", "__init__.py"):
        file = package / name
        file.write_text(file.read_text() + "# changed\n")
        assert code_hash(model) not in seen, name
        seen.add(code_hash(model))
    before = code_hash(model)
    (package / "unrelated.py").write_text("h = 2\n")
    (package / "deep.py").write_bytes((package / "deep.py").read_bytes().replace(b"\n", b"\r\n"))
    assert code_hash(model) == before


def test_code_hash_of_ours() -> None:
    """Equal for the two families of one file, another for another file."""
    assert code_hash(ConvVAE) == code_hash(MLPVAE) != code_hash(Noise)


def test_code_hash_without_source() -> None:
    """A class made on the fly has no file to be identified by."""
    with pytest.raises(InputError, match="source of Loose cannot be found"):
        code_hash(type("Loose", (), {"__module__": "typed_at_a_prompt"}))
