"""The VQ-VAE: its codebook by hand, where gradients go, the two stages, and the prior that it samples by."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Batch, Conditional, ImageSpec, Observant, Trainable
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.autoregressive.codebook import Codebook, perplexity, unused
from benchbench.models.autoregressive.vqvae import VQVAE
from benchbench.models.build import build_model
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

SPEC = ImageSpec(8, 8, False, 3)
SMALL: dict[str, Any] = {"width": 6, "codes": 8, "dim": 3, "residual": 1, "prior_width": 6, "prior_blocks": 1}


def build(spec: ImageSpec = SPEC, seed: int = 0, **hyper: Any) -> VQVAE:
    torch.manual_seed(seed)
    model = build_model("vqvae", SMALL | hyper, spec)
    assert isinstance(model, VQVAE)
    return model


def pictures(n: int, spec: ImageSpec = SPEC, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    shape = (n, spec.channels, spec.height, spec.width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng).expand(-1, 3, -1, -1).contiguous()


def batch_of(n: int = 6, step: int = 0, total: int = 10) -> Batch:
    return Batch(pictures(n) / 127.5 - 1, torch.arange(n) % 3, step, total)


def used(spec: ImageSpec = SPEC, **hyper: Any) -> VQVAE:
    """One whose codebook has seen images, in eval mode."""
    model = build(spec, **hyper)
    model.quantized(pictures(16, spec)[:, : spec.channels] / 127.5 - 1)
    return model.eval()


# The codebook


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 0.99))
def test_averages_by_hand(seed: int, decay: float) -> None:
    """Appendix A.1 as a loop in NumPy: N_i and m_i from the vectors nearest to each entry, e_i = m_i/N_i, three steps
    on. All entries begin as vectors of the first batch with N_i = 1. float32 against float64: 1e-4 of numbers around
    1; N_i has 1e-5 added."""
    torch.manual_seed(seed)
    book = Codebook(4, 2, decay)
    rng = torch.Generator().manual_seed(seed)
    batches = torch.randn(3, 5, 2, 2, 2, generator=rng)
    book(batches[0])
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    flat = batches[0].movedim(1, -1).reshape(-1, 2).double().numpy()
    torch.randn(4, 2)  # what the entries were before anything was seen
    entries = flat[torch.randint(len(flat), (4,)).numpy()]
    torch.random.set_rng_state(state)
    assume(len(np.unique(entries, axis=0)) == 4)  # of two alike, rounding says which one is nearest
    counts, sums = np.ones(4), entries.copy()
    for number, batch in enumerate(batches):
        flat = batch.movedim(1, -1).reshape(-1, 2).double().numpy()
        nearest = ((flat[:, None] - entries[None]) ** 2).sum(2).argmin(1)
        for i in range(4):
            chosen = flat[nearest == i]
            counts[i] = decay * counts[i] + (1 - decay) * len(chosen)
            sums[i] = decay * sums[i] + (1 - decay) * chosen.sum(0)
        entries = sums / counts[:, None]
        if number:
            book(batch)
    np.testing.assert_allclose(book.counts.numpy(), counts, rtol=1e-5)
    np.testing.assert_allclose(book.entries.numpy(), entries, atol=1e-3)


def test_half_precision_takes_no_neighbour() -> None:
    """Which entry is nearest is the same to the bit under autocast, where a product of vectors would have the 8 bits of
    bfloat16: of these entries, of which some lie 1e-3 from each other, it would take others for a part. The prior
    learns the codes that the decoder is shown."""
    codebook = Codebook(64, 8, decay=0.9).eval()
    generator = torch.Generator().manual_seed(0)
    entries = torch.randn(32, 8, generator=generator)
    codebook.entries.copy_(torch.cat([entries, entries + 1e-3 * torch.randn(32, 8, generator=generator)]))
    z = torch.randn(4, 8, 6, 6, generator=generator)
    expected = codebook.nearest(z)
    flat = z.movedim(1, -1)
    with torch.autocast("cpu", torch.bfloat16):
        assert (flat @ codebook.entries.T).dtype is torch.bfloat16
        assert torch.equal(codebook.nearest(z), expected)
    model, batch = used(), batch_of()
    met = []
    model.prior_nats = lambda indices, labels: met.append(indices) or torch.zeros(1)  # type: ignore[method-assign]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        model.loss("prior", batch)
        assert torch.equal(met[0], model.quantized(batch.x).indices)


def test_straight_through() -> None:
    """What comes out are entries, and the gradient with respect to what went in is that with respect to what came out
    (section 3.2), whatever stands behind; the commitment's is 2 (z - e) over the number of values."""
    torch.manual_seed(0)
    book = Codebook(5, 3, 0.9)
    book(torch.randn(4, 3, 2, 2))
    book.eval()
    z = torch.randn(2, 3, 2, 2, requires_grad=True)
    vectors, indices, commitment = book(z)
    torch.testing.assert_close(vectors, book.vectors(indices))
    distances = (z.movedim(1, -1)[..., None, :] - book.entries).norm(dim=-1)
    assert torch.equal(indices, distances.argmin(-1))
    weight = torch.randn_like(z)
    (through,) = torch.autograd.grad((vectors.sin() * weight).sum(), z)
    torch.testing.assert_close(through, vectors.detach().cos() * weight)
    (pulled,) = torch.autograd.grad(commitment, z)
    torch.testing.assert_close(pulled, 2 * (z - book.vectors(indices)).detach() / z.numel())


def test_entries_move_while_training_only() -> None:
    """In eval mode a pass changes no buffer; all of them are in the state dict, so checkpoints and weights have
    them."""
    book = Codebook(5, 3, 0.9)
    book(torch.randn(4, 3, 2, 2))
    before = {name: value.clone() for name, value in book.state_dict().items()}
    assert set(before) == {"entries", "counts", "sums"}
    book.eval()
    book(torch.randn(4, 3, 2, 2))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())
    book.train()
    book(torch.randn(4, 3, 2, 2))
    assert not torch.equal(book.entries, before["entries"])


@pytest.mark.parametrize("restart", [0.0, 0.5])
def test_dead_entries(restart: float) -> None:
    """An entry far from everything stays where it is, by default: m_i and N_i shrink alike. With `restart` it becomes
    a vector of the batch once fewer choose it than that."""
    torch.manual_seed(0)
    book = Codebook(3, 2, 0.5, restart)
    z = torch.randn(8, 2, 3, 3)
    book(z)
    with torch.no_grad():
        book.entries[2] = book.sums[2] = torch.tensor([100.0, 100.0])
        book.counts[2] = 1
    for _ in range(4):
        book(z)
    if restart:
        assert float(book.entries[2].norm()) < 10
        assert float(book.counts.min()) > restart
    else:
        assert float(book.counts[2]) == pytest.approx(0.5**4)
        assert book.entries[2].tolist() == pytest.approx([100, 100], rel=1e-3)


def test_an_entry_that_is_chosen_often_enough_stays() -> None:
    """The only entry is chosen by all 72 vectors a step, more than the 50 that keep it, so it is moved to one of them
    once and then comes to their mean: what it began with weighs 50/72·0.9^60 = 0.1%."""
    torch.manual_seed(0)
    book = Codebook(1, 2, 0.9, restart=50.0)
    z = torch.randn(8, 2, 3, 3)
    for _ in range(60):
        book(z)
    torch.testing.assert_close(book.entries[0], z.mean((0, 2, 3)), atol=0.01, rtol=0)
    assert float(book.counts[0]) == pytest.approx(72, rel=0.01)


def test_perplexity() -> None:
    """n for equal shares, 1 for one entry; shares 1/2, 1/4, 1/4 have 3/2 bits, so 2^1.5."""
    assert perplexity(torch.arange(6), 6).item() == pytest.approx(6, rel=1e-6)
    assert perplexity(torch.zeros(5, dtype=torch.int64), 6).item() == pytest.approx(1)
    assert perplexity(torch.tensor([[0, 0], [1, 2]]), 6).item() == pytest.approx(2**1.5, rel=1e-6)
    assert unused(torch.tensor([[0, 0], [1, 2]]), 6) == 3


# The autoencoder


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28)])
def test_codes(size: tuple[int, int]) -> None:
    """Codes are entries, of the map that the halvings leave, also of sides that do not divide. A vector near an entry
    stands for it, so a small step changes nothing; there and back is the reconstruction."""
    spec = ImageSpec(*size, True, 0)
    model = used(spec)
    assert isinstance(model, Autoencoder)
    images = pictures(3, spec)
    with torch.inference_mode():
        codes = model.encode(images)
        height, width = math.ceil(size[0] / 4), math.ceil(size[1] / 4)
        assert codes.shape == (3, 3 * height * width)
        vectors = codes.view(3, 3, -1).movedim(1, -1).reshape(-1, 3)
        assert (torch.cdist(vectors, model.codebook.entries).min(1).values < 1e-3).all()
        assert torch.equal(model.encode(images), codes)
        again = model.decode(codes)
        assert again.shape == images.shape
        assert torch.equal(again, model.reconstruct(images))
        assert torch.equal(again, model.decode(codes + 1e-6))
        alone = model.encode(images[1:2])
        torch.testing.assert_close(alone, codes[1:2])
        with pytest.raises(InputError, match="was built for"):
            model.encode(pictures(1, ImageSpec(5, 8, True, 0)))


def test_gradients_of_the_autoencoder() -> None:
    """Its loss reaches every weight of encoder and decoder and no other; the prior's reaches the prior alone."""
    model = build(prior_levels=2)
    assert isinstance(model, Trainable)
    players = model.players()
    for player, batch in (("autoencoder", batch_of()), ("prior", batch_of(step=1))):
        model.zero_grad()
        loss, _ = model.loss(player, batch)
        loss.backward()
        own = {id(p) for p in players[player].parameters()}
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) <= (id(parameter) in own), name
        moved = [p for p in players[player].parameters() if p.grad is not None and p.grad.abs().sum() > 0]
        assert len(moved) > 0.8 * len(
            own
        )  # of the prior the last block above feeds nothing but the one beside it
    weights = [*players["autoencoder"].parameters(), *players["prior"].parameters()]
    assert {id(p) for p in weights} == {id(p) for p in model.parameters()}


def test_loss_by_hand() -> None:
    """Equation 3: the squared error of what the decoder makes of the entries, and β times the squared distance to
    them."""
    model = used(beta=0.7)
    batch = batch_of()
    loss, logs = model.loss("autoencoder", batch)
    z = model.encoder(batch.x)
    entries = model.codebook.vectors(model.codebook.nearest(z))
    error = (model.decoder(entries) - batch.x).square().mean()
    commitment = (z - entries).square().mean()
    assert loss.item() == pytest.approx(float((error + 0.7 * commitment).detach()), rel=1e-5)
    assert logs["reconstruction"].item() == pytest.approx(float(error.detach()), rel=1e-5)
    assert 1 <= logs["perplexity"].item() <= 8


def test_the_prior_is_a_distribution_in_order() -> None:
    """The nats of an entry by a softmax over what the prior says with all later entries put out: nothing else is
    needed. The mean is the player's loss."""
    model = used()
    batch = batch_of(2)
    indices = model.codebook.nearest(model.encoder(batch.x))
    nats = model.prior_nats(indices, None)
    for place in range(4):
        i, j = divmod(place, 2)
        known = indices.flatten(1).clone()
        known[:, place:] = 0
        logits = model.prior(model.embedding(known.view(2, 2, 2)).movedim(-1, 1))[:, :, i, j]
        expected = -logits.log_softmax(1).gather(1, indices[:, i, j, None])[:, 0]
        torch.testing.assert_close(nats[:, i, j], expected)
    loss, logs = model.loss("prior", batch)
    torch.testing.assert_close(loss, nats.mean())
    assert logs["bits_per_code"].item() == pytest.approx(loss.item() / math.log(2), rel=1e-6)


def test_epoch_statistics() -> None:
    """What a decoder, a count and the prior say of held-out images; of a conditional prior, which has no labels
    there, no bits."""
    model = used()
    assert isinstance(model, Observant)
    images = pictures(20, seed=5)
    with torch.inference_mode():
        found = model.epoch_statistics(images)
        indices = model.codebook.nearest(model.encoder(images / 127.5 - 1))
    shares = np.bincount(indices.flatten().numpy(), minlength=8) / indices.numel()
    entropy = -sum(share * math.log(share) for share in shares if share)
    assert found["held_out_perplexity"] == pytest.approx(math.exp(entropy), rel=1e-5)
    assert found["dead_codes"] == (shares == 0).sum()
    assert found["held_out_bits_per_code"] > 0
    with torch.inference_mode():
        assert "held_out_bits_per_code" not in used(conditional=True).epoch_statistics(images)


# The stages


def go(model: nn.Module, folder: Any = None, **settings: Any) -> None:
    config = TrainingConfig.model_validate({"batch_size": 8, "lr": 1e-2, **settings})
    data = TrainingData(pictures(24), torch.arange(24) % 3, pictures(4, seed=1))
    checkpoints = Checkpoints(folder, {}) if folder else None
    train(model, data, config, seed=0, device=torch.device("cpu"), checkpoints=checkpoints)


def parts(model: VQVAE) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and buffers of the autoencoder, and of the prior."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    prior = {name: state.pop(name) for name in list(state) if name.startswith(("prior.", "embedding."))}
    return state, prior


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_two_stages() -> None:
    """With pretrain=4 of 6 steps the prior stands still for four, and the autoencoder, codebook and all, from then
    on; with 0 both move in every step."""
    assert [tuple(build(pretrain=2).turns(step)) for step in (0, 1, 2, 3)] == [("autoencoder",)] * 2 + [
        ("prior",)
    ] * 2
    stage = build(pretrain=4)
    seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    class Watched(VQVAE):
        def turns(self, step: int) -> Any:
            if len(seen) == step:
                seen.append(parts(self))
            return super().turns(step)

    stage.__class__ = Watched
    go(stage, steps=6)
    seen.append(parts(stage))
    moves = [(not equal(a[0], b[0]), not equal(a[1], b[1])) for a, b in itertools.pairwise(seen)]
    assert moves == [(True, False)] * 4 + [(False, True)] * 2
    both = build()
    before = parts(both)
    go(both, steps=1)
    assert not equal(before[0], parts(both)[0])
    assert not equal(before[1], parts(both)[1])


def test_a_training_without_a_second_stage_is_refused() -> None:
    """And says what to do."""
    with pytest.raises(InputError, match=r"leaves the prior none of the 4 steps; lower model\.pretrain"):
        go(build(pretrain=4), steps=4)


@pytest.mark.parametrize("stop", [2, 5])
def test_it_resumes_exactly(stop: int, tmp_path: Any) -> None:
    """Interrupted in either stage, with restarts of dead entries and an average of the prior: the same weights and
    buffers bit for bit."""
    options: dict[str, Any] = {"steps": 7, "checkpoint_every": 1, "ema_decay": 0.9}
    hyper: dict[str, Any] = {"pretrain": 4, "restart": 0.3, "prior_dropout": 0.2}

    class Stopping(VQVAE):
        def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            if batch.step == stop:
                raise InterruptedError
            return super().loss(player, batch)

    whole, stopping, resumed = (build(**hyper) for _ in range(3))
    go(whole, **options)
    stopping.__class__ = Stopping
    with pytest.raises(InterruptedError):
        go(stopping, tmp_path, **options)
    go(resumed, tmp_path, **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


# Samples


def test_samples() -> None:
    """Decoder's images of maps from the prior: independent of the batch, of the given class where it is conditional,
    and one and the same near temperature 0."""
    model = used(conditional=True, prior_levels=2)
    assert isinstance(model, Conditional)
    with torch.no_grad():
        for parameter in model.players()["prior"].parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    with torch.inference_mode():
        made = [
            torch.cat([model.sample(len(rng), rng) for rng in image_rngs(3, range(6), size)])
            for size in (6, 4, 1)
        ]
        assert torch.equal(made[0], made[1])
        assert torch.equal(made[0], made[2])
        assert made[0].shape == (6, 3, 8, 8)
        drawn = ImageRng(3, range(6)).integers(3)
        assert torch.equal(model.sample(6, ImageRng(3, range(6)), drawn), made[0])
        assert not torch.equal(model.sample(6, ImageRng(3, range(6)), (drawn + 1) % 3), made[0])
        model.sampling = VQVAE.Sampling(temperature=1e-4)
        cold = model.sample(6, ImageRng(3, range(6)), torch.zeros(6, dtype=torch.int64))
        assert len(cold.unique(dim=0)) == 1
    with pytest.raises(InputError, match="no labels"):
        build(ImageSpec(8, 8, True, 0), conditional=True)


def test_drawn_maps_follow_the_prior() -> None:
    """Of 4,000 maps of 1×2 entries, how often each of the 9 pairs comes against what `prior_nats` says of it: χ² with
    8 degrees of freedom below 43, its 1 - 1e-6 quantile. Pairs are told by the images that they decode to."""
    spec = ImageSpec(4, 8, True, 0)
    model = used(spec, codes=3)
    with torch.no_grad():
        for parameter in model.players()["prior"].parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        model.codebook.entries.copy_(5 * torch.randn(3, 3))  # so that no two decode to the same levels
        for parameter in model.decoder.parameters():
            parameter.mul_(1.5)
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3)).view(9, 1, 2)
    with torch.inference_mode():
        probabilities = (-model.prior_nats(pairs, None).sum((1, 2))).exp()
        decoded = model.decode(model.codebook.vectors(pairs).flatten(1)).flatten(1).int()
        made = model.sample(4000, ImageRng(0, range(4000))).flatten(1).int()
    assert len(decoded.unique(dim=0)) == 9
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5)
    distances = (made[:, None] - decoded[None]).abs().amax(2)
    assert int(distances.min(1).values.max()) <= 1  # products of other sizes round otherwise
    counts = distances.argmin(1).bincount(minlength=9)
    expected = 4000 * probabilities
    assert float(((counts - expected).square() / expected).sum()) < 43
