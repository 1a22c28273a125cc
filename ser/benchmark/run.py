"""The tasks of a plan, as many at once as are asked for; what fails keeps back only what needs it.

Every task is a call of utils/run.sh, the local dispatcher, which keeps its log and ends all its processes
when it is told to stop. Inside of it the recipe gives its jobs to whatever cmd.sh names: cores or Slurm.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from types import FrameType

from ser.benchmark.config import cores
from ser.benchmark.journal import FAILED, FINISHED, VARIABLE, last_words, read_journal
from ser.benchmark.plan import Plan, Task, environment
from ser.core.errors import UserError

DONE, SKIPPED, BLOCKED = "done", "skipped", "blocked"
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        state: ``done``; ``skipped``, there being nothing to do; ``failed``; ``blocked`` by what it waits for.
        seconds: that it took.
        log: where to read on, if it failed.
        line: the likely cause, or the last line of that log.
        by: the failed task that blocks it.
    """

    task: Task
    state: str
    seconds: float = 0.0
    log: Path | None = None
    line: str = ""
    by: str = ""


@dataclass
class _Running:
    """A task under way."""

    task: Task
    process: subprocess.Popen[bytes]
    journal: Path
    log: Path
    began: float


def run_plan(plan: Plan, tell: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Run what is needed; one that fails does not keep the others from running.

    Args:
        plan: the benchmark.
        tell: called with every outcome as it comes.

    Returns:
        an outcome for every task, in the order of the plan.

    Raises:
        UserError: while another call runs the same benchmark.
        KeyboardInterrupt, SystemExit: on SIGINT, SIGTERM and SIGHUP, when all tasks have been stopped.
    """
    outcomes: dict[str, Outcome] = {}
    sorter = TopologicalSorter({name: task.after for name, task in plan.tasks.items()})
    sorter.prepare()
    waiting: list[Task] = []
    running: list[_Running] = []

    def note(outcome: Outcome) -> None:
        outcomes[outcome.task.name] = outcome
        sorter.done(outcome.task.name)
        tell(outcome)

    with _alone(plan.grid.out), _stopped_by_signals():
        try:
            while sorter.is_active():
                waiting += [plan.tasks[name] for name in sorter.get_ready()]
                settled = False
                for task in list(waiting):
                    bad = [outcomes[name] for name in task.after if outcomes[name].state in (FAILED, BLOCKED)]
                    if bad:
                        note(Outcome(task, BLOCKED, by=bad[0].by or bad[0].task.name))
                    elif task.name not in plan.needed:
                        note(Outcome(task, SKIPPED))
                    elif len(running) < plan.grid.jobs:
                        running.append(_start(task, plan))
                    else:
                        continue
                    waiting.remove(task)
                    settled = True
                for each in [each for each in running if each.process.poll() is not None]:
                    running.remove(each)
                    note(_outcome(each))
                    settled = True
                if not settled:
                    time.sleep(POLL_SECONDS)
        finally:
            _stop(running)
    return [outcomes[name] for name in plan.tasks]


def threads_for(plan: Plan) -> int:
    """Threads of each job, so that all that may run at once share the cores; 0: as set outside."""
    if "OMP_NUM_THREADS" in os.environ:
        return 0
    return max(1, cores() // (plan.grid.jobs * plan.grid.nj))


def _start(task: Task, plan: Plan) -> _Running:
    """Begin a task, with a journal and a log of its own."""
    folder = plan.grid.out / "log"
    folder.mkdir(parents=True, exist_ok=True)
    log, journal = folder / f"{task.slug}.log", folder / f"{task.slug}.journal"
    journal.unlink(missing_ok=True)
    process = subprocess.Popen(
        [task.part.folder / "utils" / "run.sh", "--quiet", "--threads", str(threads_for(plan)), log,
         task.part.folder / "run.sh", *task.words],
        env={**environment(), VARIABLE: str(journal)}, cwd=plan.grid.file.parent, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C comes to us, and we hand it on
    )  # fmt: skip
    return _Running(task, process, journal, log, time.monotonic())


def _outcome(ended: _Running) -> Outcome:
    """What a task has come to, as its journal tells."""
    seconds = time.monotonic() - ended.began
    facts = read_journal(ended.journal)
    if ended.process.returncode == 0:
        worked = any(fact.state == FINISHED for fact in facts)
        return Outcome(ended.task, DONE if worked else SKIPPED, seconds)
    for fact in facts:
        if fact.state == FAILED:
            log = Path(fact.log)
            return Outcome(ended.task, FAILED, seconds, log, fact.reason or last_words(log))
    return Outcome(ended.task, FAILED, seconds, ended.log, last_words(ended.log))


def _stop(running: list[_Running]) -> None:
    """End what is under way; the dispatchers end their jobs' processes."""
    for each in running:
        with contextlib.suppress(ProcessLookupError):
            each.process.terminate()
    for each in running:
        each.process.wait()


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the benchmark's folder; the lock goes with the process, however that ends."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another call runs this benchmark", value=out, hint="Wait for its end") from None
        yield


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP as an exception, so that what is under way is ended; 128 + their number."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
