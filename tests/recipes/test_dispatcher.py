"""utils/run.sh: jobs, logs, retries, failures, and no process left behind."""

import os
import pty
import signal
import subprocess

import pytest


@pytest.fixture
def dispatch(root, tmp_path):
    def run(*words, **options):
        command = [root / "utils" / "run.sh", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, **options)

    return run


def test_log_of_a_command(dispatch, tmp_path):
    done = dispatch("log/deep/x.log", "bash", "-c", "echo out; echo err >&2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = (tmp_path / "log/deep/x.log").read_text().splitlines()
    assert lines[0] == r"# bash -c echo\ out\;\ echo\ err\ \>\&2"
    assert lines[1].startswith("# Started at ")
    assert lines[3:5] == ["out", "err"]
    assert lines[-1].startswith("# Ended (code 0) at ")


def test_job_number_is_put_in_as_a_word(dispatch, tmp_path):
    done = dispatch("JOB=2:3", "log/x.JOB.log", "echo", "--job", "JOB", "/my/JOBS/a-JOB.txt", "x_JOB_y")
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["x.2.log", "x.3.log"]
    assert "--job 3 /my/JOBS/a-3.txt x_3_y" in (tmp_path / "log/x.3.log").read_text().splitlines()


def test_arguments_arrive_as_they_are(dispatch):
    done = dispatch("--show", "x.log", "printf", "<%s>", "a b", "", "$HOME", "*", "--force", "é")
    assert done.stdout == "<a b><><$HOME><*><--force><é>\n"


def test_show_prints_the_output_alone(dispatch):
    done = dispatch(
        "--show", "x.log", "bash", "-c", "echo '# Title'; echo 'progress x: 10 %'; echo; echo end"
    )
    assert done.stdout == "# Title\n\nend\n"


def test_at_most_max_jobs_run_at_once(dispatch, tmp_path):
    meet = "if [ JOB -le 2 ]; then until [ -e met.1 -a -e met.2 ]; do sleep 0.05; done; fi"
    count = f"touch running/JOB met.JOB; {meet}; ls running | wc -l >> seen; rm running/JOB"
    (tmp_path / "running").mkdir()
    assert dispatch("--max-jobs", "2", "JOB=1:5", "x.JOB.log", "bash", "-c", count).returncode == 0
    seen = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 5
    assert max(seen) == 2


def test_threads_are_shared_out_and_can_be_set(dispatch, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0))
    echo = ["x.log", "bash", "-c", "echo $OMP_NUM_THREADS"]
    assert dispatch("--show", *echo).stdout == f"{cores}\n"
    assert dispatch("--show", "--threads", "3", *echo).stdout == "3\n"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert dispatch("--show", *echo).stdout == "5\n"


def test_failure_names_job_command_log_and_its_end(dispatch):
    script = "echo start JOB; if [ JOB = 2 ]; then echo the reason; exit 7; fi"
    done = dispatch("JOB=1:3", "log/x.JOB.log", "bash", "-c", script)
    assert done.returncode == 7
    assert "1 of 3 jobs failed: 2" in done.stderr
    assert "exit code 7" in done.stderr
    assert "log/x.2.log" in done.stderr
    assert "    the reason\n" in done.stderr
    assert "start 1" not in done.stderr


def test_unknown_command(dispatch):
    done = dispatch("x.log", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command: command not found" in done.stderr


def test_a_failed_job_is_tried_again(dispatch, tmp_path):
    flaky = "echo try >> tries; [ $(wc -l < tries) = 3 ]"
    assert dispatch("--retries", "2", "x.log", "bash", "-c", flaky).returncode == 0
    assert "# Attempt 3 of 3" in (tmp_path / "x.log").read_text()


def test_retries_end(dispatch, tmp_path):
    assert dispatch("--retries", "1", "x.log", "bash", "-c", "echo try >> tries; exit 1").returncode == 1
    assert (tmp_path / "tries").read_text() == "try\n" * 2


def test_a_mistake_in_the_input_is_not_tried_again(dispatch, tmp_path):
    assert dispatch("--retries", "5", "x.log", "bash", "-c", "echo try >> tries; exit 2").returncode == 2
    assert (tmp_path / "tries").read_text() == "try\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("JOB=1:2", "same.log", "true"), "the log 'same.log' has no JOB in it"),
        (("JOB=3:2", "x.JOB.log", "true"), "JOB=3:2 is not a range"),
        (("--max-jobs", "two", "x.log", "true"), "'two' is not a number"),
        (("x.log",), "Usage: run.sh"),
    ],
)
def test_mistakes_in_the_call(dispatch, words, message):
    done = dispatch(*words)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_jobs_and_their_children(root, tmp_path, how, alive, wait_for):
    script = "sleep 300 & echo $! > JOB.pid; echo $$ >> JOB.pid; wait"
    command = [root / "utils/run.sh", "--max-jobs", "2", "JOB=1:2", "x.JOB.log", "bash", "-c", script]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    files = [tmp_path / "1.pid", tmp_path / "2.pid"]
    wait_for(lambda: all(file.exists() and len(file.read_text().split()) == 2 for file in files))
    pids = [int(pid) for file in files for pid in file.read_text().split()]
    assert all(map(alive, pids))
    process.send_signal(how)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 128 + how
    assert "stopped" in told
    wait_for(lambda: not any(map(alive, pids)))


def test_progress_of_all_jobs_on_a_terminal(root, tmp_path):
    script = "echo progress extract fbank: 40 %, 0:10 gone, 0:0$((JOB)) left; sleep 2.5"
    ours, theirs = pty.openpty()
    command = [root / "utils/run.sh", "--max-jobs", "2", "JOB=1:2", "x.JOB.log", "bash", "-c", script]
    assert subprocess.run(command, cwd=tmp_path, stderr=theirs, timeout=60).returncode == 0
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    assert "extract fbank: 40 %, about 0:02 left, 0 of 2 jobs done" in shown
    assert shown.endswith("\r\x1b[K")
