"""What a model takes: parameters that take part, operations, and memory that is this process's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.tasks.speed import measure_cost, own_peak_rss

CPU = torch.device("cpu")


def cost(model: nn.Module, **options: Any) -> dict[str, float]:
    return {found.metric: found.estimate.value for found in measure_cost(model, device=CPU, **options)}


class Toy(nn.Module):
    """Samples noise through one linear layer of 4×12; what else there is takes no part in it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 12, bias=False)
        self.shift = nn.Parameter(torch.zeros(12))  # no module's weight
        self.critic = nn.Sequential(nn.Linear(12, 5), nn.Linear(5, 1))  # 65 and 6

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        made = self.linear(rng.normal(4)) + self.shift.detach()
        return made.mul(40).add(128).clamp(0, 255).to(torch.uint8).reshape(n, 3, 2, 2)


def test_cost_by_hand() -> None:
    """48 weights and 12 shifts make an image, with 2 · 4 · 12 = 96 operations in the product; 71 more are the
    critic's."""
    found = cost(Toy().eval())
    assert (found["parameters_sampling"], found["parameters_training"]) == (60, 131)
    assert found["flops_per_image"] == 96
    assert found["machine_load"] >= 0


def test_what_is_done_decides() -> None:
    """`once` reads the critic's first layer alone: 12 · 5 + 5."""
    model = Toy()
    found = cost(model, once=lambda: model.critic[0](torch.zeros(1, 12)))
    assert (found["parameters_sampling"], found["parameters_training"]) == (65, 131)


def test_a_parametrized_weight_is_read() -> None:
    """Behind spectral norm the weight is a tensor made of the parameter: 12 + 3 all the same."""
    model = nn.Sequential(spectral_norm(nn.Linear(4, 3)), nn.Linear(3, 1)).eval()
    found = cost(model, once=lambda: model[0](torch.zeros(1, 4)))
    assert (found["parameters_sampling"], found["parameters_training"]) == (15, 19)


def test_no_parameters() -> None:
    """A control has none."""
    spec = ImageSpec(8, 8, grey=True, n_classes=0)
    found = cost(build_model("noise", {}, spec))
    assert (found["parameters_sampling"], found["parameters_training"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("gan", "generator"),
        ("dcgan", "generator"),
        ("cgan", "generator"),
        ("sngan", "generator"),
        ("biggan", "generator"),
        ("stylegan2", "generator"),
        ("vae", "decoder"),
    ],
)
def test_a_family_is_sampled_by_one_network(name: str, part: str) -> None:
    """The generator of a GAN and the decoder of a VAE, counted by their own `parameters`; training takes all."""
    model = build_model(name, {}, ImageSpec(16, 16, grey=True, n_classes=3)).eval()
    found = cost(model)
    own = sum(p.numel() for p in getattr(model, part).parameters())
    everything = sum(p.numel() for p in model.parameters())
    assert (found["parameters_sampling"], found["parameters_training"]) == (own, everything)
    assert own < everything


LINUX = Path("/proc/self/status").exists()


@pytest.mark.costly
@pytest.mark.skipif(not LINUX, reason="other systems have no VmHWM to compare with")
def test_memory_is_the_childs_own() -> None:
    """A process that holds 600 MiB starts a child, which makes 64 MiB more than torch of its own and says what it
    takes. What the kernel calls its largest resident set (VmHWM, read by the child itself afterwards) is the truth to
    5%; what `ru_maxrss` would have said is the parent's, which is why this test can fail."""
    child = textwrap.dedent(
        """
        import resource, torch
        from torch import nn
        from benchbench.tasks.speed import measure_cost

        ballast = torch.ones(16 * 2**20)
        model = nn.Linear(2, 2)
        found = measure_cost(model, device=torch.device("cpu"), once=lambda: model(torch.zeros(1, 2)))
        (said,) = [f.estimate.value for f in found if f.metric == "peak_memory_rss"]
        status = open("/proc/self/status").read()
        (truth,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        print(said, int(truth) / 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        """
    )
    parent = (
        "import subprocess, sys; hold = b'x' * (600 * 2**20); "
        "subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent, child], capture_output=True, text=True, check=True, timeout=120
    )
    said, truth, inherited = map(float, done.stdout.split())
    assert said == pytest.approx(truth, rel=0.05)
    assert said > 64
    assert inherited >= 600


def test_memory_of_a_device_is_the_models_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An allocator that holds 1,000 MiB of others (judges, what training left) and 7 more at the peak of the call,
    which the peak of before, 5,000, does not hide: 7 MiB and the weights, 2^20 float32 numbers and a buffer of as
    many: 15."""
    model = nn.Linear(1024, 1024, bias=False)
    model.register_buffer("table", torch.zeros(2**20))
    peak = [5000]
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1000 * 2**20)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: peak.__setitem__(0, 1000))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peak[0] * 2**20)

    def once() -> None:
        peak[0] = max(peak[0], 1007)

    (found,) = [
        m
        for m in measure_cost(model, device=torch.device("cuda"), once=once)
        if m.metric.startswith("peak_memory")
    ]
    assert (found.metric, found.estimate.value, found.version, found.n_images) == (
        "peak_memory_cuda",
        15,
        2,
        1,
    )


def test_memory_counts_what_this_process_touches() -> None:
    """After 200 MiB were written it is no smaller than they are, and never smaller than before: a peak only rises."""
    before = own_peak_rss()
    ballast = torch.ones(50 * 2**20)
    after = own_peak_rss()
    assert after >= before
    assert after >= 4 * len(ballast)
