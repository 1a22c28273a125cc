"""A stand-in for Slurm's commands, under each of whose names it is put: jobs are processes of this machine.

What it does is told by files in $FAKE_SLURM:

    <command>.fails      lines, one a call: what it says as it fails
    <command>.arrives    there: a call that fails has had its effect all the same
    state.<array>_<task> this job is lost at once, in this state
    hold                 there: nothing starts
    calls.txt            what it was called with, a line a call, words divided by |
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ["FAKE_SLURM"])
JOBS = HOME / "jobs"


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def queue(name: str) -> dict[str, int]:
    """<array>_<task> -> process id, 0 for one that waits."""
    found = {}
    for file in sorted(JOBS.glob("*_*")):
        job_name, pid = file.read_text().split()
        if job_name == name and (pid == "0" or runs(int(pid))):
            found[file.name] = int(pid)
    return found


def sbatch() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("job-name", "array", "chdir", "output"):
        parser.add_argument(f"--{option}")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    known = ("--job-name", "--array", "--chdir", "--output")
    words = sys.argv[1:]
    script = next(i for i, word in enumerate(words) if word.endswith("slurm_task.sh"))
    options = parser.parse_args(
        [w for i, word in enumerate(words) if word in known for w in words[i : i + 2]] + words[script:]
    )
    JOBS.mkdir(exist_ok=True)
    number = 1 + max((int(file.name.split("_")[0]) for file in JOBS.iterdir()), default=0)
    first, _, last = options.array.partition("%")[0].partition("-")
    for task in range(int(first), int(last or first) + 1):
        job = JOBS / f"{number}_{task}"
        pid = 0
        if (HOME / f"state.{job.name}").exists():
            pid = 2**30  # nobody's
        elif not (HOME / "hold").exists():
            output = Path(options.chdir, options.output.replace("%a", str(task)).replace("%%", "%"))
            with output.open("a") as log:
                pid = subprocess.Popen(
                    ["bash", *options.words],
                    cwd=options.chdir,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=os.environ | {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_JOB_ID": str(number)},
                ).pid
        job.write_text(f"{options.job_name} {pid}\n")
    answer(str(number))


def squeue() -> None:
    assert option("--format") == "%F_%K %T %r"
    lines = [
        f"{job} {'RUNNING None' if pid else 'PENDING Resources'}"
        for job, pid in queue(option("--name")).items()
    ]
    answer("\n".join(lines))


def scancel() -> None:
    for job, pid in queue(option("--name")).items():
        if pid:
            os.killpg(pid, signal.SIGTERM)
        (JOBS / job).write_text("cancelled 0")


def scontrol() -> None:
    if sys.argv[1:3] == ["show", "hostnames"]:
        print("node1\nnode2")
        return
    file = HOME / f"state.{sys.argv[-1]}"
    print(f"JobId=7 JobState={file.read_text() if file.exists() else 'FAILED'} Reason=None")


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def answer(text: str) -> None:
    if failure is None:
        print(text)


name = Path(sys.argv[0]).name
with (HOME / "calls.txt").open("a") as calls:
    print(name, *sys.argv[1:], sep="|", file=calls)
fails, failure = HOME / f"{name}.fails", None
if fails.exists() and (lines := fails.read_text().splitlines()):
    failure = lines[0]
    fails.write_text("\n".join(lines[1:]))
if failure is None or (HOME / f"{name}.arrives").exists():
    {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "scontrol": scontrol, "srun": lambda: None}[
        name
    ]()
if failure is not None:
    sys.exit(f"{name}: error: {failure}")
