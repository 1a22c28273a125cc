"""Stage marks: done again when, and only when, something that matters has changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ser.core import marks
from ser.core.marks import OUTDATED, TO_DO, UP_TO_DATE, Inputs, Mark, MissingInput, digest_audio, digest_file


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with two inputs and a finished item of work."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/utt2spk").write_text("a s\n")
    Path("data/utt2emo").write_text("a anger\n")
    Path("out").mkdir()
    mark = Mark(".marks/item")
    mark.begin(inputs())
    Path("out/model").write_text("m")
    mark.finish(["out/model"])
    return tmp_path


def inputs(*paths: str, **config: str) -> Inputs:
    named = [(path, path) for path in paths or ("data",)]
    return Inputs({"upstream": "fbank", **config}, marks.digest_inputs(named))


def test_same_inputs_are_up_to_date(work):
    assert Mark(".marks/item").state(inputs()) == (UP_TO_DATE, "up to date")


def test_modification_time_does_not_matter(work):
    for path in ("data/utt2spk", "data/utt2emo", "out/model"):
        os.utime(path, (1, 1))
    assert Mark(".marks/item").state(inputs())[0] == UP_TO_DATE


def test_a_moved_folder_keeps_its_marks(work, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "recipe"
    shutil.copytree(work, elsewhere)
    monkeypatch.chdir(elsewhere)
    assert Mark(".marks/item").state(inputs())[0] == UP_TO_DATE


def test_changed_content_is_named(work):
    Path("data/utt2emo").write_text("a fear!\n")
    assert Mark(".marks/item").state(inputs()) == (OUTDATED, "data/utt2emo changed")


def test_new_and_removed_files_are_named(work):
    Path("data/utt2emo").rename("data/utt2valence")
    code, reason = Mark(".marks/item").state(inputs())
    assert code == OUTDATED
    assert reason == "data/utt2valence is new; data/utt2emo is no longer an input"


def test_hidden_files_do_not_matter(work):
    Path("data/.utt2emo.swp").write_text("x")
    assert Mark(".marks/item").state(inputs())[0] == UP_TO_DATE


def test_changed_option_is_named_with_both_values(work):
    assert Mark(".marks/item").state(inputs(upstream="mfcc")) == (
        OUTDATED,
        "upstream was 'fbank', is now 'mfcc'",
    )
    assert Mark(".marks/item").state(inputs(epochs="3"))[1] == "epochs was not given, is now '3'"


def test_many_changes_are_counted(work):
    for number in range(5):
        Path(f"data/utt2x{number}").write_text("1\n")
    assert Mark(".marks/item").state(inputs())[1].endswith("data/utt2x2 is new; and 2 more")


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("")])
def test_missing_or_empty_output_is_to_do(work, damage):
    damage(Path("out/model"))
    assert Mark(".marks/item").state(inputs()) == (TO_DO, "out/model is missing")


def test_interrupted_work_is_not_believed(work):
    Mark(".marks/item").begin(inputs())
    assert Path("out/model").exists()
    assert Mark(".marks/item").state(inputs()) == (TO_DO, "it was begun and not finished")


def test_interrupted_work_on_other_inputs_is_outdated(work):
    Mark(".marks/item").begin(inputs(upstream="mfcc"))
    assert Mark(".marks/item").state(inputs())[0] == OUTDATED


def test_inputs_are_those_at_the_beginning(work):
    mark = Mark(".marks/item")
    mark.begin(inputs())
    Path("data/utt2emo").write_text("a joy\n")  # edited while the work went on
    mark.finish(["out/model"])
    assert mark.state(inputs())[0] == OUTDATED


def test_finish_refuses_when_a_promise_is_not_kept(work):
    mark = Mark(".marks/item")
    mark.begin(inputs())
    with pytest.raises(MissingInput) as missing:
        mark.finish(["out/model", "out/scores.json"])
    assert missing.value.args == ("out/scores.json",)
    assert mark.state(inputs())[0] == TO_DO


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "inputs": 3, "outputs": []}']
)
def test_a_damaged_mark_is_not_believed(work, content):
    Path(".marks/item").write_text(content)
    assert Mark(".marks/item").state(inputs())[0] == OUTDATED


def test_a_mark_of_another_release_is_not_believed(work):
    content = json.loads(Path(".marks/item").read_text())
    Path(".marks/item").write_text(json.dumps({**content, "version": 0}))
    assert Mark(".marks/item").state(inputs())[0] == OUTDATED


def test_every_byte_of_a_table_counts_and_both_ends_of_a_long_file(tmp_path):
    table = tmp_path / "utt2emo"
    table.write_bytes(b"a" * 1000)
    before = digest_file(table)
    table.write_bytes(b"a" * 500 + b"b" + b"a" * 499)
    assert digest_file(table) != before

    ark = tmp_path / "pooled_mean.ark"
    content = bytearray(5 << 20)
    ark.write_bytes(content)
    before = digest_file(ark)
    for place in (0, len(content) - 1):
        changed = bytearray(content)
        changed[place] = 1
        ark.write_bytes(changed)
        assert digest_file(ark) != before
    ark.write_bytes(content[:-1])
    assert digest_file(ark) != before


def test_audio_digest_sees_changed_removed_and_reordered_audio(tmp_path):
    wavs = [tmp_path / f"{name}.wav" for name in "ab"]
    for number, wav in enumerate(wavs):
        wav.write_bytes(bytes([number]) * 20_000)
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"{wav.stem} {wav}\n" for wav in wavs))
    seen = {digest_audio(scp)}
    wavs[1].write_bytes(bytes([7]) * 20_000)
    seen.add(digest_audio(scp))
    wavs[1].unlink()
    seen.add(digest_audio(scp))
    assert len(seen) == 3


def test_many_files_on_threads_equal_one_by_one(tmp_path):
    for number in range(100):
        (tmp_path / f"{number:03d}.wav").write_bytes(bytes([number]) * 100)
    found = marks.digest_inputs([("corpus", str(tmp_path))])
    assert found == {f"corpus/{n:03d}.wav": digest_file(tmp_path / f"{n:03d}.wav") for n in range(100)}


def test_missing_inputs_are_all_named(tmp_path):
    with pytest.raises(MissingInput) as missing:
        marks.digest_inputs([("a", str(tmp_path / "a")), ("here", str(tmp_path)), ("b", str(tmp_path / "b"))])
    assert missing.value.args == (str(tmp_path / "a"), str(tmp_path / "b"))


def run_script(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    """By its path, without site-packages: as before anything is installed."""
    command = [sys.executable, "-I", "-S", marks.__file__, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_script_goes_through_the_life_of_an_item(tmp_path):
    (tmp_path / "in.txt").write_text("1")
    check = ["check", ".marks/x", "--config", "options=--lr 1", "empty=", "--input", "in.txt"]
    absent = run_script(*check, "gone.txt", cwd=tmp_path)
    assert (absent.returncode, absent.stdout) == (3, "gone.txt\n")
    first = run_script(*check, "--begin", cwd=tmp_path)
    assert (first.returncode, first.stdout) == (10, "not done yet\n")
    assert run_script("finish", ".marks/x", "--output", "out.txt", cwd=tmp_path).returncode == 3
    (tmp_path / "out.txt").write_text("2")
    assert run_script("finish", ".marks/x", "--output", "out.txt", cwd=tmp_path).returncode == 0
    assert run_script(*check, cwd=tmp_path).returncode == 0
    forced = run_script(*check, "--force", cwd=tmp_path)
    assert (forced.returncode, forced.stdout) == (11, "forced\n")
    (tmp_path / "in.txt").write_text("3")
    assert run_script(*check, cwd=tmp_path).returncode == 11
    assert not list((tmp_path / ".marks").glob(".writing-*"))
