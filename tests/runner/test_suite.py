"""A suite: from a file to cells, what is skipped, what fails, what a kill leaves. Real cells on digits, tiny ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from noted import Notes
from PIL import Image

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.runtime import Runtime
from benchbench.results.load import load_failures, load_results
from benchbench.results.store import FAILED, Store
from benchbench.runner.executors.executor import Job, Outcome, Queue
from benchbench.runner.executors.job import JobSpec, environment_of_jobs, read_job
from benchbench.runner.executors.local import Interpreters, Local, local
from benchbench.runner.run import carry_out, run_cells
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import Past, Suite, load_suite, plan_suite
from benchbench.runner.suite_run import AtWork, run_suite
from benchbench.runner.suite_settings import Settings
from benchbench.runner.sweep import Swept

CPU = torch.device("cpu")
TEXT = """
models = ["real", "noise"]
datasets = ["digits"]
seeds = 2
[settings]
samples = 16
metrics = ["fd"]
[[exclude]]
model = "noise"
seed = 1
[[override]]
match = { model = "noise" }
samples = 20
"""
TRAINED = """
models = ["vae-mlp"]
datasets = ["digits"]
seeds = 2
[settings]
samples = 16
"""


@pytest.fixture
def suite_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "suite.toml"
        path.write_text(text)
        return path

    return write


class Inline:
    """An executor that runs each job in this process when it is asked for; `fails` names jobs that do not work."""

    def __init__(self, fails: Mapping[str, str] | None = None) -> None:
        self.jobs: list[Job] = []
        self.fails = fails or {}
        self.cancelled = False

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def as_completed(self) -> Iterator[Outcome | None]:
        for job in self.jobs:
            reason = self.fails.get(job.name)
            if reason is None:
                asked = read_job(job.spec)
                runtime = Runtime(torch.device(asked.device))
                carry_out([Swept(asked.spec)], [asked.spec.seed], asked.out, runtime)
            yield Outcome(job, "failed" if reason else "done", reason, seconds=1.0)

    def running(self) -> dict[Job, float]:
        return {}

    def cancel(self) -> None:
        self.cancelled = True


class Nothing(Inline):
    """Its jobs end well and do nothing."""

    def as_completed(self) -> Iterator[Outcome | None]:
        yield from (Outcome(job, "done", None, seconds=1.0) for job in self.jobs)


class Speechless(Inline):
    """Its jobs fail and write nothing: one was told of a folder that its machine does not see."""

    def as_completed(self) -> Iterator[Outcome | None]:
        yield from (Outcome(job, "failed", "cannot work in /data", seconds=1.0) for job in self.jobs)


class Watch:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.already = 0
        self.names: dict[str, str | None] = {}

    def skipped(self, n: int) -> None:
        self.already = n

    def ended(self, name: str, seconds: float, reason: str | None) -> None:
        self.names[name] = reason

    def at_work(self, cells: Sequence[AtWork]) -> None:
        pass


@pytest.mark.costly
def test_matrix_excludes_and_overrides(suite_file: Callable[[str], Path], tmp_path: Path) -> None:
    """2 models × 1 dataset × 2 seeds less one excluded; the override reaches its model alone (by the file)."""
    cells = plan_suite(load_suite(suite_file(TEXT)), Store(tmp_path / "out"), device=CPU)
    assert [cell.name for cell in cells] == [
        "real on digits, seed 0",
        "real on digits, seed 1",
        "noise on digits, seed 0",
    ]
    assert [cell.spec.samples for cell in cells] == [16, 16, 20]
    assert {cell.state for cell in cells} == {"new"}
    assert len({cell.key for cell in cells}) == 3


@pytest.mark.costly
def test_done_cells_are_skipped_and_a_failure_stops_nothing(
    suite_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """The second of three cells fails: the other two are there, its reason is in its folder; the next call runs
    that one alone and the reason is gone. `load_results` never sees a failed cell."""
    suite, store = load_suite(suite_file(TEXT)), Store(tmp_path / "out")
    cells, executor, watch = (
        plan_suite(suite, store, device=CPU),
        Inline({"real on digits, seed 1": "it broke"}),
        Watch(),
    )
    with pytest.raises(CellFailed, match=r"1 of 3 cells failed\. real on digits, seed 1: it broke"):
        run_suite(cells, store, executor, device="cpu", watch=watch)
    assert executor.cancelled
    assert watch.names["real on digits, seed 1"] == "it broke"
    failures = load_failures(store.root)
    assert failures[["cell", "seed", "reason"]].to_numpy().tolist() == [[cells[1].key, 1, "it broke"]]
    assert set(load_results(store.root)["cell"]) == {cells[0].key, cells[2].key}

    again = plan_suite(suite, store, device=CPU)
    assert [cell.state for cell in again] == ["done", "new", "done"]
    assert again[1].seconds is not None  # the same pair's other seed
    second = Watch()
    run_suite(again, store, Inline(), device="cpu", watch=second)
    assert second.already == 2
    assert list(second.names) == ["real on digits, seed 1"]
    assert load_failures(store.root).empty
    assert len(set(load_results(store.root)["cell"])) == 3


def test_what_is_left_counts_a_training_once(suite_file: Callable[[str], Path], tmp_path: Path) -> None:
    """Other numbers of a training that a stored cell has cost their evaluation, as does the second cell of one that is
    still to be done. Expected: the seconds of scoring and of training in the one record there is."""
    text = f'{TRAINED}metrics = ["mse"]\nset = {{ steps = 2, latent = 2, batch_size = 16 }}\n'
    store = Store(tmp_path / "out")
    one = load_suite(suite_file(text.replace("seeds = 2", "seeds = [0]")))
    (cell,) = plan_suite(one, store, device=CPU)
    run_suite([cell], store, Inline(), device="cpu", watch=Watch())
    found = store.find("digits", "vae-mlp", cell.key)
    assert cell.seconds is None
    assert found is not None
    run = json.loads((found / "run.json").read_text())
    evaluation = run["seconds"]["evaluation"]
    whole = run["training"]["seconds"] + evaluation
    others = plan_suite(
        load_suite(suite_file(text.replace("samples = 16", "samples = 12"))), store, device=CPU
    )
    assert [cell.seconds for cell in others] == [evaluation, whole]
    past = Past(store)
    assert [past.of("vae-mlp", "digits", key) for key in ("a", "a", "", "")] == [
        whole,
        evaluation,
        whole,
        whole,
    ]


@pytest.mark.costly
def test_a_name_reaches_the_rows_and_the_failure(suite_file: Callable[[str], Path], tmp_path: Path) -> None:
    """One of two cells is named: its rows are, or the reason that there are none; the other is not touched. A name for
    two models on one dataset is refused before anything runs."""
    text = TEXT.replace("samples = 20", 'samples = 20\nname = "Mine"')
    store, watch = Store(tmp_path / "out"), Watch()
    cells = plan_suite(load_suite(suite_file(text)), store, device=CPU)
    plain = plan_suite(load_suite(suite_file(TEXT)), store, device=CPU)
    assert [a.key == b.key for a, b in zip(cells, plain, strict=True)] == [True, True, False]
    with pytest.raises(CellFailed):
        run_suite(cells, store, Inline({"noise on digits, seed 0": "no"}), device="cpu", watch=watch)
    assert load_failures(store.root)["model"].tolist() == ["Mine"]
    run_suite(
        plan_suite(load_suite(suite_file(text)), store, device=CPU),
        store,
        Inline(),
        device="cpu",
        watch=watch,
    )
    assert set(load_results(store.root)["model"]) == {"real", "Mine"}
    both = TEXT.replace("[settings]", '[settings]\nname = "Mine"')
    with pytest.raises(InputError, match="real and noise on digits would both be called 'Mine'"):
        plan_suite(load_suite(suite_file(both)), store, device=CPU)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "not valid TOML"),
        ('models = []\ndatasets = ["digits"]', "models"),
        ('models = ["real"]\ndatasets = ["digits"]\nseed = 3', "did you mean 'seeds'"),
        ('models = ["real", "real"]\ndatasets = ["digits"]', "listed twice"),
        ('models = ["real"]\ndatasets = ["digits"]\n[[exclude]]\nmodel = "rael"', "did you mean 'real'"),
        ('models = ["real"]\ndatasets = ["digits"]\nseeds = []', "at least one seed"),
        ('models = ["real"]\ndatasets = ["digits"]\n[settings]\nsampels = 3', "did you mean 'samples'"),
        (
            'models = ["vae"]\ndatasets = ["digits"]\n[settings]\nset = { training = { lr = 1 }, "training.lr" = 2 }',
            "training.lr is there twice, by its name and in a table",
        ),
    ],
)
def test_a_bad_file_is_named(suite_file: Callable[[str], Path], text: str, message: str) -> None:
    """Each mistake is one sentence that names the file and the way out."""
    with pytest.raises(InputError, match=message) as caught:
        load_suite(suite_file(text))
    assert "suite.toml" in str(caught.value)


@pytest.mark.parametrize("place", ["[settings]\n", "[[override]]\nmatch = {{ model = 'noise' }}\n"])
@pytest.mark.parametrize("name", ["recipe", "weights"])
@pytest.mark.parametrize("path", ["~nosuchuser/x", "", "a\\u0000b", "x" * 300])
def test_a_path_that_is_none_is_named(
    suite_file: Callable[[str], Path], place: str, name: str, path: str
) -> None:
    """As at every other door (`core.paths.as_path`), with the file in which it stands."""
    text = f'models = ["noise"]\ndatasets = ["digits"]\n{place.format()}{name} = "{path}"\n'
    with pytest.raises(InputError, match=r"suite\.toml: .*path|suite\.toml: .*home folder"):
        load_suite(suite_file(text))


def test_a_path_of_a_suite_is_read_once(suite_file: Callable[[str], Path]) -> None:
    """`~` is the home folder, and anything else is meant from the folder of the file."""
    text = 'models = ["vae"]\ndatasets = ["digits"]\n[settings]\nrecipe = "~/r.toml"\nweights = "w.pt"\n'
    path = suite_file(text)
    settings = load_suite(path).settings
    assert settings.recipe == Path("~/r.toml").expanduser()
    assert settings.weights == path.parent / "w.pt"
    word = suite_file('models = ["vae"]\ndatasets = ["digits"]\n[settings]\nrecipe = "gpu"\n')
    assert load_suite(word).settings.recipe == Path("gpu")  # ships beside the baseline's own
    (path.parent / "gpu").touch()
    assert load_suite(word).settings.recipe == path.parent / "gpu"


def test_an_impossible_pair_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """An unknown model is the plan's error, with the pair in the sentence."""
    with pytest.raises(InputError, match="vea on digits: unknown model 'vea'"):
        plan_suite(Suite(models=["vea"], datasets=["digits"]), Store(tmp_path), device=CPU)


def test_more_cells_than_anybody_means_are_refused_at_once(tmp_path: Path) -> None:
    """1,000 × 10,000 combinations and seeds are ten million cells, counted and not made: `MOST_CELLS` is 100,000."""
    settings = Settings(sweep={"lr": [1e-5 * (1 + i) for i in range(1000)]})
    suite = Suite(models=["vae"], datasets=["digits"], seeds=10_000, settings=settings)
    with pytest.raises(InputError, match="the suite has 10,000,000 cells; at most 100,000 are possible"):
        plan_suite(suite, Store(tmp_path), device=CPU)


def test_requests_for_one_cell_are_one_cell(tmp_path: Path) -> None:
    """Noise is not trained, and "0.001" typed as text is 0.001: of two combinations each one cell is left, which is
    said; the other model has as many as were asked for."""
    notes = Notes()
    settings = Settings(samples=16, metrics=["swd"], sweep={"lr": [0.001, "0.001", 0.002]})
    suite = Suite(models=["noise", "vae-mlp"], datasets=["digits"], settings=settings)
    cells = plan_suite(suite, Store(tmp_path), device=CPU, progress=notes)
    assert [cell.name for cell in cells] == [
        "noise on digits, seed 0, lr=0.001",
        "vae-mlp on digits, seed 0, lr=0.001",
        "vae-mlp on digits, seed 0, lr=0.002",
    ]
    assert len({cell.key for cell in cells}) == 3
    assert any(
        "noise on digits, seed 0, lr=0.002 is noise on digits, seed 0, lr=0.001" in n for n in notes.said
    )


def test_one_cell_under_two_datasets_is_refused(tmp_path: Path) -> None:
    """A folder and its copy hold the same images, so their cells have one key, and a table of both records could not
    be made (`results.load.twice`): said before anything runs."""
    for name in ("one", "two"):
        for i in range(4):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (16, 16), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    datasets = [f"folder:{tmp_path / name}" for name in ("one", "two")]
    suite = Suite(models=["noise"], datasets=datasets, settings=Settings(samples=2, metrics=["swd"]))
    with pytest.raises(InputError, match=r"noise on .*one, seed 0, and noise on .*two, seed 0, are one cell"):
        plan_suite(suite, Store(tmp_path / "out"), device=CPU)


def test_settings_reach_the_run_as_toml() -> None:
    """`set` stays a mapping of values, never text; a later override wins key by key."""
    suite = Suite.model_validate(
        {
            "models": ["vae"],
            "datasets": ["digits"],
            "settings": {"set": {"steps": 5, "lr": 1e-3}},
            "override": [{"match": {"model": "vae"}, "set": {"steps": 7, "schedule": "cosine"}}],
        }
    )
    own = suite.override[0]
    merged = type(suite.settings)(**own.model_dump(exclude={"match"}, exclude_unset=True)).over(
        suite.settings
    )
    assert merged.asked("vae", "digits")[0].spec.overrides == {"steps": 7, "lr": 1e-3, "schedule": "cosine"}


@pytest.mark.parametrize(
    "text",
    [
        'set = { "training.lr" = 0.5, width = 16 }\nsweep = { "training.steps" = [1, 2] }',
        "set = { training.lr = 0.5, width = 16 }\nsweep = { training.steps = [1, 2] }",
        "set = { training = { lr = 0.5 }, width = 16 }\nsweep = { training = { steps = [1, 2] } }",
        "[settings.set.training]\nlr = 0.5\n[settings.set]\nwidth = 16\n[settings.sweep.training]\nsteps = [1, 2]",
    ],
)
def test_a_section_may_be_a_table(suite_file: Callable[[str], Path], text: str) -> None:
    """TOML reads `training.lr = 0.5` without quotes as a table in a table: it means what the name in quotes does."""
    suite = load_suite(suite_file(f'models = ["vae"]\ndatasets = ["digits"]\n[settings]\n{text}\n'))
    asked = [own.spec.overrides for own in suite.settings.asked("vae", "digits")]
    assert asked == [{"training.lr": 0.5, "width": 16, "training.steps": steps} for steps in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("forking", [True, False])
def test_local_processes_report_a_failing_and_a_working_job(tmp_path: Path, forking: bool) -> None:
    """Two real children: bad input ends with its own sentence and leaves it in its folder, a good job leaves its
    record. Children of a fork server and fresh interpreters do the same."""

    def job(name: str, model: str) -> Job:
        spec = CellSpec(model=model, dataset="digits", samples=8, metrics=["fd"])
        [cell] = plan_suite(
            Suite.model_validate(
                {"models": ["noise"], "datasets": ["digits"], "settings": {"samples": 8, "metrics": ["fd"]}}
            ),
            Store(tmp_path),
            device=CPU,
        )
        asked = JobSpec(
            spec=spec, out=tmp_path / "out", device="cpu", folder=tmp_path, dataset="digits", model=model,
            key=cell.key if model == "noise" else "f" * 16, environment=environment_of_jobs(),
        )  # fmt: skip
        file = tmp_path / f"{name}.json"
        file.write_text(asked.model_dump_json())
        return Job(name, file, tmp_path / f"{name}.log")

    executor = local(2, "cpu") if forking else Queue(Local(Interpreters({})), 2)
    executor.submit(job("good", "noise"))
    executor.submit(job("bad", "nosie"))
    outcomes = {o.job.name: o for o in executor.as_completed() if o is not None}
    assert outcomes["good"].status == "done"
    assert outcomes["bad"].status == "failed"
    assert "did you mean 'noise'" in (outcomes["bad"].reason or "")
    assert load_failures(tmp_path / "out")["reason"].str.contains("did you mean 'noise'").tolist() == [True]
    assert len(load_results(tmp_path / "out")) > 0
    assert executor.running() == {}
    executor.cancel()


@pytest.mark.slow
def test_a_killed_suite_leaves_no_orphan_and_resumes(
    suite_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """SIGKILL in the middle of a training: the child ends with its parent, the next call completes the matrix,
    and the weights are those of an uninterrupted run (sha256 in run.json's list of files)."""
    settings = "steps = 400, latent = 4, width = 64, checkpoint_every = 20, batch_size = 16"
    text = f'{TRAINED}metrics = ["fd"]\nset = {{ {settings} }}\n'
    path, out = suite_file(text), tmp_path / "out"
    command = [sys.executable, "-m", "benchbench", "suite", str(path), "--out", str(out), "--device", "cpu"]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not list(out.glob(".work/*/checkpoint.pt")):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert parent.poll() is None, "the suite ended before it was killed"
        time.sleep(0.05)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    whole = tmp_path / "whole"
    run_cells("vae-mlp", "digits", seeds=[0, 1], out=whole, device="cpu", samples=16, metrics=["fd"],
              overrides=["steps=400", "latent=4", "width=64", "checkpoint_every=20", "batch_size=16"])  # fmt: skip

    def weights(root: Path) -> dict[str, str]:
        runs = [json.loads(file.read_text()) for file in root.rglob("run.json")]
        return {run["cell"]: run["files"]["weights.safetensors"] for run in runs}

    assert weights(out) == weights(whole)
    assert len(weights(out)) == 2


def test_a_child_without_a_record_has_failed(suite_file: Callable[[str], Path], tmp_path: Path) -> None:
    """It exits with 0, as after `os._exit(0)` in a library, and the store holds nothing of it: a failure with a reason,
    and not a cell that is done."""
    path = suite_file(
        'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["fd"]\n'
    )
    store, watch = Store(tmp_path / "out"), Watch()
    cells = plan_suite(load_suite(path), store, device=CPU)
    with pytest.raises(CellFailed, match=r"1 of 1 cells failed.*left no record"):
        run_suite(cells, store, Nothing(), device="cpu", watch=watch)
    assert "left no record" in str(next(iter(watch.names.values())))
    assert load_failures(tmp_path / "out")["reason"].str.contains("left no record").all()


@pytest.mark.parametrize("before", [False, True])
def test_why_a_cell_failed_is_kept_whoever_says_it(
    suite_file: Callable[[str], Path], tmp_path: Path, before: bool
) -> None:
    """A job that could not even begin has an exit code and a last line, and wrote nothing: its folder has the reason
    all the same, in place of one from an earlier time."""
    path = suite_file(
        'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["fd"]\n'
    )
    store = Store(tmp_path / "out")
    (cell,) = cells = plan_suite(load_suite(path), store, device=CPU)
    if before:
        folder = store.record_failure(
            cell.stored_as, cell.kept_as, cell.key, {"seed": 0, "reason": "it diverged"}
        )
        os.utime(folder / FAILED, (0, 0))
    with pytest.raises(CellFailed, match="cannot work in /data"):
        run_suite(cells, store, Speechless(), device="cpu", watch=Watch())
    assert load_failures(tmp_path / "out")["reason"].tolist() == ["cannot work in /data"]


def test_a_failure_that_cannot_be_written_down_stops_no_other(
    suite_file: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full as each of three cells fails: each one is tried, and the suite ends as it does whenever cells
    failed, with both reasons."""
    store, watch = Store(tmp_path / "out"), Watch()
    cells = plan_suite(load_suite(suite_file(TEXT)), store, device=CPU)

    def full(*arguments: Any) -> None:
        raise InputError("cannot write there: No space left on device")

    monkeypatch.setattr(store, "record_failure", full)
    said = r"3 of 3 cells failed.*it broke; and that was not written down: .*No space left"
    broken = Inline({cell.name: "it broke" for cell in cells})
    with pytest.raises(CellFailed, match=said):
        run_suite(cells, store, broken, device="cpu", watch=watch)
    assert list(watch.names) == [cell.name for cell in cells]
