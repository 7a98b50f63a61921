"""The monitor's rows, the alarm in the loop, and the best weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (20, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def go(model: nn.Module, monitor: Any, workdir: Path | None = None, **settings: Any) -> TrainingResult:
    """5 batches of 4 an epoch; one turn of each player a step, so steps are batches."""
    outside = {key: settings.pop(key) for key in ("progress",) if key in settings}
    config = TrainingConfig.model_validate({"batch_size": 4, "lr": 0.01} | settings)
    return train(
        model,
        TrainingData(IMAGES, None, IMAGES[:6]),
        config,
        seed=3,
        device=CPU,
        checkpoints=Checkpoints(workdir, {}) if workdir else None,
        monitor=monitor,
        **outside,
    )


def gan(toys: Any) -> Any:
    torch.manual_seed(0)
    return toys.GAN(1)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_rows(toys: Any) -> None:
    """Epochs end at 5, 10 and 12 (the end); looks are at 4, 8 and 12. A row at each, one where both fall together;
    panels only in the looks' rows. The averages of a row are those since the one before: weighted with their steps
    they give back the averages of the run that nobody watched (to float64 rounding, 1e-12)."""
    watcher, shown = toys.Watcher(monitor_modes=[1, 2, 3]), toys.KillAt()
    watched = go(gan(toys), watcher, steps=12, monitor_every=4, progress=shown)
    assert [(row["epoch"], row["step"]) for row in watched.curves] == [
        (0, 4),
        (0, 5),
        (1, 8),
        (1, 10),
        (2, 12),
    ]
    assert [row["step"] for row in watched.curves if "monitor_modes" in row] == watcher.steps == [4, 8, 12]
    plain = go(gan(toys), None, steps=12)
    first = [row["loss_generator"] for row in watched.curves[:2]]
    assert (4 * first[0] + first[1]) / 5 == pytest.approx(plain.curves[0]["loss_generator"], rel=1e-12)
    assert [numbers.get("modes") for numbers in shown.numbers] == [None] * 3 + [1] * 4 + [2] * 4 + [3]
    assert all("loss" in numbers for numbers in shown.numbers)


@pytest.mark.parametrize("standing", [0, 2])
def test_looking_moves_nothing(toys: Any, standing: int) -> None:
    """The monitor draws from torch's generator and standing statistics rewrite batch norms, yet the trained
    weights are those of a run without looks, to the bit."""
    plain, watched = gan(toys), gan(toys)
    settings = {"steps": 12, "ema_decay": 0.9, "standing_statistics": standing}
    go(plain, None, **settings)
    go(watched, toys.Watcher(), monitor_every=2, **settings)
    assert same(weights(plain), weights(watched))


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}, {"ema_decay": 0.9, "standing_statistics": 3}])
def test_the_last_look_sees_what_is_handed_out(toys: Any, settings: dict[str, Any]) -> None:
    """Also with averaged weights and measured batch norms: eval mode, the same numbers to the bit."""
    model, watcher = gan(toys), toys.Watcher()
    go(model, watcher, steps=7, monitor_every=3, **settings)
    assert watcher.steps == [3, 6, 7]
    assert same(watcher.weights[-1], weights(model))
    assert not model.training


def test_standing_statistics_are_of_the_final_weights(toys: Any) -> None:
    """The batch norm's mean is the average over 3 batches of 4 of what the final first layer makes of the latents
    that the pass drew under its own seed (0), float32 to 1e-6."""
    model = gan(toys)
    go(model, None, steps=7, standing_statistics=3, ema_decay=0.9)
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = [model.generator[0](torch.randn(4, 4)) for _ in range(3)]
    norm = model.generator[1]
    mean, variance = (
        torch.stack(x).mean(0) for x in zip(*((y.mean(0), y.var(0)) for y in outputs), strict=True)
    )
    torch.testing.assert_close(norm.running_mean, mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(norm.running_var, variance, atol=1e-6, rtol=1e-5)


def test_the_best_look(toys: Any) -> None:
    """Distances 5, 3, NaN, 3, 4 at steps 2, 4, 6, 8, 10: the first 3 wins, at step 4. Kept beside the last weights,
    or handed out; in both cases what the monitor saw then."""
    said = {"monitor_distance": [5.0, 3.0, float("nan"), 3.0, 4.0]}
    for checkpoint in ("last", "best"):
        model, watcher = gan(toys), toys.Watcher(**said)
        result = go(model, watcher, steps=10, monitor_every=2, ema_decay=0.9, checkpoint=checkpoint)
        assert result.best_step == 4
        if checkpoint == "last":
            assert result.best_weights is not None
            assert same(result.best_weights, watcher.weights[1])
            assert same(weights(model), watcher.weights[-1])
        else:
            assert result.best_weights is None
            assert same(weights(model), watcher.weights[1])


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_the_best_look_survives_the_kill(toys: Any, tmp_path: Path, checkpoint: str) -> None:
    """Best at step 2, killed at 5: the second sitting sees only worse looks and still has these weights."""
    settings = {"steps": 8, "monitor_every": 2, "checkpoint_every": 1, "checkpoint": checkpoint}
    first, second = toys.Watcher(monitor_distance=[1.0, 2.0]), toys.Watcher(monitor_distance=[3.0, 4.0])
    with pytest.raises(toys.Killed):
        go(gan(toys), first, tmp_path, progress=toys.KillAt(5), **settings)
    model = gan(toys)
    result = go(model, second, tmp_path, **settings)
    assert (result.best_step, second.steps) == (2, [6, 8])
    kept = weights(model) if checkpoint == "best" else result.best_weights
    assert kept is not None
    assert same(kept, first.weights[0])


def test_best_without_a_distance(toys: Any) -> None:
    """A monitor that has none is refused at its first look; one that never finds a number fails the cell."""

    class Blind:
        def panel(self, model: nn.Module, step: int) -> dict[str, float]:
            return {"monitor_modes": 1.0}

    with pytest.raises(
        InputError, match="goes by the distance but the monitor reports none; use checkpoint=last"
    ):
        go(gan(toys), Blind(), steps=4, monitor_every=2, checkpoint="best")
    watcher = toys.Watcher(monitor_distance=[float("nan")] * 2)
    with pytest.raises(CellFailed, match="no scan of the monitor found a distance that is a number"):
        go(gan(toys), watcher, steps=4, monitor_every=2, checkpoint="best")
    result = go(gan(toys), toys.Watcher(monitor_distance=[float("nan")] * 2), steps=4, monitor_every=2)
    assert (result.best_step, result.best_weights) == (None, None)


COVERAGE = [0.6] * 4 + [0.1] * 6  # collapses with the third low look, the seventh of all


def test_an_alarm_warns(toys: Any) -> None:
    """One note, once; training goes on to its end; the alarm is in the result."""
    progress, watcher = toys.KillAt(), toys.Watcher(monitor_coverage=COVERAGE)
    result = go(gan(toys), watcher, steps=10, monitor_every=1, progress=progress)
    assert (result.n_steps, result.stopped_early) == (10, False)
    assert result.collapse is not None
    assert (result.collapse["step"], result.collapse["rule"]) == (7, "fall")
    (note,) = progress.notes
    assert note == f"mode collapse at step 7: {result.collapse['words']}"
    assert "coverage fell from 0.6 to 0.1" in note
    healthy = go(gan(toys), toys.Watcher(monitor_coverage=[0.6] * 10), steps=10, monitor_every=1)
    assert healthy.collapse is None


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_an_alarm_stops(toys: Any, checkpoint: str) -> None:
    """At the seventh look, in the middle of an epoch; weights are handed out as `checkpoint` says, and the rate has
    the epochs' parts that there were."""
    model = gan(toys)
    watcher = toys.Watcher(monitor_coverage=COVERAGE, monitor_distance=[9, 8, 1, 7, 9, 9, 9, 9, 9, 9])
    result = go(model, watcher, steps=10, monitor_every=1, on_collapse="stop", checkpoint=checkpoint)
    assert (result.n_steps, result.stopped_early) == (7, True)
    assert watcher.steps == list(range(1, 8))
    assert result.collapse is not None
    assert result.best_step == 3
    assert same(weights(model), watcher.weights[2 if checkpoint == "best" else -1])
    assert result.images_per_second > 0


def test_a_stop_before_the_first_epoch_ends(toys: Any) -> None:
    """20 images in batches of 1 are 20 steps an epoch; the alarm comes at step 7."""
    watcher = toys.Watcher(monitor_coverage=COVERAGE)
    model = gan(toys)
    model.generator[1] = nn.Identity()  # a batch norm cannot train on one image
    result = go(model, watcher, steps=10, batch_size=1, monitor_every=1, on_collapse="stop")
    assert result.n_steps == 7
    assert result.images_per_second > 0


def test_an_alarm_survives_the_kill(toys: Any, tmp_path: Path) -> None:
    """Raised at step 7, killed at 8: the second sitting neither repeats nor forgets it, and one that ended by it
    stays ended."""
    first = toys.Watcher(monitor_coverage=COVERAGE)
    with pytest.raises(toys.Killed):
        go(gan(toys), first, tmp_path, steps=10, monitor_every=1, checkpoint_every=1, progress=toys.KillAt(8))
    progress = toys.KillAt()
    second = toys.Watcher(monitor_coverage=COVERAGE[8:])
    result = go(gan(toys), second, tmp_path, steps=10, monitor_every=1, progress=progress)
    assert result.collapse is not None
    assert result.collapse["step"] == 7
    assert [note.split(" (")[0] for note in progress.notes] == ["training goes on from step 8 of 10"]

    stop = {"steps": 10, "monitor_every": 1, "on_collapse": "stop"}
    ended, again = gan(toys), gan(toys)
    before = go(ended, toys.Watcher(monitor_coverage=COVERAGE), tmp_path / "stop", **stop)
    after = go(again, toys.Watcher(), tmp_path / "stop", **stop)
    assert (after.n_steps, after.collapse, after.curves) == (7, before.collapse, before.curves)
    assert same(weights(ended), weights(again))


def test_looks_cost_no_training_time(toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only a look moves, by 100 s, training took no second of it; the loop reads it around steps
    alone. Steps take 1 s here by moving it themselves, so 12 steps are 12 s and the rate is 4 images a second."""
    clock = [0.0]
    monkeypatch.setattr("benchbench.training.trainer.time.perf_counter", lambda: clock[0])
    model = gan(toys)
    loss = model.loss

    def timed(player: str, batch: Any) -> Any:
        clock[0] += 0.5  # two turns a step
        return loss(player, batch)

    class Slow(toys.Watcher):  # type: ignore[misc]
        def panel(self, model: nn.Module, step: int) -> dict[str, float]:
            clock[0] += 100
            answer: dict[str, float] = super().panel(model, step)
            return answer

    model.loss = timed
    result = go(model, Slow(), steps=12, monitor_every=1)
    assert result.seconds == pytest.approx(12)
    assert result.images_per_second == pytest.approx(4)


def staged(toys: Any, alone: int) -> Any:
    """A GAN whose generator waits `alone` steps for its discriminator."""

    class Staged(toys.GAN):  # type: ignore[misc]
        def turns(self, step: int) -> tuple[str, ...]:
            return ("discriminator",) if step < alone else ("generator",)

    torch.manual_seed(0)
    return Staged()


def test_looks_begin_when_all_have_moved(toys: Any) -> None:
    """A scan every three steps, the generator begins with step 6: none at 3 or 6, where it has not moved, then 9, 12
    and 14, the end. Rows of epochs are those of any training (5, 10, 14)."""
    watcher = toys.Watcher()
    result = go(staged(toys, 6), watcher, steps=14, monitor_every=3)
    assert watcher.steps == [9, 12, 14]
    assert [row["step"] for row in result.curves] == [5, 9, 10, 12, 14]


@pytest.mark.parametrize("alone", [0, 12])
def test_the_first_stage_raises_no_alarm(toys: Any, alone: int) -> None:
    """Samples of one class, told by all 24 looks of a training of 24 steps, or by the 12 that its second stage has: the
    first stage adds none. Either way the alarm speaks at the eighth panel, whose level is the only one there was."""
    watcher = toys.Watcher(monitor_class_kl=[2.3] * 24, monitor_distance=[9.0] * 24)
    result = go(staged(toys, alone), watcher, steps=24, monitor_every=1, on_collapse="stop")
    assert result.collapse is not None
    assert (result.collapse["rule"], result.collapse["step"]) == ("never", alone + 8)


def test_the_last_of_fewer_looks_is_judged(toys: Any) -> None:
    """One class in each of three panels, and the distance best in the middle: no look before the last may speak, and
    the last is known for it though the first stage had no panels (3 of 6)."""
    watcher = toys.Watcher(monitor_class_kl=[2.3] * 3, monitor_distance=[9.0, 8.0, 9.0])
    result = go(staged(toys, 3), watcher, steps=6, monitor_every=1)
    assert result.collapse is not None
    assert (result.collapse["rule"], result.collapse["step"]) == ("never", 6)


def test_who_never_moves_is_not_waited_for(toys: Any) -> None:
    """A frozen player named among the players."""

    class Frozen(toys.GAN):  # type: ignore[misc]
        def turns(self, step: int) -> tuple[str, ...]:
            return ("generator",)

    watcher = toys.Watcher()
    go(Frozen(), watcher, steps=4, monitor_every=2)
    assert watcher.steps == [2, 4]


def test_nobody_looks_unless_asked(toys: Any) -> None:
    """A monitor that is at hand is no reason to look."""
    watcher = toys.Watcher()
    result = go(gan(toys), watcher, steps=5)
    assert watcher.steps == []
    assert (result.best_step, result.best_weights, result.collapse) == (None, None, None)
