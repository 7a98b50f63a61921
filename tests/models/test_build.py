"""Names, hyper-parameters and ways of drawing to models."""

from __future__ import annotations

import pytest

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.models.style.nst import NST
from benchbench.models.vae.vae import MLPVAE

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


def test_how_images_are_drawn_reaches_the_model() -> None:
    """Over the defaults, and apart from the hyper-parameters; a model that draws in one way takes none."""
    spec = ImageSpec(32, 32, False, 2)
    model = build_model("nst", {"tv_weight": 1.0}, spec, {"iterations": 3})
    assert isinstance(model, NST)
    assert model.sampling == NST.Sampling(iterations=3, start="content")
    assert build_model("nst", {}, spec).sampling == NST.Sampling()
    with pytest.raises(InputError, match="unknown hyper-parameter of nst 'iterations'"):
        build_model("nst", {"iterations": 3}, spec)
    with pytest.raises(InputError, match="sampling setting of nst iterations=0: input should be greater"):
        build_model("nst", {}, spec, {"iterations": 0})
    with pytest.raises(InputError, match=r"unknown sampling setting of vae-mlp 'steps'\. Known: none"):
        build_model("vae-mlp", {}, SPEC, {"steps": 3})


def test_a_list_of_words_is_said_whole() -> None:
    """Of a type that is a union of two lists pydantic names each with a tag of its own; a user has one."""
    with pytest.raises(InputError) as refused:
        build_model("flow-matching", {}, ImageSpec(8, 8, True, 10), {"solver": "rk4"})
    assert str(refused.value) == (
        "sampling setting of flow-matching solver='rk4': input should be 'euler', 'midpoint', 'heun' or 'dopri5'"
    )


def test_none_is_a_word() -> None:
    """A shell and TOML have no other way to say that a setting is off; a number has to be one all the same."""
    spec = ImageSpec(16, 16, False, 3)
    small = {"latent": 6, "width": 4, "embedding": 3}
    for word in ("none", "None"):
        assert build_model("biggan", small, spec, {"truncation": word}).sampling.truncation is None  # type: ignore[union-attr]
    with pytest.raises(InputError, match="truncation='nothing'"):
        build_model("biggan", small, spec, {"truncation": "nothing"})
    with pytest.raises(InputError, match="latent='none'"):
        build_model("biggan", {"latent": "none"}, spec)
