"""tools/install.sh: what it believes, repeats and says; on a stand-in for Python and pip."""

import os
import signal
import subprocess

import pytest

# ``-m venv DIR`` makes DIR/bin/python another of these; ``-m pip install`` does as $FAKE_PIP says.
FAKE_PYTHON = r"""#!/usr/bin/env bash
case "$*" in
  --version) echo "Python $FAKE_VERSION" ;;
  *version_info\ \<*) [[ $FAKE_VERSION != 3.[0-9] ]] ;;
  *sys.version_info*) echo "$FAKE_VERSION" ;;
  "-c import pip") exit 0 ;;
  "-m venv "*)
    [[ ${FAKE_VENV-} == none ]] && { echo "ensurepip is not available."; exit 1; }
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "version = $FAKE_VERSION" > "$3/pyvenv.cfg" ;;
  "-m pip install "*)
    echo "${@: -1}" >> "$FAKE_CALLS"
    echo "Collecting torch"
    case ${FAKE_PIP-} in
      fail) echo "ERROR: No matching distribution found for torch"; exit 1 ;;
      disk) echo "ERROR: [Errno 28] No space left on device"; exit 1 ;;
      hang) exec sleep 3 ;;
      slow) sleep 1 ;;
    esac ;;
esac
"""


class Installer:
    """tools/install.sh on a machine of its own."""

    def __init__(self, root, home):
        self.root, self.home, self.venv = root, home, home / "venv"
        self.calls_file = home / "calls.txt"
        bin_folder = home / "bin"
        bin_folder.mkdir()
        (bin_folder / "python3").write_text(FAKE_PYTHON)
        (bin_folder / "python3").chmod(0o755)
        self.environment = {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(home),
            "SER_VENV": str(self.venv),
            "FAKE_CALLS": str(self.calls_file),
            "FAKE_VERSION": "3.11",
        }

    def start(self, *words, **environment):
        """Start it."""
        return subprocess.Popen(
            [self.root / "tools" / "install.sh", *words],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words, **environment):
        """Run it to its end; exit code and what it said."""
        process = self.start(*words, **environment)
        out, told = process.communicate(timeout=60)
        assert not out
        return process.returncode, told

    def calls(self):
        """What pip was asked to install, call by call."""
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def installer(root, tmp_path):
    return Installer(root, tmp_path)


def test_first_call_installs_and_the_second_says_nothing(installer):
    code, told = installer.run("--extras", "espeak")
    assert code == 0
    assert "building the environment" in told
    assert "about 80 s and 1.5 GB" in told
    assert installer.calls() == [f"{installer.root}[espeak]"]
    assert installer.run("--extras", "espeak") == (0, "")
    assert installer.run() == (0, "")
    assert len(installer.calls()) == 1


def test_extras_add_up(installer):
    installer.run("--extras", "test")
    assert installer.run("--extras", "espeak opensmile")[0] == 0
    assert installer.calls()[-1] == f"{installer.root}[espeak,opensmile,test]"
    assert installer.run("--extras", "test opensmile") == (0, "")


def test_no_extras(installer):
    assert installer.run()[0] == 0
    assert installer.calls() == [str(installer.root)]
    assert installer.run() == (0, "")


def test_another_setup_or_python_is_noticed(installer):
    installer.run()
    stamp = installer.venv / ".ser-installed"
    stamp.write_text(stamp.read_text().replace("setup ", "setup 1"))
    assert "bringing" in installer.run()[1]
    assert len(installer.calls()) == 2
    assert "bringing" in installer.run(FAKE_VERSION="3.12")[1]
    assert len(installer.calls()) == 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_installation_is_not_believed(installer, wait_for, how):
    process = installer.start(FAKE_PIP="hang")
    wait_for(lambda: installer.calls())
    process.send_signal(how)
    process.communicate(timeout=20) if how != signal.SIGKILL else process.wait(20)
    assert process.returncode != 0
    (installer.venv / "half-a-package").write_text("x")
    code, told = installer.run()
    assert code == 0
    assert "the last installation was interrupted" in told
    assert not (installer.venv / "half-a-package").exists()
    assert installer.run() == (0, "")


def test_a_failed_addition_leaves_a_complete_environment_as_it_was(installer):
    installer.run("--extras", "test")
    code, told = installer.run("--extras", "espeak", FAKE_PIP="fail")
    assert code == 1
    assert "No matching distribution found for torch" in told
    assert installer.run("--extras", "test") == (0, "")


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [("fail", "the index has no build for this Python"), ("disk", "the disk is full")],
)
def test_a_failure_shows_the_end_of_the_log_and_the_cause(installer, behaviour, cause):
    code, told = installer.run(FAKE_PIP=behaviour)
    assert code == 1
    assert "    ERROR: " in told
    assert f"Likely cause: {cause}" in told
    assert f"Log: {installer.venv}.log" in told
    assert installer.run()[0] == 0
    assert installer.run() == (0, "")


def test_python_that_is_too_old(installer):
    code, told = installer.run("--python", "python3", FAKE_VERSION="3.9")
    assert code == 1
    assert "python3 is Python 3.9: Python 3.10 or newer is needed" in told
    assert not installer.venv.exists()


def test_python_without_venv(installer):
    code, told = installer.run(FAKE_VENV="none")
    assert code == 1
    assert "python3 has no module venv. On Debian or Ubuntu: apt install python3-venv" in told
    assert not installer.venv.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(installer):
    installer.venv.mkdir()
    (installer.venv / "thesis.tex").write_text("x")
    code, told = installer.run()
    assert code == 1
    assert "is a folder with something else in it" in told
    assert (installer.venv / "thesis.tex").exists()


def test_an_environment_of_the_user_s_own_is_never_deleted(installer):
    assert installer.run()[0] == 0
    (installer.venv / ".ser-made").unlink()
    (installer.venv / ".ser-begun").touch()
    code, told = installer.run()
    assert code == 1
    assert "was not made by tools/install.sh: delete it yourself" in told
    assert installer.venv.exists()


def test_two_calls_at_once_install_once(installer, wait_for):
    first = installer.start(FAKE_PIP="slow")
    wait_for(lambda: installer.calls())
    code, told = installer.run()
    assert first.wait(30) == 0
    assert (code, told) == (0, "install.sh: another installation is going on; waiting for it\n")
    assert len(installer.calls()) == 1
