"""Schedules, the moving average and the settings, by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.models.build import build_model, validated
from benchbench.training.config import VALIDATION, TrainingConfig
from benchbench.training.recipe import load_recipe
from benchbench.training.step.ema import EMA, HalfLife, Power, Ramp, gamma_of
from benchbench.training.step.optim import lr_factor, make_optimizer


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # 4 steps of warm-up, then 16 to go: steps 8, 12 and 16 are a quarter, a half and three quarters
        # through
        ("constant", [0.25, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.25, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("constant_then_linear", [0.25, 1.0, 1.0, 1.0, 1.0, 0.5]),
        ("cosine", [0.25, 1.0, 1.0, 0.5 + 2**-1.5, 0.5, 0.5 - 2**-1.5]),
    ],
)
def test_schedules_by_hand(schedule: str, expected: list[float]) -> None:
    """cos(π/4) = 2^-½, so a quarter through half a cosine stands at ½ + 2^-1.5."""
    config = TrainingConfig.model_validate({"schedule": schedule, "warmup_steps": 4})
    assert [lr_factor(step, 20, config) for step in (0, 3, 4, 8, 12, 16)] == pytest.approx(expected)


def test_warm_up_longer_than_training() -> None:
    """It never leaves the ramp and never divides by zero."""
    config = TrainingConfig(schedule="cosine", warmup_steps=10)
    assert [lr_factor(step, 5, config) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_optimizers() -> None:
    """The class, rates and momentum that the settings say."""
    parameters = list(nn.Linear(2, 2).parameters())
    adam = make_optimizer(parameters, TrainingConfig(lr=0.2, betas=(0.5, 0.9), weight_decay=0.1).of("it"))
    assert type(adam) is torch.optim.Adam
    assert {key: adam.param_groups[0][key] for key in ("lr", "betas", "weight_decay")} == {
        "lr": 0.2,
        "betas": (0.5, 0.9),
        "weight_decay": 0.1,
    }
    assert type(make_optimizer(parameters, TrainingConfig(optimizer="adamw").of("it"))) is torch.optim.AdamW
    sgd = make_optimizer(parameters, TrainingConfig(optimizer="sgd", betas=(0.7, 0.9)).of("it"))
    assert type(sgd) is torch.optim.SGD
    assert sgd.param_groups[0]["momentum"] == 0.7


def test_ramp_by_hand() -> None:
    """(1 + t)/(10 + t): 0.1 at first, 0.5 at 8, then the decay itself."""
    ramp = TrainingConfig(ema_decay=0.99).average
    assert ramp is not None
    assert [ramp.decay_at(t, 4) for t in (0, 8, 10_000)] == pytest.approx([0.1, 0.5, 0.99])


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.25])
def test_power_is_the_average_by_a_power_function(width: float) -> None:
    """Weights θ_t = t over T steps: the average Σ θ_t (t^(γ+1) - (t-1)^(γ+1)) / T^(γ+1), the integral of τ^γ by pieces,
    in closed form; and the deviation of the density (γ+1) τ^γ on [0, 1] is the width that was asked for: its mean is
    (γ+1)/(γ+2), its second moment (γ+1)/(γ+3)."""
    power, gamma = Power(kind="power", width=width), gamma_of(width)
    average = -100.0  # of initial weights, which must not matter
    for update in range(200):
        decay = power.decay_at(update, 4)
        average = decay * average + (1 - decay) * (update + 1)
    edges = [(t / 200) ** (gamma + 1) for t in range(201)]
    expected = sum(t * (edges[t] - edges[t - 1]) for t in range(1, 201))
    assert average == pytest.approx(expected, rel=1e-9)
    variance = (gamma + 1) / (gamma + 3) - ((gamma + 1) / (gamma + 2)) ** 2
    assert variance**0.5 == pytest.approx(width, rel=1e-6)


def test_half_life_by_hand() -> None:
    """Steps of 5 images and a half-life of 10: what was there counts half after two steps. With a ramp of 0.1 the
    half-life is 0 at first, 5 after 50 images, and 10 from 100 images on."""
    plain, ramped = (HalfLife(kind="halflife", images=10, rampup=part) for part in (0.0, 0.1))
    assert [plain.decay_at(t, 5) for t in (0, 7)] == pytest.approx([0.5**0.5] * 2)
    assert [ramped.decay_at(t, 5) for t in (0, 10, 20, 99)] == pytest.approx([0, 0.5, 0.5**0.5, 0.5**0.5])


def test_kinds_of_average_are_said_by_settings() -> None:
    """As tables; a ramp has the identity of `ema_decay`, the others one of their own, and nobody says both."""
    read = [f"ema.{text}" for text in ("kind=halflife", "images=500", "rampup=0.05")]
    assert load_recipe("vae", None, None, read).training.average == HalfLife(
        kind="halflife", images=500, rampup=0.05
    )
    ramp = TrainingConfig.model_validate({"ema": {"kind": "ramp", "decay": 0.99}})
    assert ramp.average == TrainingConfig(ema_decay=0.99).average
    assert ramp.hyper() == TrainingConfig(ema_decay=0.99).hyper()
    power = TrainingConfig.model_validate({"ema": {"kind": "power"}}).hyper()
    assert power == TrainingConfig().hyper() | {"ema": {"kind": "power", "width": 0.1}}
    assert TrainingConfig().average is None
    with pytest.raises(ValueError, match="ema_decay and ema both say"):
        TrainingConfig.model_validate({"ema": {"kind": "power"}, "ema_decay": 0.9})
    for wrong, words in (
        ("ema.kind=mean", "training setting ema=.*: input tag 'mean' found"),
        ("ema.decay=0.5", "training setting ema=.*: unable to extract tag"),
        ('ema={kind="power", width=0.3}', r"training setting ema.power.width=0.3: input should be less than"),
    ):
        with pytest.raises(InputError, match=words):
            load_recipe("vae", None, None, [wrong])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12), st.floats(0.05, 0.999))
def test_ema_is_its_closed_form(weights: list[float], decay: float) -> None:
    """average_T = Π d_t · w_0 + Σ_t (1 - d_t)·Π_{s>t} d_s · w_t, in float64: 1e-12 is rounding."""
    model = nn.Linear(1, 1, bias=False).double()
    model.weight.data.fill_(3.0)
    ema = EMA(model, Ramp(kind="ramp", decay=decay))
    for weight in weights:
        model.weight.data.fill_(weight)
        ema.update(4)
    decays = [min(decay, (1 + t) / (10 + t)) for t in range(len(weights))]
    expected = 3.0
    for d in decays:
        expected *= d
    for t, weight in enumerate(weights):
        share = 1 - decays[t]
        for d in decays[t + 1 :]:
            share *= d
        expected += share * weight
    assert float(ema.state["weight"].item()) == pytest.approx(expected, abs=1e-12)


def test_ema_keeps_parameters_alone_and_leaves_the_model_alone() -> None:
    """Running batch statistics are handed out as they are; the model's own weights do not change."""
    model = nn.BatchNorm1d(2)
    ema = EMA(model, Ramp(kind="ramp", decay=0.9))
    before = copy.deepcopy(model.state_dict())
    ema.update(4)
    assert ema.state.keys() == {"weight", "bias"}
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_ema_takes_along_the_statistics_that_a_flow_is_made_of() -> None:
    """A flow's batch norms are steps of its density. Three steps of training, the average by hand from what weights and
    statistics were after each: by the ramp's (1 + t) / (10 + t), 0.1, 2/11 and 0.25. float32."""
    torch.manual_seed(0)
    model = build_model("real-nvp", {"width": 4, "blocks": 1}, ImageSpec(4, 4, True, 0)).train()
    ema = EMA(model, Ramp(kind="ramp", decay=0.9))
    assert ema.state.keys() == {key for key, _ in (*model.named_parameters(), *model.named_buffers())} & set(
        model.state_dict()
    )
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    for decay in (0.1, 2 / 11, 0.25):
        x = torch.randint(0, 256, (8, 1, 4, 4)) / 127.5 - 1
        model.loss(Phase("flow"), Batch(x, None, 0, 3))[0].backward()  # type: ignore[operator]
        adam.step()
        ema.update(8)
        for key, value in model.state_dict().items():
            expected[key] = decay * expected[key] + (1 - decay) * value
    for key, value in expected.items():
        torch.testing.assert_close(ema.state[key], value)


def test_ema_of_what_the_model_says() -> None:
    """One of two parts; a weight that both parts of it share has both of its names."""

    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mine, self.other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2)
            self.mine[1].weight = self.mine[0].weight

        def averaged(self) -> list[nn.Module]:
            return [self.mine]

    ema = EMA(Parts(), Ramp(kind="ramp", decay=0.9))
    assert ema.state.keys() == {"mine.0.weight", "mine.0.bias", "mine.1.weight", "mine.1.bias"}


def one(step: int) -> int:
    return 1


def test_length() -> None:
    """epochs × full batches; a dataset below a batch has one batch; the default is 20 epochs."""
    assert TrainingConfig(epochs=3, batch_size=10).total_steps(59, one) == 15
    assert TrainingConfig(epochs=3, batch_size=10).total_steps(7, one) == 3
    assert TrainingConfig(steps=11).total_steps(1000, one) == 11
    assert TrainingConfig(batch_size=10).total_steps(100, one) == 200


def test_length_when_a_step_takes_several_batches() -> None:
    """3 epochs of 5 batches are 15: three steps of 5, or of 2 as many as it takes, 8, or a first of 10 and then
    single ones, 6."""
    config = TrainingConfig(epochs=3, batch_size=10)
    assert config.total_steps(59, lambda step: 5) == 3
    assert config.total_steps(59, lambda step: 2) == 8
    assert config.total_steps(59, lambda step: 1 if step else 10) == 6


def test_hyper_leaves_out_what_changes_no_number() -> None:
    """How often a checkpoint is written is no part of a run's identity, nor what only watches; as soon as what is
    seen decides which weights are handed out it is. Everything else is."""
    default = TrainingConfig()
    watching = {"monitor_every", "on_collapse"}
    assert TrainingConfig(checkpoint_every=7, monitor_every=50).hyper() == default.hyper()
    later = {"player", "ema", "accumulate"}  # left out while nobody sets them
    assert (
        default.hyper().keys() == TrainingConfig.model_fields.keys() - {"checkpoint_every"} - watching - later
    )
    for decides in ({"checkpoint": "best"}, {"on_collapse": "stop"}):
        keys = [
            TrainingConfig.model_validate(
                decides | {"monitor_every": every, "checkpoint_every": every}
            ).hyper()
            for every in (50, 60)
        ]
        assert keys[0] == TrainingConfig.model_validate(decides | {"monitor_every": 50}).hyper()
        assert {key for key in keys[0] if keys[0][key] != keys[1][key]} == {"monitor_every"}
        selected = {"validation"} if "checkpoint" in decides else set()
        assert keys[0].keys() == default.hyper().keys() | watching | selected


def test_hyper_of_a_selection() -> None:
    """Weights that are selected on a validation part are trained on fewer images than before it was set aside: another
    identity, which weights that nobody selected do not get."""
    assert TrainingConfig(patience=2).hyper()["validation"] == VALIDATION
    assert "validation" not in TrainingConfig().hyper()
    assert "validation" not in TrainingConfig(monitor_every=5, on_collapse="stop").hyper()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checkpoint": "best"}, "checkpoint=best chooses by what the monitor sees; set monitor_every too"),
        ({"on_collapse": "stop"}, "on_collapse=stop acts on what the monitor sees; set monitor_every too"),
        ({"checkpoint": "best", "monitor_every": 1, "patience": 1}, "patience and checkpoint=best choose"),
        ({"diffaugment": "color,blur"}, "unknown augmentation 'blur'. Known: color, cutout, translation"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    """Told when a recipe is read, before any data is."""
    with pytest.raises(InputError, match=message):
        validated(TrainingConfig, settings, "training setting")
