"""What each technique promises of a model, and which models it refuses: on networks of a few channels at 8×8 pixels."""

from __future__ import annotations

import copy
import inspect
import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from benchbench.core import protocols
from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import VARIANTS
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.variants import half
from benchbench.models.variants.depthwise import separable
from benchbench.models.variants.fused import fold
from benchbench.models.variants.int8 import LEVELS, EightBit, affine
from benchbench.models.variants.pruned import Fewer, semi_structured, smallest_of
from benchbench.models.variants.technique import accelerated, rebuilt, techniques_of, written
from benchbench.models.variants.watching import answers, apart
from benchbench.tasks.profiling.stored import stored_bytes

CPU = torch.device("cpu")
SPEC = ImageSpec(16, 16, True, 10)
TINY: dict[str, dict[str, Any]] = {
    "dcgan": {"width": 8, "latent": 8},
    "vae": {"width": 8, "depth": 2, "hidden": 16, "latent": 4},
    "flow-matching": {"width": 4, "multiples": [1, 2]},
    "gan": {},
    "biggan": {"latent": 6, "width": 4, "embedding": 3},
    "real-nvp": {"width": 4, "blocks": 1},
    "pixelcnn": {"width": 6, "levels": 1, "mixtures": 2},
    "vae-discretized": {"width": 8, "depth": 2, "hidden": 16, "latent": 4},
    "ddpm": {"width": 4, "multiples": [1, 2], "timesteps": 10},
}


def show(model: Any) -> object:
    """Four images of one noise."""
    return model.sample(4, ImageRng(7, range(4), CPU))


def made(name: str) -> nn.Module:
    """A model whose batch norms do something: as they start, they only divide by √(1 + ε); and whose last layers do not
    start at zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(
            name, TINY[name], SPEC, {"steps": 2} if name in ("flow-matching", "ddpm") else None
        )
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                assert module.running_mean is not None and module.running_var is not None  # noqa: PT018
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
            elif isinstance(module, nn.Conv2d) and not module.weight.any():
                nn.init.normal_(module.weight, 0, 0.1)
    return model.eval()


def changed(name: str, variant: str) -> tuple[nn.Module, nn.Module, float]:
    """A model, its variant, and how far their answers are apart, relative to the largest number."""
    model = made(name)
    other = accelerated(model, techniques_of(variant), show, CPU)
    with torch.no_grad():
        return model, other, apart(answers(model, show), answers(other, show))


def layers(model: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers of what samples."""
    inside = model.generator if hasattr(model, "generator") else model.decoder
    return [own for own in inside.modules() if isinstance(own, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["dcgan", "vae", "flow-matching"])
def test_channels_last_keeps_the_numbers(name: str) -> None:
    """The same products in another order of memory: equal to 1e-6, float32's rounding over a few channels."""
    _, other, distance = changed(name, "channels-last")
    assert distance <= 1e-6
    wide = [w for w in other.parameters() if w.ndim == 4 and min(w.shape[1:]) > 1]
    assert wide
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in wide)


def test_fused_keeps_the_numbers_and_has_no_norm_left() -> None:
    """Folding is algebra, done in float64 and rounded once: 1e-5. The discriminator, which does not answer, keeps its
    norms."""
    model, other, distance = changed("dcgan", "fused")
    assert 0 < distance <= 1e-5
    assert any(isinstance(own, _BatchNorm) for own in model.generator.modules())  # type: ignore[union-attr]
    assert not any(isinstance(own, _BatchNorm) for own in other.generator.modules())  # type: ignore[union-attr]
    assert any(isinstance(own, _BatchNorm) for own in other.discriminator.modules())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3, bias=False), (2, 4, 8, 8)),
        (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 8, 8)),
        (nn.ConvTranspose2d(4, 6, 4, 2, 1), (2, 4, 8, 8)),
        (nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2, bias=False), (2, 4, 8, 8)),
        (nn.Linear(5, 6), (7, 5)),
    ],
)
def test_a_folded_layer_is_the_layer_with_its_norm(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """The oracle is the layer followed by torch's own batch norm; 1e-5 is float32's rounding of sums of few numbers."""
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(6).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
        assert tensor is not None
        tensor.normal_(generator=generator)
    assert norm.running_var is not None
    norm.running_var.uniform_(0.1, 3, generator=generator)
    x, layer = torch.randn(shape, generator=generator), copy.deepcopy(layer)
    with torch.no_grad():
        expected = norm(layer(x))
        fold(layer, norm)
        assert torch.allclose(layer(x), expected, atol=1e-5, rtol=1e-5)


class Shared(nn.Module):
    """Somebody else reads what the norm is given: nothing can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.ModuleDict({"layer": nn.Linear(3, 3), "norm": nn.BatchNorm1d(3)})
        self.body = _Both(self.network)

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Floats, which nobody here minds."""
        made: Tensor = self.body(rng.normal(3))
        return made


class _Both(nn.Module):
    def __init__(self, network: nn.ModuleDict) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        y = self.network["layer"](x)
        out: Tensor = y + self.network["norm"](y)
        return out


def test_what_somebody_else_reads_is_not_folded() -> None:
    """The layer's output is read twice, so the answer would be another one, and that is seen."""
    model = Shared().eval()
    model.network["norm"].running_mean.fill_(3.0)
    with pytest.raises(InputError, match="something else reads what this model's batch norms are given"):
        accelerated(model, techniques_of("fused"), show, CPU)


@pytest.mark.parametrize("name", ["dcgan", "vae", "flow-matching"])
def test_bf16_is_within_its_rounding_and_halves_weights(name: str) -> None:
    """bfloat16 keeps 8 bits, so a product is off by 2⁻⁹ at most; over a handful of layers that stays within 3% of the
    largest number. The weights of layers take two bytes each."""
    model, other, distance = changed(name, "bf16")
    assert 0 < distance <= 0.03
    assert show(other).dtype == torch.uint8  # type: ignore[attr-defined]
    assert stored_bytes(other, show) < 0.6 * stored_bytes(
        model, show
    )  # norms and biases of norms stay float32


def test_half_precision_is_around_all_that_models_are_asked_for() -> None:
    """Expected: the methods of the protocols that take or give tensors, but for those of training. Without autocast a
    layer that stores bfloat16 refuses float32."""
    training = {
        protocols.Trainable,
        protocols.Phased,
        protocols.Averaged,
        protocols.Standing,
        protocols.Observant,
    }
    training |= {protocols.Fittable, protocols.Degradation, protocols.Sampled, protocols.Choosy}
    asked = set()
    for kind in vars(protocols).values():
        if isinstance(kind, type) and getattr(kind, "_is_protocol", False) and kind not in training:
            for name, method in vars(kind).items():
                if callable(method) and not name.startswith("_") and "Tensor" in str(method.__annotations__):
                    asked.add(name)
    assert asked - {"show_styles"} <= set(half.BORDER)  # pictures that are shown before, to the model itself
    assert set(half.BORDER) - asked == {"examine"}


@pytest.mark.parametrize("name", ["real-nvp", "pixelcnn", "vae-discretized", "flow-matching", "ddpm"])
def test_likelihoods_in_half_precision(name: str) -> None:
    """Nats an image, and codes: numbers, of untrained networks within 5% of those in float32."""
    model = made(name)
    other: Any = accelerated(model, techniques_of("bf16"), show, CPU)
    images = torch.randint(
        0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    images = images[:, :1].expand(-1, 3, -1, -1).contiguous()
    for one in model.likelihoods():  # type: ignore[operator]
        found, expected = (own.nats(images, one.name, ImageRng(0, range(2), CPU)) for own in (other, model))
        torch.testing.assert_close(found.float(), expected.float(), rtol=0.05, atol=0)
    if isinstance(model, protocols.Invertible):
        codes = other.invert(images, ImageRng(0, range(2), CPU))
        assert codes.dtype is torch.float32
        assert bool(codes.isfinite().all())


def test_pruned_has_exactly_that_share_of_zeros() -> None:
    """round(share · n) weights a layer, and no weight that is left is smaller than one that went."""
    for share, variant in ((0.5, "pruned=0.5"), (0.9, "pruned=0.9")):
        model, other, _ = changed("dcgan", variant)
        for before, after in zip(layers(model), layers(other), strict=True):
            old, new = before.weight, after.weight
            assert isinstance(old, Tensor) and isinstance(new, Tensor)  # noqa: PT018
            gone = new == 0
            assert int(gone.sum()) == round(share * new.numel())
            assert torch.equal(new[~gone], old[~gone])
            assert old[gone].abs().max() <= old[~gone].abs().min()


@given(st.integers(1, 40), st.floats(0.01, 0.99), st.integers(0, 3))
def test_the_smallest_are_as_many_as_asked_for_also_where_all_are_equal(
    n: int, share: float, top: int
) -> None:
    """Ties are broken by place, so the count is exact: round(share · n)."""
    size = torch.arange(n).float().clamp(max=top)
    chosen = smallest_of(size, share)
    assert int(chosen.sum()) == round(share * n)
    assert not chosen.any() or chosen.all() or size[chosen].max() <= size[~chosen].min()


@given(st.integers(1, 5), st.integers(1, 19), st.integers(0, 2**31 - 1))
def test_of_four_in_a_row_two_go(rows: int, columns: int, seed: int) -> None:
    """Exactly 2 of each whole group of 4, the smaller ones (Mishra et al. 2021, section 3.1); a rest stays."""
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    gone, whole = semi_structured(weight), columns // 4 * 4
    assert not gone[:, whole:].any()
    for group, out in zip(
        weight.abs()[:, :whole].reshape(-1, 4), gone[:, :whole].reshape(-1, 4), strict=True
    ):
        assert int(out.sum()) == 2
        assert group[out].max() <= group[~out].min()


def test_pruned_2_4_is_that_pattern_in_every_layer() -> None:
    """Along what one output sums over: of a transposed convolution the second dimension says which output."""
    _, other, _ = changed("dcgan", "pruned=2:4")
    for layer in layers(other):
        weight = layer.weight
        assert isinstance(weight, Tensor)
        rows = (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)
        whole = rows.shape[1] // 4 * 4
        assert bool(((rows[:, :whole].unflatten(1, (-1, 4)) == 0).sum(2) == 2).all())


def test_pruned_channels_takes_whole_filters_and_leaves_colours() -> None:
    """round(0.5 · filters) of each convolution, those of the smallest sum of magnitudes (Li et al. 2017); the layer
    that makes one colour keeps it. The product has fewer filters, and parameters say so."""
    model, other, _ = changed("dcgan", "pruned-channels=0.5")
    inside = {name: own for name, own in other.generator.named_modules() if isinstance(own, Fewer)}  # type: ignore[union-attr]
    assert inside
    for name, fewer in inside.items():
        old = model.generator.get_submodule(name).weight  # type: ignore[union-attr]
        assert isinstance(old, Tensor)
        size = old.transpose(0, 1).abs().flatten(1).sum(1)
        gone = torch.ones(len(size), dtype=torch.bool).index_fill_(0, fewer.kept, False)
        assert int(gone.sum()) == round(0.5 * len(size))
        assert size[gone].max() <= size[~gone].min()
        assert fewer.inner.weight.numel() == old.numel() // 2  # type: ignore[operator,union-attr]
    colours = [own for own in other.generator.modules() if isinstance(own, nn.ConvTranspose2d)][-1]  # type: ignore[union-attr]
    assert colours.out_channels == 1


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 10, 3, stride=2, padding=1),
        nn.Conv2d(6, 10, 3, padding=1, bias=False, padding_mode="reflect"),
        nn.ConvTranspose2d(6, 10, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(6, 10, 4, 2, 1, bias=False),
    ],
)
def test_filters_that_are_left_out_are_filters_of_zeros(layer: Any, last: bool) -> None:
    """The oracle is the layer with those filters set to zero: equal to float32's rounding, in either order of memory,
    of which the maps keep the one that they came in."""
    gone = torch.arange(10) % 3 == 0
    fewer, zeroed = Fewer(layer, gone).eval(), copy.deepcopy(layer)
    x = torch.randn(2, 6, 9, 9, generator=torch.Generator().manual_seed(0))
    if last:
        x = x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        (zeroed.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else zeroed.weight)[gone] = 0
        expected, found = zeroed(x), fewer(x)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found.stride() == expected.stride()


@pytest.mark.parametrize("variant", ["fused", "int8", "bf16", "channels-last", "compile=eager"])
def test_fewer_filters_stand_beside_other_techniques(variant: str) -> None:
    """In whichever order they are done, the answer is that of fewer filters to the other's rounding (10% of the largest
    number with 8 bits, as alone)."""
    _, fewer, _ = changed("dcgan", "pruned-channels=0.5")
    _, both, _ = changed("dcgan", f"pruned-channels=0.5+{variant}")
    if variant == "fused":  # folded norms weigh filters, so that others are the smallest
        assert not any(isinstance(own, _BatchNorm) for own in both.generator.modules())  # type: ignore[union-attr]
        return
    with torch.no_grad():
        assert apart(answers(fewer, show), answers(both, show)) <= 0.1


@pytest.mark.parametrize("name", ["biggan", "real-nvp"])
def test_weights_that_are_made_at_each_call_are_settled_first(name: str) -> None:
    """Spectral norm and weight norm hide a layer's class: with them in place int8 would take next to nothing. Settled,
    layers answer the same, all of what answers is in 8 bits, and the model itself keeps its norms."""
    model = made(name)
    norms = sum(map(parametrize.is_parametrized, model.modules()))
    assert norms
    other = accelerated(model, techniques_of("int8"), show, CPU)
    assert sum(map(parametrize.is_parametrized, model.modules())) == norms
    assert not any(map(parametrize.is_parametrized, other.modules()))
    assert stored_bytes(other, show) < 0.6 * stored_bytes(model, show)
    with torch.no_grad():
        before = answers(model, show)
        assert apart(before, answers(model, show)) == 0
        assert (
            apart(before, answers(accelerated(model, techniques_of("pruned=0.001"), show, CPU), show)) < 1e-2
        )


@pytest.mark.parametrize("name", ["dcgan", "vae", "flow-matching"])
def test_int8_is_near_and_takes_a_quarter(name: str) -> None:
    """256 levels between the smallest and the largest number of each tensor round by 0.2% of its range, so that a few
    layers stay within 10% of the largest number; a weight takes one byte for four."""
    model, other, distance = changed(name, "int8")
    assert 0 < distance <= 0.1
    assert stored_bytes(other, show) < 0.45 * stored_bytes(
        model, show
    )  # norms, biases and scales stay float32
    eight = [own for own in other.modules() if isinstance(own, EightBit)]
    assert eight
    assert all(own.inner.weight().dtype == torch.qint8 for own in eight)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(8, 4, 3, padding=1), (4, 8, 8, 8)),
        (nn.Conv2d(8, 4, 3, stride=2, groups=2, bias=False), (4, 8, 8, 8)),
        (
            nn.ConvTranspose2d(8, 4, 4, 2, 1),
            (4, 8, 8, 8),
        ),  # whose onednn kernel is wrong where channels differ
        (nn.Linear(8, 5), (16, 8)),
    ],
)
def test_a_layer_in_8_bits_is_near_the_layer(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """The oracle is the float layer; three roundings to 1/255 of a range, of which a standard normal's is eight of its
    deviations, leave 5% of the length. Wrong kernels miss by more than the length itself."""
    from benchbench.models.variants.int8 import _engine

    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with (
        torch.no_grad(),
        _engine("fbgemm" if "fbgemm" in torch.backends.quantized.supported_engines else "qnnpack"),
    ):
        expected = layer(x)
        ends = [(float(own.min()), float(own.max())) for own in (x, expected)]
        found = EightBit(layer, *ends)(x)
    assert float((found - expected).norm() / expected.norm()) < 0.05


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_zero_is_exact_in_8_bits(a: float, b: float) -> None:
    """Convolutions pad with zeros: the zero point is one of the 256 levels (Jacob et al. 2018, section 2.1)."""
    scale, zero = affine(min(a, b), max(a, b))
    assert scale > 0
    assert 0 <= zero <= LEVELS


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 10, 3, stride=2, padding=1),
        nn.Conv2d(6, 10, 4, padding=1, bias=False),
        nn.ConvTranspose2d(6, 10, 4, 2, 1),
        nn.ConvTranspose2d(6, 10, 3, 2, 1, output_padding=1, bias=False),
    ],
)
def test_a_separable_convolution_has_the_shape_and_the_papers_number_of_weights(
    layer: nn.Conv2d | nn.ConvTranspose2d,
) -> None:
    """Howard et al. 2017, section 3.1: k²·M of the depthwise and M·N of the pointwise one, for k²·M·N."""
    x = torch.zeros(2, 6, 9, 9)
    apart_ = separable(layer)
    assert apart_(x).shape == layer(x).shape
    k, bias = layer.kernel_size[0], 0 if layer.bias is None else 10
    assert sum(p.numel() for p in apart_.parameters()) == k * k * 6 + 6 * 10 + bias


def test_depthwise_changes_what_answers_and_nothing_else() -> None:
    """The discriminator keeps its convolutions; a layer that starts at zero still does; gradients reach both parts."""
    model = made("dcgan")
    before = sum(1 for own in model.discriminator.modules() if isinstance(own, nn.Conv2d))  # type: ignore[union-attr]
    rebuilt(model, techniques_of("depthwise"), show, CPU)
    assert sum(1 for own in model.discriminator.modules() if isinstance(own, nn.Conv2d)) == before  # type: ignore[union-attr]
    wide = [own for own in model.generator.modules() if isinstance(own, nn.ConvTranspose2d)]  # type: ignore[union-attr]
    assert wide
    assert all(own.groups == own.in_channels for own in wide)
    zero = nn.init.zeros_(nn.Conv2d(4, 4, 3).weight)
    still = nn.Conv2d(4, 4, 3)
    still.weight.data = zero.data
    nn.init.zeros_(still.bias)  # type: ignore[arg-type]
    assert not separable(still)(torch.randn(1, 4, 8, 8)).any()


@pytest.mark.costly
def test_a_compiled_network_says_the_same() -> None:
    """With the backend that compiles nothing but goes all the way through torch.compile, bit for bit."""
    _, other, distance = changed("vae", "compile=eager")
    assert distance == 0
    assert type(other) is type(made("vae"))


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch would fail in the middle of a run, with pages of text."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        accelerated(made("vae"), techniques_of("compile"), show, CPU)


@pytest.mark.parametrize(
    ("name", "variant", "why"),
    [
        ("flow-matching", "fused", "has none behind a convolution or a linear layer"),
        ("vae", "fused", "has none behind"),
        ("gan", "channels-last", "nothing in this model's answer is one"),
        ("gan", "pruned-channels=0.5", "none is seen in this model's answer"),
        ("dcgan", "fp16", "fp16 is for CUDA devices"),
    ],
)
def test_what_a_model_cannot_have_is_refused_in_a_sentence(name: str, variant: str, why: str) -> None:
    """It says what the technique is for, and the way out; the model stays what it was."""
    model = made(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=why) as refused:
        accelerated(model, techniques_of(variant), show, CPU)
    assert "choose" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_int8_and_depthwise_say_what_they_are_for() -> None:
    """Kernels in 8 bits are for processors; an MLP has nothing to take apart."""
    with pytest.raises(InputError, match="computed by torch's kernels for processors"):
        accelerated(made("dcgan"), techniques_of("int8"), show, torch.device("meta"))
    for name in ("gan", "biggan"):
        with pytest.raises(InputError, match="depthwise takes convolutions"):
            rebuilt(made(name), techniques_of("depthwise"), show, CPU)
    with pytest.raises(InputError, match="changes layers, and this model has none"):
        rebuilt(build_model("memorizer", {}, SPEC), techniques_of("depthwise"), show, CPU)


def test_a_network_answers_with_separable_convolutions() -> None:
    """A network must not ask a layer for what only a plain convolution has: flow-matching's did."""
    for name in ("vae", "flow-matching"):
        model = made(name)
        rebuilt(model, techniques_of("depthwise"), show, CPU)
        assert answers(model, show)


@pytest.mark.parametrize("variant", ["fused", "int8", "bf16", "pruned=0.5", "channels-last", "fused+int8"])
def test_the_model_itself_is_left_as_it_is(variant: str) -> None:
    """A variant is a copy: the plain model's weights are saved afterwards, and asked again."""
    model = made("dcgan")
    before, picture = copy.deepcopy(model.state_dict()), show(model)
    accelerated(model, techniques_of(variant), show, CPU)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(show(model), picture)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "variant",
    [
        "fused",
        "int8",
        "bf16",
        "channels-last",
        "depthwise",
        pytest.param("compile=eager", marks=pytest.mark.costly),
    ],
)
def test_batches_change_no_image(variant: str) -> None:
    """Image i depends on its own stream alone: of a batch of three the third equals the one that is drawn alone, but
    for a grey level where sums are ordered otherwise."""
    model = made("dcgan")
    rebuilt(model, techniques_of(variant), show, CPU)
    other: Any = accelerated(model, techniques_of(variant), show, CPU)
    with torch.no_grad():
        together = other.sample(3, ImageRng(0, range(3), CPU))[2].int()
        alone = other.sample(1, ImageRng(0, [2], CPU))[0].int()
    assert int((together - alone).abs().max()) <= 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("int9", "unknown variant 'int9'; did you mean 'int8'"),
        ("int8=4", "the variant int8 takes nothing behind it"),
        ("pruned", "pruned=: give a share"),
        ("pruned=1.5", "give a share above 0 and below 1"),
        ("pruned=nan", "give a share"),
        ("pruned=3:4", "or 2:4"),
        ("steps=0", "give a number of steps"),
        ("steps=²", "give a number of steps"),
        ("distilled-steps", "distilled-steps=: give a number of steps"),
        ("steps=3+distilled-steps=3", "exclude each other"),
        ("compile=nothing", "has no backend 'nothing'"),
        ("int8+", "must look like"),
        ("pruned=", "must look like"),
        ("fused+fused", "names fused twice"),
        ("bf16+int8", "exclude each other"),
        ("pruned=0.5+pruned-channels=0.5", "exclude each other"),
    ],
)
def test_what_nobody_can_mean_is_refused(text: str, why: str) -> None:
    """One sentence, before anything is built."""
    with pytest.raises(InputError) as refused:
        techniques_of(text)
    assert why in str(refused.value)


def test_the_order_in_which_they_are_written_means_nothing() -> None:
    """The same techniques are the same variant, in whichever order."""
    for order in itertools.permutations(["fused", "bf16", "channels-last", "compile"]):
        assert written(techniques_of("+".join(order))) == "fused+bf16+channels-last+compile"
    assert techniques_of("") == ()
    assert written(techniques_of("steps=3")) == ""


def test_one_variant_has_one_name() -> None:
    """A number may be written in several ways and a name in capitals, as everywhere: one variant, which is measured and
    ranked once and lies under one key."""
    for text in ("pruned=0.5", "pruned=.5", "pruned=0.50", "pruned=5e-1", "PRUNED=0.5"):
        assert written(techniques_of(text)) == "pruned=0.5"
    assert techniques_of("steps=10.0")[0].text == techniques_of("steps=010")[0].text == "steps=10"
    assert written(techniques_of("pruned=2:4")) == "pruned=2:4"


def test_every_technique_says_what_it_is_and_whose() -> None:
    """`benchbench list variants` shows the first line and the paper; what takes a value has an example of it."""
    for name, technique in VARIANTS.items():
        assert technique.name == name
        assert inspect.getdoc(technique)
        assert technique.reference
        example = f"{name}={technique.example}" if technique.example else name
        assert techniques_of(example)[0].text == example
