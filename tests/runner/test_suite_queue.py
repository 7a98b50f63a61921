"""What a suite hands to its host, and when: cells of one training, files of several suites, hosts that are full.

The hosts here start nothing: a test says when a job ends, and how.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import CellFailed, InputError
from benchbench.results.lease import Leases, Taken
from benchbench.results.store import Store
from benchbench.runner.executors import elsewhere, executor, local
from benchbench.runner.executors.executor import Code, Job, NoRoomError, Queue
from benchbench.runner.executors.job import read_job
from benchbench.runner.executors.local import Interpreters
from benchbench.runner.executors.slurm import MOST_TIMES, Slurm, SlurmOptions, _last_words
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import Suite, SuiteCell, plan_suite
from benchbench.runner.suite_run import run_suite
from benchbench.runner.suite_settings import Settings

CPU = torch.device("cpu")


class ByHand:
    """A host whose jobs end one a look, the first first. ends: exit codes by cell; 0 where it has none. most: jobs that
    it takes at a time."""

    def __init__(self, store: Store, ends: dict[str, Code] | None = None, most: int | None = None) -> None:
        self.store, self.ends, self.most = store, ends or {}, most
        self.told: list[tuple[str, str]] = []
        self.alive: list[Job] = []
        self.refused = 0

    def start(self, job: Job) -> None:
        if self.most is not None and len(self.alive) >= self.most:
            self.refused += 1
            raise NoRoomError("so many of one user")
        self.told.append(("start", job.name))
        job.log.write_text("it begins\n")
        self.alive.append(job)

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        if not self.alive:
            return []
        job = self.alive.pop(0)
        self.told.append(("end", job.name))
        asked = read_job(job.spec)
        code = self.ends.get(asked.key, 0)
        if code == 0:
            folder = self.store.cell_dir(asked.dataset, asked.model, asked.key)
            folder.mkdir(parents=True)
            (folder / "run.json").write_text("{}")
        return [(job, code)]

    def end(self) -> None:
        self.alive.clear()


class Nobody:
    """A watcher who looks away."""

    def skipped(self, n: int) -> None: ...
    def ended(self, name: str, seconds: float, reason: str | None) -> None: ...
    def at_work(self, cells: Sequence[object]) -> None: ...


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A record is there where there is a run.json, whatever is in it."""

    def find(self: Store, dataset: str, model: str, key: str) -> Path | None:
        folder = self.cell_dir(dataset, model, key)
        return folder if (folder / "run.json").exists() else None

    monkeypatch.setattr(Store, "find", find)
    made = Store(tmp_path / "out")
    made.prepare()
    return made


def cell(number: int, training: str, state: Any = "new") -> SuiteCell:
    spec = CellSpec.of(model="vae", dataset="digits", seed=number)
    return SuiteCell(spec, "", "digits", f"{number:016x}", state, None, training=training)


def carried_out(cells: Sequence[SuiteCell], store: Store, host: ByHand) -> list[tuple[str, str]]:
    run_suite(cells, store, Queue(host, None), device="cpu", watch=Nobody())
    return host.told


def named(*events: tuple[str, int]) -> list[tuple[str, str]]:
    return [(what, f"vae on digits, seed {number}") for what, number in events]


def test_cells_of_one_training_wait_for_the_first_of_them(store: Store) -> None:
    """0, 1 and 2 are drawn from the same weights, 3 trains others, 4 and 5 nothing: all but 1 and 2 are begun at once,
    those when 0 has ended, both of them."""
    cells = [*(cell(n, "a") for n in range(3)), cell(3, "b"), cell(4, ""), cell(5, "")]
    told = carried_out(cells, store, ByHand(store))
    first = named(("start", 0), ("start", 3), ("start", 4), ("start", 5), ("end", 0))
    assert told == first + named(("start", 1), ("start", 2), *(("end", n) for n in (3, 4, 5, 1, 2)))


def test_a_training_that_is_there_is_not_waited_for(store: Store) -> None:
    told = carried_out([cell(0, "a", "done"), cell(1, "a"), cell(2, "a")], store, ByHand(store))
    assert told == named(("start", 1), ("start", 2), ("end", 1), ("end", 2))


def test_one_that_fails_hands_the_training_to_the_next(store: Store) -> None:
    """One at a time, as long as there are no weights: of four the first two fail, then the last two need no more."""
    host = ByHand(store, {f"{n:016x}": 4 for n in (0, 1)})
    with pytest.raises(CellFailed, match="2 of 5 cells failed"):
        carried_out([cell(n, "a") for n in range(5)], store, host)
    begun = named(("start", 0), ("end", 0), ("start", 1), ("end", 1), ("start", 2), ("end", 2))
    assert host.told == begun + named(("start", 3), ("start", 4), ("end", 3), ("end", 4))


def test_one_that_another_suite_is_at_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell 0 is in other hands and ends there; 1, of the same training, is begun then and not before."""
    monkeypatch.setattr("benchbench.runner.suite_run.LOOK", 0.0)
    host = ByHand(store, {f"{0:016x}": Taken.exit_code})
    looks = iter(range(100))

    def by_and_by(leases: Leases) -> dict[str, Any]:
        if next(looks) < 3:
            return {f"{0:016x}": SimpleNamespace(words="process 7 on cluster")}
        folder = store.cell_dir("digits", "vae", f"{0:016x}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text("{}")
        return {}

    monkeypatch.setattr(Leases, "all", by_and_by)
    told = carried_out([cell(0, "a"), cell(1, "a")], store, host)
    assert told == named(("start", 0), ("end", 0), ("start", 1), ("end", 1))


def test_cells_that_differ_in_drawing_share_a_training(tmp_path: Path) -> None:
    """As planned: of a sweep over steps of drawing all have one training, other seeds another, controls none."""
    settings = Settings(samples=16, metrics=["swd"], sweep={"sampling.steps": [1, 2]})
    suite = Suite(models=["flow-matching"], datasets=["digits"], seeds=[0, 1], settings=settings)
    controls = Suite(models=["noise"], datasets=["digits"], settings=Settings(samples=16, metrics=["swd"]))
    cells = [own for asked in (suite, controls) for own in plan_suite(asked, Store(tmp_path), device=CPU)]
    trainings = {(own.model, own.seed, own.training) for own in cells}
    assert len({own.key for own in cells}) == len(cells)
    assert len([own for own in trainings if own[0] == "flow-matching"]) == 2
    assert {training for model, _, training in trainings if model == "noise"} == {""}


class Interleaved(ByHand):
    """Another suite on the same folder asks for the same cell, on another device, while the first one's job waits."""

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        if self.alive:
            asked = read_job(self.alive[0].spec)
            run_suite(
                [cell(0, "")], self.store, Queue(Other(self.store), None), device="cuda", watch=Nobody()
            )
            assert read_job(self.alive[0].spec) == asked
            assert asked.device == "cpu"
            assert self.alive[0].log.read_text() == "it begins\n"
        return super().ended(seconds)


class Other(ByHand):
    """It finds the cell taken, and says so."""

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        job = self.alive.pop()
        assert read_job(job.spec).device == "cuda"
        job.log.write_text("another process is at it\n")
        return [(job, 4)]


def test_suites_on_one_folder_have_files_of_their_own(store: Store) -> None:
    """What a queued job is asked, and what a running one said, are not written over by another suite; once it has
    ended both stand under the key of the cell."""
    with pytest.raises(CellFailed):
        carried_out([cell(0, "")], store, Interleaved(store))
    logs = store.root / ".logs"
    assert {path.name for path in logs.iterdir()} == {f"{0:016x}.json", f"{0:016x}.log"}


def test_a_host_that_is_full_is_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five cells it takes two at a time: all are carried out, the next whenever one has ended; nothing is cancelled
    and it is not asked at every look."""
    host = ByHand(store, most=2)
    assert [
        event for event in carried_out([cell(n, "") for n in range(5)], store, host) if event[0] == "start"
    ] == (named(*(("start", n) for n in range(5))))
    assert host.refused == 3
    with pytest.raises(NoRoomError, match="so many of one user"):
        carried_out([cell(9, "")], store, ByHand(store, most=0))


def test_a_while_passes_before_a_full_host_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(executor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    host = ByHand(store, most=1)
    monkeypatch.setattr(host, "ended", lambda seconds: [])
    queue = Queue(host, None)
    for n in range(2):
        queue.submit(Job(str(n), store.root / f"{n}.json", store.root / f"{n}.log"))
    events: Iterator[object] = queue.as_completed()
    for seconds, refused in ((0, 1), (1, 1), (executor.AGAIN / 2, 1), (executor.AGAIN, 2), (1, 2)):
        now[0] += seconds
        next(events)
        assert host.refused == refused


def test_jobs_on_several_cards_see_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three cards each job gets the one that the fewest have, the first of several; what ends gives its up."""
    seen: list[str] = []
    codes: dict[int, int | None] = {}

    class Child:
        def __init__(self, number: int) -> None:
            self.number, self.stdin = number, SimpleNamespace(close=lambda: None)

        def poll(self) -> int | None:
            return codes.get(self.number)

    def started(job: Job, variables: dict[str, str]) -> Any:
        seen.append(variables[local.VISIBLE])
        return Child(len(seen) - 1)

    monkeypatch.setattr(local, "started", started)
    jobs = [Job(str(n), tmp_path, tmp_path) for n in range(6)]
    host = Interpreters({"OMP_NUM_THREADS": "1"}, ["0", "GPU-5a", "7"])
    for job in jobs[:4]:
        host.start(job)
    codes[1] = 0
    assert host.ended(0.0) == [(jobs[1], 0)]
    for job in jobs[4:]:
        host.start(job)
    assert seen == ["0", "GPU-5a", "7", "0", "GPU-5a", "GPU-5a"]


@pytest.mark.parametrize(("visible", "expected"), [("2, 3", ["2", "3"]), ("", ["0", "1", "2", "3"])])
def test_which_cards_there_are(visible: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(local.VISIBLE, visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert local.visible_cards() == expected


def test_a_suite_for_another_machine_is_planned_here(tmp_path: Path) -> None:
    """float16 is for cards, and here is none: refused here, planned for elsewhere."""
    settings = Settings(samples=16, metrics=["swd"], variant="fp16", pretrained=True)
    suite = Suite(models=["dcgan"], datasets=["digits"], settings=settings)
    with pytest.raises(InputError, match="fp16 is for CUDA devices"):
        plan_suite(suite, Store(tmp_path), device=CPU)
    [planned] = plan_suite(suite, Store(tmp_path), device=CPU, elsewhere=True)
    assert planned.spec.variant == "fp16"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """On a path where there are commands of Slurm's names: `sbatch` takes two jobs and refuses others."""
    pytest.importorskip("submitit")
    for name in ("srun", "scancel", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "sbatch").write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/asked\nn=$(wc -l < {tmp_path}/asked)\n"
        "[ $n -gt 2 ] && { echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; }\n"
        'echo "Submitted batch job 100$n"\n'
    )
    for name in ("srun", "scancel", "sacct", "sbatch"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Slurm(SlurmOptions(), tmp_path / "slurm")


def test_slurm_that_takes_no_more_is_full(slurm: Slurm, tmp_path: Path) -> None:
    """A limit of jobs a user: the third is `NoRoomError`, as other jobs of the kind were taken. A first one that is
    refused is asked for in vain, say of a partition that is not there."""
    jobs = [Job(str(n), tmp_path / f"{n}.json", tmp_path / f"{n}.log") for n in range(3)]
    slurm.start(jobs[0])
    slurm.start(jobs[1])
    with pytest.raises(NoRoomError, match="QOSMaxSubmitJobPerUserLimit"):
        slurm.start(jobs[2])
    slurm.end()
    with pytest.raises(InputError) as refused:
        slurm.start(jobs[2])
    assert not isinstance(refused.value, NoRoomError)


def test_a_cell_is_queued_again_until_it_is_done(slurm: Slurm) -> None:
    """submitit's own limit is three times, after which a training of more than four hours would have failed."""
    assert slurm._executor._executor.max_num_timeout == MOST_TIMES


class Gone(BaseException):
    """Slurm has taken the job away."""


@pytest.mark.parametrize(
    ("code", "in_slurm", "says"), [(143, True, None), (-15, True, None), (143, False, 143), (1, True, 1)]
)
def test_a_preempted_job_says_nothing(
    code: int, in_slurm: bool, says: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm tells the cell's process to end, as it does all of the job, and takes the job away a little later; what the
    job returned before that would pass for the cell's end. A cell that failed, and one of another cluster, is told of
    at once."""

    class Ended:
        pid, returncode = 0, code

        def poll(self) -> int:
            return code

    def taken_away(seconds: float) -> None:
        raise Gone

    monkeypatch.setattr(elsewhere, "started", lambda job, environment: Ended())
    monkeypatch.setattr(elsewhere, "read_job", lambda spec: SimpleNamespace(environment={}))
    monkeypatch.setattr(elsewhere.time, "sleep", taken_away)
    monkeypatch.setattr(elsewhere, "terminable", lambda: None)  # this process keeps its own answer to SIGTERM
    monkeypatch.setenv("SLURM_JOB_ID", "7") if in_slurm else monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    job = elsewhere.Elsewhere(Job("a cell", tmp_path / "a.json", tmp_path / "a.log"))
    if says is None:
        with pytest.raises(Gone):
            job()
    else:
        assert job() == says


def test_what_submitit_says_of_a_job_that_failed() -> None:
    """The last line of the trace, which is why; the first where there is none."""
    said = (
        "Job (task=0) failed during processing with trace:\n----------------------\nTraceback …\n"
        "submitit.core.utils.UncompletedJobError: Job timed-out\n----------------------\nYou can check full logs"
    )
    assert _last_words(said) == "submitit.core.utils.UncompletedJobError: Job timed-out"
    assert _last_words("Job 7 was cancelled\nmore") == "Job 7 was cancelled"


def test_a_dry_run_says_which_combination_a_cell_is(tmp_path: Path) -> None:
    """Rows that differ in what is swept alone, in the terminal and in Python."""
    file = tmp_path / "suite.toml"
    file.write_text(
        'models = ["flow-matching"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'
        '[settings.sweep]\n"sampling.steps" = [3, 7]\n'
    )
    words = ["sampling.steps=3", "sampling.steps=7"]
    asked = {"out": tmp_path / "out", "device": "cpu", "dry_run": True}
    assert benchbench.suite(file, **asked)["sweep"].tolist() == words  # type: ignore[arg-type]
    typed = ["suite", str(file), "--out", str(tmp_path / "out"), "--device", "cpu", "--dry-run"]
    done = CliRunner().invoke(cli, typed, env={"COLUMNS": "150"})
    assert [word for word in done.output.split() if word.startswith("sampling.")] == words
