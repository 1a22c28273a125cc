"""``ser prepare``: through the console script's own entry, with its exit codes and messages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.cli.prepare import main
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A data directory 'toy' in the working directory, of two speakers."""
    monkeypatch.chdir(tmp_path)
    names = [f"{speaker}-{number}" for speaker in "ab" for number in range(2)]
    for name in names:
        soundfile.write(f"{name}.wav", np.full(1600, 0.1), 16000)
    tables = {"utt2spk": {name: name[0] for name in names}, "utt2emo": dict.fromkeys(names, "calm")}
    wav_scp = {"wav.scp": {name: f"{name}.wav" for name in names}}
    DataDir(Path("toy"), LabelSchema("toy", classes=["calm"]), tables, wav_scp).write("toy")
    return Path("toy")


def ser(*arguments):
    """The whole command line in a process of its own: exit code, output, messages."""
    done = subprocess.run(
        [sys.executable, "-m", "ser.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_actions_in_turn(toy, capsys):
    main(["validate", "toy"])
    assert "toy: valid; 4 utterances, 2 speakers" in capsys.readouterr().out
    main(["split", "toy", "2"])
    assert capsys.readouterr().out == "toy/sdata/2\n"
    main(["combine", "again", "toy/sdata/2/1", "toy/sdata/2/2"])
    assert DataDir.load("again") == DataDir.load("again").subset(DataDir.load("toy").utterances)
    main(["subset", "toy", "one", "--speakers", "b"])
    assert DataDir.load("one").utterances == ["b-0", "b-1"]
    main(["copy", "toy", "fast", "--spk-prefix", "x-", "--utt-prefix", "x-"])
    assert DataDir.load("fast").utt2spk == {"x-a-0": "x-a", "x-a-1": "x-a", "x-b-0": "x-b", "x-b-1": "x-b"}
    capsys.readouterr()
    main(["fix", "toy"])
    assert capsys.readouterr().out == "toy: nothing to mend\n"
    main(["fix", "toy", "--durations"])
    assert DataDir.load("toy").durations() == dict.fromkeys(["a-0", "a-1", "b-0", "b-1"], 0.1)


def test_help(capsys):
    main(["--help"])
    overview = capsys.readouterr().out
    for name in ("emodb", "mini", "validate", "fix", "subset", "split", "combine", "copy"):
        assert name in overview
    code, out, _ = ser("prepare", "emodb", "--help")
    assert code == 0
    assert "--db-root" in out


def test_all_mistakes_are_printed_and_the_exit_code_is_2(toy):
    shutil.copy(toy / "utt2emo", "backup")
    (toy / "utt2emo").write_text("a-0 calm\na-1 mad\nb-0 calm\n")
    code, out, messages = ser("prepare", "validate", "toy")
    assert code == 2
    assert out == ""
    assert "ser: error: toy/utt2emo: utterance without a label: b-1." in messages
    assert "ser: error: toy/utt2emo:2: no class of labels.yaml: a-1 (mad). labels.yaml has calm." in messages
    assert "2 mistakes, listed above" in messages
    shutil.copy("backup", toy / "utt2emo")
    Path("a-1.wav").unlink()
    code, _, messages = ser("prepare", "validate", "toy")
    assert code == 2
    assert messages == "ser: error: toy/wav.scp:2: no such audio file (a-1.wav): a-1.\n"
    assert ser("prepare", "validate", "toy", "--no-wav")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validate", "none"], "none: no such data directory"),
        (["nonsense"], "no such corpus or action: 'nonsense'"),
        (["emodb"], "--db-root, the folder of EmoDB, is missing. EmoDB (CC0-1.0) is to be had at"),
        (["emodb", "--db-roott", "x"], "db-root"),
        (["split", "toy", "99"], "asks for 99 of 4 utterances"),
        (["split", "toy", "two"], "two"),
        (["subset", "toy", "x"], "give exactly one of"),
        (["subset", "toy", "x", "--speakers", "z"], "1 speaker not in it"),
        (["combine", "x", "toy", "toy"], "is also in"),
        (["copy", "toy", "x", "--utt-prefix", "q "], "must be one word"),
    ],
)
def test_mistakes_end_with_one_line_and_write_nothing(toy, arguments, words):
    before = sorted(os.listdir("."))
    code, _, messages = ser("prepare", *arguments)
    assert code == 2
    assert words in messages
    assert messages.startswith("ser: error: ")
    assert messages.count("\n") == 1
    assert sorted(os.listdir(".")) == before


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("validate_data_dir", ["toy"]),
        ("fix_data_dir", ["toy"]),
        ("subset_data_dir", ["--first", "1", "toy", "x"]),
        ("split_data", ["toy", "2"]),
        ("combine_data", ["x", "toy"]),
        ("copy_data_dir", ["--utt-suffix=-x", "toy", "x"]),
    ],
)
def test_wrappers_of_kaldis_names(toy, root, script, arguments):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [root / "utils" / f"{script}.sh", *arguments],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [root / "utils" / f"{script}.sh", "none", "none"],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
