"""The data directory: what is written is read, whole or not at all, and Kaldi's tools accept it."""

import os
import subprocess

import pytest

from ser.core.errors import UserError
from ser.data.datadir import DataDir, Segment
from ser.data.whole_dir import whole_dir


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_round_trip(toy):
    assert DataDir.load(toy.path) == toy
    assert toy.utterances == ["ann-0", "ann-1", "ann-2", "bob-0", "bob-1", "bob-2"]
    assert toy.spk2utt == {"ann": ["ann-0", "ann-1", "ann-2"], "bob": ["bob-0", "bob-1", "bob-2"]}
    assert toy.classes_of()["ann-1"] == "wild"
    assert toy.attribute("arousal") == {"ann-0": 1, "ann-1": 1.5, "ann-2": 2, "bob-0": 2.5, "bob-2": 3.5}
    assert toy.spk2gender == {"ann": "f", "bob": "m"}
    assert toy.durations()["ann-1"] == 0.6
    assert toy.folds() == {}
    before = contents(toy.path)
    DataDir.load(toy.path).write(toy.path)
    assert contents(toy.path) == before


def test_durations_come_from_the_headers_without_utt2dur(toy):
    said = toy.durations()
    del toy.tables["utt2dur"]
    assert toy.durations() == said
    toy.recordings["wav.scp"]["ann-0"] = "cat x.wav |"
    with pytest.raises(UserError, match=r"wav\.scp:1: duration of a command's output is not known"):
        toy.durations()


def test_unknown_attribute(toy):
    with pytest.raises(UserError, match=r"no such attribute: 'valence'\. It has arousal"):
        toy.attribute("valence")


def test_subset(toy):
    part = toy.subset(["bob-2", "bob-0"])
    assert part.utterances == ["bob-0", "bob-2"]
    assert list(part.wav_scp) == ["bob-0", "bob-2"]
    assert part.spk2gender == {"bob": "m"}
    assert all(table.keys() <= {"bob-0", "bob-2"} for table in part.tables.values())
    part.check()
    assert toy.subset(toy.utterances) == toy
    assert "utt2arousal" not in toy.subset(["bob-1"]).tables
    with pytest.raises(UserError, match="1 utterance not in it, the first: 'bob-9'"):
        toy.subset(["bob-9", "bob-1"])
    with pytest.raises(UserError, match="no utterance is left"):
        toy.subset([])


def test_segments(toy, tmp_path):
    audio = toy.wav_scp
    toy.recordings = {"wav.scp": {"rec1": audio["ann-0"], "rec2": audio["bob-0"]}}
    toy.segments = {
        name: Segment("rec1" if name.startswith("ann") else "rec2", 0.1 * number, 0.1 * number + 0.05)
        for number, name in enumerate(toy.utterances)
    }
    del toy.tables["utt2dur"]
    toy.write(tmp_path / "segmented")
    again = DataDir.load(tmp_path / "segmented")
    assert again == toy
    assert again.durations()["ann-1"] == pytest.approx(0.05)
    assert list(again.subset(["bob-0"]).wav_scp) == ["rec2"]


def test_kaldi_accepts_it(toy):
    """The conditions of Kaldi's validate_data_dir.sh, with the tools that it uses."""
    script = r"""
      set -euo pipefail; export LC_ALL=C; cd "$1"
      for table in utt2spk spk2utt wav.scp text utt2dur spk2gender; do
        awk '{print $1}' $table | sort -uc; [ -z "$(tail -c 1 $table)" ]
      done
      awk 'NF != 2 {exit 1}' utt2spk; sort -k2 utt2spk | cmp - utt2spk
      awk '{for (i = 2; i <= NF; i++) print $i, $1}' spk2utt | cmp - utt2spk
      for table in wav.scp text utt2dur; do cmp <(awk '{print $1}' utt2spk) <(awk '{print $1}' $table); done
      cmp <(awk '{print $1}' spk2utt) <(awk '{print $1}' spk2gender)
      awk 'NF != 2 || ($2 != "m" && $2 != "f") {exit 1}' spk2gender
      awk 'NF != 2 || !($2 > 0) {exit 1}' utt2dur
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", toy.path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_writing_replaces_tables_and_keeps_what_is_not_ours(toy):
    (toy.path / "notes.txt").write_text("keep me")
    (toy.path / "plots").mkdir()
    (toy.path / "sdata" / "2").mkdir(parents=True)
    del toy.tables["utt2arousal"]
    toy.write(toy.path)
    assert (toy.path / "notes.txt").read_text() == "keep me"
    assert (toy.path / "plots").is_dir()
    assert not (toy.path / "utt2arousal").exists()
    assert not (toy.path / "sdata").exists()
    assert os.listdir(toy.path.parent) == ["toy"]


def test_a_foreign_folder_is_not_overwritten(toy, tmp_path):
    (tmp_path / "audio" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not a data directory; it is not overwritten"):
        toy.write(tmp_path / "audio")
    assert (tmp_path / "audio" / "thesis.tex").exists()
    with pytest.raises(UserError, match="not overwritten"):
        toy.write(tmp_path / "audio" / "thesis.tex")


def test_nothing_is_written_of_an_inconsistent_directory(toy, tmp_path):
    before = contents(toy.path)
    toy.tables["utt2emo"]["ann-0"] = "furious"
    for target in (toy.path, tmp_path / "new"):
        with pytest.raises(UserError, match=r"no class of labels\.yaml"):
            toy.write(target)
    assert contents(toy.path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("renames_that_succeed", [0, 1])
def test_a_kill_leaves_the_old_directory_or_the_new_one(toy, monkeypatch, renames_that_succeed):
    """The process dies before or between the two renames; the next writer mends what it left."""
    (toy.path / "notes.txt").write_text("keep me")
    before, real, done = contents(toy.path), os.rename, []

    def dying(source, target):
        if len(done) == renames_that_succeed:
            monkeypatch.setattr("ser.data.whole_dir._recover", lambda *_: None)
            monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
            raise KeyboardInterrupt
        done.append(real(source, target))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", dying)
        with pytest.raises(KeyboardInterrupt):
            toy.write(toy.path)
    monkeypatch.undo()
    assert not toy.path.exists() or contents(toy.path) == before
    toy.write(toy.path)
    assert contents(toy.path) == before
    assert os.listdir(toy.path.parent) == ["toy"]


def test_a_link_to_a_directory_stays_a_link(toy, tmp_path):
    (tmp_path / "link").symlink_to(toy.path)
    del toy.tables["utt2arousal"]
    toy.write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "data" / "toy" / "utt2arousal").exists()
    DataDir.load(tmp_path / "link")


def test_places_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/x: cannot be written"):
        toy.write(tmp_path / "file" / "x")


def test_whole_dir_is_nothing_when_the_block_fails(tmp_path):
    with pytest.raises(ValueError, match="half"), whole_dir(tmp_path / "x", owns=lambda _: True) as folder:
        (folder / "a").write_text("1")
        raise ValueError("half")
    assert os.listdir(tmp_path) == []


def test_trait_is_by_utterance_where_only_some_speakers_are_known(toy):
    assert toy.trait("gender") == {name: "f" if name.startswith("ann") else "m" for name in toy.utterances}
    del toy.speakers["spk2gender"]
    assert toy.trait("gender") == {}
    toy.tables["utt2gender"] = {"bob-1": "m"}
    toy.check()
    assert toy.trait("gender") == {"bob-1": "m"}
    toy.tables["utt2gender"] = {"bob-1": "x"}
    with pytest.raises(UserError, match=r"utt2gender.*neither m nor f"):
        toy.check()
