"""utils/slurm.sh on stand-ins for Slurm's commands (fake_slurm.py); tests/slurm has a real cluster."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "srun")


class Cluster:
    """The stand-in's files, and ways to call the dispatchers on it."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home, self.root = home / "slurm", root
        (self.home / "bin").mkdir(parents=True)
        script = (root / "tests/recipes/fake_slurm.py").read_text()
        for name in COMMANDS:
            (self.home / "bin" / name).write_text(f"#!{sys.executable} -IS\n{script}")
            (self.home / "bin" / name).chmod(0o755)
        self.environment = os.environ | {
            "FAKE_SLURM": str(self.home),
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
        }

    def command(self, *words: str, program: str = "slurm.sh") -> dict:
        """Arguments for ``subprocess``."""
        options = ["--poll", "0"] if program == "slurm.sh" else []
        return {
            "args": [str(self.root / "utils" / program), *options, *words],
            "cwd": self.home.parent,
            "env": self.environment,
            "text": True,
        }

    def run(self, *words: str, program: str = "slurm.sh") -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(*words, program=program), capture_output=True, timeout=60)

    def calls(self, name: str) -> list[list[str]]:
        """What one of Slurm's commands was called with."""
        file = self.home / "calls.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.split("|")[1:] for line in lines if line.startswith(f"{name}|")]

    def tell(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)


@pytest.fixture
def cluster(tmp_path, root):
    return Cluster(tmp_path, root)


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def plain(text: str) -> str:
    """Without times, nodes, and the dispatcher's name."""
    text = re.sub(r"(# Started|# Ended \(code \d+\)) at .*", r"\1", text)
    return re.sub(
        r"^\S*/dispatch.sh: line \d+", "bash", text.replace("slurm.sh", "run.sh"), flags=re.MULTILINE
    )


@pytest.mark.parametrize(
    "words",
    [
        ("log/x.log", "bash", "-c", "echo out; echo err >&2"),
        ("--show", "x.log", "printf", "<%s>", "a b", "", "$HOME", "*", "--force", "é"),
        ("JOB=2:3", "log/x.JOB.log", "echo", "--job", "JOB", "/my/JOBS/a-JOB.txt", "x_JOB_y"),
        ("JOB=1:2", "x.JOB.log", "bash", "-c", "echo start JOB; [ JOB = 1 ] || { echo the reason; exit 7; }"),
        ("x.log", "no-such-command"),
        ("--retries", "2", "x.log", "bash", "-c", "echo try >> tries; [ $(wc -l < tries) = 3 ]"),
        ("--retries", "1", "x.log", "bash", "-c", "echo try >> tries; exit 1"),
        ("--retries", "5", "x.log", "bash", "-c", "echo try >> tries; exit 2"),
        ("--threads", "3", "--show", "x.log", "bash", "-c", "echo $OMP_NUM_THREADS"),
        ("JOB=1:2", "same.log", "true"),
        ("JOB=3:2", "x.JOB.log", "true"),
        ("--max-jobs", "two", "x.log", "true"),
    ],
)  # fmt: skip
def test_logs_messages_and_exit_codes_are_those_of_run_sh(tmp_path, root, words):
    found = []
    for program in ("run.sh", "slurm.sh"):
        cluster = Cluster(tmp_path / program, root)
        done = cluster.run(*words, program=program)
        told = re.sub(r"^.*(submitted again|, the others go on;).*\n", "", done.stderr, flags=re.MULTILINE)
        logs = {path.name: plain(path.read_text()) for path in cluster.home.parent.rglob("*.log")}
        found.append((done.returncode, done.stdout, plain(told), logs))
    assert found[0] == found[1]


def test_what_is_submitted(cluster, tmp_path):
    done = cluster.run(
        "--partition", "gpu", "--time", "4:00:00", "--mem", "8G", "--cpus", "4", "--gpus", "2",
        "--max-jobs", "3", "--sbatch", "--account=me --qos=long", "JOB=1:9", "log/x.JOB.log", "true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [call] = cluster.calls("sbatch")
    expected = {
        "--array": "1-9%3", "--partition": "gpu", "--time": "4:00:00", "--mem": "8G", "--gres": "gpu:2",
        "--cpus-per-task": "4", "--nodes": "1", "--output": "log/x.%a.log", "--chdir": str(tmp_path),
    }  # fmt: skip
    assert {name: option(call, name) for name in expected} == expected
    assert "--no-requeue" in call and "--account=me" in call and "--qos=long" in call
    assert "--dependency" not in call
    assert [path.name for path in (tmp_path / "log/.slurm").iterdir() if path.is_dir()] == []


def test_only_the_failed_job_is_submitted_again_after_the_attempt_before(cluster, tmp_path):
    flaky = "echo JOB >> tries.JOB; [ JOB != 2 ] || [ $(wc -l < tries.JOB) = 2 ]"
    done = cluster.run("--retries", "1", "JOB=1:3", "x.JOB.log", "bash", "-c", flaky)
    assert done.returncode == 0
    assert "job 2 failed (exit code 1), submitted again as 2" in done.stderr
    first, second = cluster.calls("sbatch")
    assert (option(first, "--array"), option(second, "--array")) == ("1-3", "2")
    assert option(second, "--dependency") == "afterany:1_2"
    assert [(tmp_path / f"tries.{job}").read_text().count("\n") for job in (1, 2, 3)] == [1, 2, 1]


def test_a_lost_job_is_submitted_again_without_retries(cluster, tmp_path):
    cluster.tell("state.1_2", "NODE_FAIL")
    done = cluster.run("JOB=1:2", "x.JOB.log", "echo", "here")
    assert done.returncode == 0
    assert "job 2 was lost (NODE_FAIL), submitted again as 2" in done.stderr
    log = (tmp_path / "x.2.log").read_text()
    assert log.startswith("# Lost (NODE_FAIL) at ") and "\nhere\n" in log
    assert "Lost" not in (tmp_path / "x.1.log").read_text()


@pytest.mark.parametrize("victim", ["$PPID $$", "$$"])
def test_a_killed_job_is_lost(cluster, tmp_path, victim):
    killed = f"echo try >> tries; [ $(wc -l < tries) = 2 ] || kill -9 {victim}"
    done = cluster.run("x.log", "bash", "-c", killed)
    assert done.returncode == 0, done.stderr
    assert "# Lost (" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(
    ("state", "attempts", "code", "cause"),
    [
        ("NODE_FAIL", 3, 1, "the cluster has lost it too often (NODE_FAIL)"),
        ("TIMEOUT", 2, 124, "--time in cmd.sh"),
        ("OUT_OF_MEMORY", 1, 125, "--mem in cmd.sh"),
        ("CANCELLED", 1, 143, "cancelled from outside"),
    ],
)
def test_what_ends_by_slurm(cluster, tmp_path, root, state, attempts, code, cause):
    for number in range(1, 5):
        cluster.tell(f"state.{number}_1", state)
    done = cluster.run("--retries", "1", "x.log", "true")
    assert done.returncode == code
    assert len(cluster.calls("sbatch")) == attempts
    likely = f'. "{root}/utils/likely_cause.sh"; likely_cause x.log'
    told = subprocess.run(["bash", "-c", likely], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert cause in told.stdout


def test_a_queue_that_does_not_answer_loses_nothing(cluster):
    silence = 'printf "Socket timed out\\n%.0s" 1 2 3 4 > $FAKE_SLURM/squeue.fails; sleep 2'
    done = cluster.run("x.log", "bash", "-c", silence)
    assert done.returncode == 0
    assert len(cluster.calls("sbatch")) == 1
    assert done.stderr.count("squeue does not answer (squeue: error: Socket timed out); waiting") == 1


def test_a_controller_that_is_away_is_asked_again(cluster):
    cluster.tell("sbatch.fails", "Unable to contact slurm controller (connect failure)\n")
    done = cluster.run("x.log", "true")
    assert done.returncode == 0
    assert "trying again" in done.stderr and len(cluster.calls("sbatch")) == 2


def test_what_arrived_without_an_answer_runs_once(cluster, tmp_path):
    cluster.tell("sbatch.fails", "Socket timed out on send/recv operation\n")
    cluster.tell("sbatch.arrives", "")
    done = cluster.run("x.log", "bash", "-c", "echo try >> tries; sleep 3")
    assert done.returncode == 0, done.stderr
    assert len(cluster.calls("sbatch")) == 1
    assert (tmp_path / "tries").read_text() == "try\n"


def test_a_refusal_is_a_mistake_in_the_call(cluster, tmp_path):
    cluster.tell("sbatch.fails", "Batch job submission failed: Invalid partition name specified\n")
    done = cluster.run("--partition", "nope", "log/x.log", "true")
    assert done.returncode == 2
    assert (
        done.stderr
        == "slurm.sh: error: sbatch: Batch job submission failed: Invalid partition name specified\n"
    )
    assert [path for path in (tmp_path / "log/.slurm").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_cancels(cluster, tmp_path, how, alive, wait_for):
    script = "sleep 300 & echo $! > JOB.pid; echo $$ >> JOB.pid; wait"
    process = subprocess.Popen(
        **cluster.command("JOB=1:2", "x.JOB.log", "bash", "-c", script),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    files = [tmp_path / "1.pid", tmp_path / "2.pid"]
    wait_for(lambda: all(file.exists() and len(file.read_text().split()) == 2 for file in files))
    pids = [int(pid) for file in files for pid in file.read_text().split()]
    if how == signal.SIGINT:
        # As Ctrl-C does: a shell that alone gets it while $(squeue) runs takes it for handled by the command.
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 128 + how
    # It may come before sbatch has told the number of jobs that run already: they are cancelled by name.
    assert re.search(r"stopped(, jobs 1 cancelled)?; the logs are in x\.JOB\.log", told)
    assert "--name" in cluster.calls("scancel")[0]
    wait_for(lambda: not any(map(alive, pids)))


def test_jobs_of_a_killed_dispatcher_are_cancelled_and_waited_for(cluster, tmp_path, wait_for):
    words = ("x.log", "bash", "-c", "echo $$ >> pids; [ -e go ] || sleep 300")
    process = subprocess.Popen(**cluster.command(*words))
    wait_for((tmp_path / "pids").exists)
    twin = cluster.run(*words)
    assert twin.returncode == 2 and "another slurm.sh writes to x.log" in twin.stderr
    process.kill()
    process.wait()
    (tmp_path / "go").touch()
    done = cluster.run(*words)
    assert done.returncode == 0
    assert "cancelling what is left of an earlier call: 1" in done.stderr
    assert option(cluster.calls("sbatch")[-1], "--dependency") == "afterany:1"


def test_a_training_in_several_processes(cluster, tmp_path):
    done = cluster.run(
        "--nodes", "2", "--processes-per-node", "3", "--cpus", "4", "x.log", "ser", "papt", "--lr", "1"
    )
    assert done.returncode == 2, "outside of a job torchrun_slurm.sh refuses"
    assert option(cluster.calls("sbatch")[0], "--cpus-per-task") == "12"
    job = {"SLURM_JOB_ID": "40012", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    command = [cluster.root / "utils/torchrun_slurm.sh", "3", "ser", "papt", "--lr", "1"]
    subprocess.run(command, env=cluster.environment | job | {"SLURM_CPUS_PER_TASK": "12"}, check=True)
    [call] = cluster.calls("srun")
    assert (option(call, "--nodes"), option(call, "--cpus-per-task")) == ("2", "12")
    assert (option(call, "--nnodes"), option(call, "--nproc-per-node")) == ("2", "3")
    assert option(call, "--rdzv-endpoint") == "node1:20012"
    assert call[-5:] == ["--no-python", "ser", "papt", "--lr", "1"]


def test_without_slurm(cluster, tmp_path):
    (cluster.home / "bin" / "squeue").unlink()
    path = tmp_path / "few"
    path.mkdir()
    for name in ("bash", "env", "sed", "dirname", "basename", "cat"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    cluster.environment["PATH"] = f"{cluster.home / 'bin'}:{path}"
    done = cluster.run("x.log", "true")
    assert done.returncode == 2
    assert done.stderr.startswith("slurm.sh: error: there is no squeue on this machine")


def test_a_recipe_on_the_cluster_by_one_line(cluster, recipe):
    words = "slurm.sh --poll 0 --sbatch '--account=me --qos=long'"
    environment = {**cluster.environment, "SER_CMD": words}
    environment = {name: environment[name] for name in ("FAKE_SLURM", "PATH", "SER_CMD")}
    done = recipe.run("--db-root", str(recipe.corpus), **environment)
    assert done.returncode == 0, done.stderr
    names = [option(call, "--job-name").rsplit("-", 1)[0] for call in cluster.calls("sbatch")]
    assert names == ["extract_fbank_all", "train_fbank_emotion_seed0.JOB", "predict_fbank_emotion"]
    assert all("--account=me" in call and "--qos=long" in call for call in cluster.calls("sbatch"))
    assert recipe.run("--db-root", str(recipe.corpus), **environment).stdout.count(": up to date") >= 7
