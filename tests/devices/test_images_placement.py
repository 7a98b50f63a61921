"""Images that go through networks and pair metrics on a device: the same numbers, few copies, few waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pretend_cuda import CUDA, DeviceTensor, Traffic
from torch import Tensor

import benchbench
from benchbench.core.errors import MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.features.extract import extract
from benchbench.features.extractor import load_extractor
from benchbench.features.frozen import BATCH_ON_DEVICE
from benchbench.features.resize import clean, tf1, torch_bilinear
from benchbench.metrics.pairs import paired
from benchbench.metrics.pairs.fsim import fsim
from benchbench.metrics.pairs.gmsd import gmsd
from benchbench.metrics.pairs.vif import vif

NUMBERS = "_local_scalar_dense"


def pictures(n: int, side: int = 16, seed: int = 0) -> Tensor:
    """Seeded noise, uint8 RGB."""
    return torch.randint(
        0, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.costly
@pytest.mark.parametrize("name", EXTRACTORS.names())
def test_every_extractor_on_the_device(name: str, cuda: Traffic) -> None:
    """Features and logits of two images, against the CPU's: the arithmetic is the same, so equal bits. Those whose
    weights are not at hand are skipped; on seeded weights `benchmarks/gpu.py` runs Inception-v3 too."""
    try:
        here = load_extractor(name)
    except MetricFailed as failure:
        pytest.skip(failure.reason)
    images = pictures(2, 32)
    expected, found = here(images), load_extractor(name, CUDA)(images)
    assert isinstance(found.features, DeviceTensor)
    assert torch.equal(found.features.cpu(), expected.features)
    if expected.logits is not None:
        assert found.logits is not None
        assert torch.equal(found.logits.cpu(), expected.logits)


@pytest.mark.parametrize("resize", [tf1, clean, torch_bilinear])
def test_every_resize_of_inception_on_the_device(
    resize: Callable[[Tensor, int], Tensor], cuda: Traffic
) -> None:
    """What is before the network in each of the three protocols; equal bits."""
    assert torch.equal(resize(pictures(2).to(CUDA), 29).cpu(), resize(pictures(2), 29))


@pytest.mark.parametrize("name", ["psnr", "mse", "mae", "ssim", "ms_ssim"])
def test_every_pair_metric_on_the_device(name: str, cuda: Traffic) -> None:
    """One float64 value a pair, where the pairs are; equal bits."""
    function, (x, y) = getattr(paired, name), (pictures(2, 176), pictures(2, 176, seed=1))
    found = function(x.to(CUDA), y.to(CUDA))
    assert isinstance(found, DeviceTensor)
    assert torch.equal(found.cpu(), function(x, y))


@pytest.mark.costly
@pytest.mark.parametrize("function", [vif, gmsd, fsim])
def test_every_measure_on_grey_images_on_the_device(
    function: Callable[[Tensor, Tensor], Tensor], cuda: Traffic
) -> None:
    """One float64 value a pair, where the pairs are; equal bits."""
    x, y = pictures(2, 64), pictures(2, 64, seed=1)
    found = function(x.to(CUDA), y.to(CUDA))
    assert isinstance(found, DeviceTensor)
    assert torch.equal(found.cpu(), function(x, y))


@pytest.mark.costly
def test_a_pass_does_not_wait_for_every_batch(cuda: Traffic) -> None:
    """2,000 images are 16 batches, whose rows come back in one copy each of features and logits. The moments look
    for what is not finite every 512 rows and at the end, and come back as two tensors."""
    judge = load_extractor("cnn_digits", CUDA)
    assert judge.batch_size == BATCH_ON_DEVICE
    cuda.reset()
    images = pictures(2000)
    found = extract(images, judge, need_features=True, need_logits=True)
    assert cuda.waits == {"copy to the host": 4, NUMBERS: 4}
    assert cuda.to_device == images.nbytes
    assert found.features is not None
    assert found.features.device.type == "cpu"


@pytest.mark.costly
def test_a_tensor_on_the_device_is_evaluated_where_it_is(cuda: Traffic) -> None:
    """No image is copied to the device: the samples go to the host once, for their digests, and never back. The numbers
    are those of the same images on the CPU, to float64's last digits."""
    samples, real = pictures(600), pictures(500, seed=1)
    options = {"metrics": ["fd", "kd", "ssim", "psnr", "mse"], "extractors": ["cnn_digits"], "out": None}
    expected = benchbench.evaluate(samples[:500], real, device="cpu", **options)
    benchbench.evaluate(samples[:500], real, device="cuda", **options)  # the reference is in the cache now
    there = samples[:500].to(CUDA), real.to(CUDA)
    cuda.reset()
    found = benchbench.evaluate(*there, device="cuda", **options)
    assert not [shape for shape in cuda.copies if shape[-3:] == (3, 16, 16)]
    assert found["value"].tolist() == pytest.approx(expected["value"].tolist(), rel=1e-9)
