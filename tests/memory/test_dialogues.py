"""Dialogues of a data directory: their order, and the ways in which a corpus can get it wrong."""

from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.downstream.protocol import Fold, Part
from ser.memory.dialogues import (
    check_folds,
    groups_of_speakers,
    hold_out,
    in_batches,
    load_dialogues,
    of_part,
)
from tests.memory.corpus import SCENES, dialogue, make_set


def load(folder: Path, **options) -> list:
    return load_dialogues(DataDir.load(make_set(folder, "all", **options)[0]))


def test_order_is_that_of_turns_and_names_not_of_ids(tmp_path: Path) -> None:
    """Turns 1 to 12 by number, where ids sort 1, 10, 11, 12, 2; speakers' letters come first in the ids."""
    found = load(tmp_path, scenes={"late": "b" * 6 + "a" * 6, "early": "c"})
    assert [each.name for each in found] == ["early", "late"]
    assert [u.rsplit("-", 1)[1] for u in found[1].utterances] == [str(n) for n in range(1, 13)]
    assert found[1].speakers == tuple("b" * 6 + "a" * 6)
    assert found[1].cast == ["b", "a"]
    assert found[1].slots("speaker") == [0] * 6 + [1] * 6
    assert found[1].slots("dialogue") == [0] * 12
    assert len(found[0]) == 1


def test_gaps_are_allowed(tmp_path: Path) -> None:
    """Turns that were left out of the directory are not heard, and the others keep their order."""
    turns = {"a-all-d-1": "3", "b-all-d-2": "100", "a-all-d-3": "0"}
    [found] = load(tmp_path, scenes={"d": "aba"}, tables={"utt2turn": turns})
    assert found.utterances == ("a-all-d-3", "a-all-d-1", "b-all-d-2")


def test_turns_doubled(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"two utterances are turn 1 of dialogue d1") as error:
        load(tmp_path, tables={"utt2turn": {"a-all-d1-3": "1"}})
    assert str(tmp_path / "data" / "all" / "utt2turn") in str(error.value)
    with pytest.raises(UserError, match="two utterances are turn 1 of dialogue d1"):
        load(tmp_path / "zero", tables={"utt2turn": {"a-all-d1-3": "01"}})


@pytest.mark.parametrize("turn", ["second", "-1", "1.5", "1e1", "²"])
def test_a_turn_that_is_no_number(tmp_path: Path, turn: str) -> None:
    with pytest.raises(UserError, match="Count turns from 1") as error:
        load(tmp_path, tables={"utt2turn": {"a-all-d1-3": turn}})
    assert f"utt2turn:2: turn of 'a-all-d1-3' is not a whole number: {turn!r}" in str(error.value)


@pytest.mark.parametrize("table", ["utt2dialogue", "utt2turn"])
def test_a_table_that_is_not_there(tmp_path: Path, table: str) -> None:
    data, _ = make_set(tmp_path, "all")
    lines = (data / table).read_text().splitlines(keepends=True)
    (data / table).write_text("".join(lines[1:]))
    with pytest.raises(UserError, match=rf"{table}.*1 utterance of the data directory not in it") as error:
        load_dialogues(DataDir.load(data))
    assert lines[0].split()[0] in str(error.value)
    (data / table).unlink()
    with pytest.raises(UserError, match=rf"{table}: no such table.*want utt2dialogue and utt2turn"):
        load_dialogues(DataDir.load(data))


@pytest.mark.parametrize(("recordings", "wrong"), [
    ("rrrr", "a-all-d-3, after b-all-d-2, begins before it: '2 s after 5 s'"),
    ("rqrq", "b-all-d-4, after b-all-d-2, begins before it: '3 s after 5 s'"),  # a recording for each side
    ("rqpo", None),
])  # fmt: skip
def test_turns_against_the_times_of_one_recording(tmp_path: Path, recordings: str, wrong: str | None) -> None:
    """Times of one recording are to be in the order of turns; those of several say nothing."""
    data, _ = make_set(tmp_path, "all", {"d": "abab"})
    ids = [f"{speaker}-all-d-{turn}" for turn, speaker in enumerate("abab", 1)]
    rows = sorted(zip(ids, recordings, ("0 1", "5 6", "2 3", "3 4"), strict=True))
    (data / "segments").write_text("".join(f"{' '.join(row)}\n" for row in rows))
    (data / "wav.scp").write_text("".join(f"{r} {r}.wav\n" for r in sorted(set(recordings))))
    if wrong is None:
        assert load_dialogues(DataDir.load(data))[0].utterances == tuple(ids)
        return
    with pytest.raises(UserError, match="turns of dialogue d are out of order") as error:
        load_dialogues(DataDir.load(data))
    assert wrong in str(error.value)
    assert "utt2turn:" in str(error.value)


def test_overlapping_speech_is_in_order(tmp_path: Path) -> None:
    """An utterance may begin before the one before it has ended, or with it."""
    data, _ = make_set(tmp_path, "all", {"d": "aba"})
    rows = {"a-all-d-1": "0 4", "b-all-d-2": "1 2", "a-all-d-3": "1 3"}
    (data / "segments").write_text("".join(f"{u} r {t}\n" for u, t in sorted(rows.items())))
    (data / "wav.scp").write_text("r r.wav\n")
    assert [len(each) for each in load_dialogues(DataDir.load(data))] == [3]


def test_parts_are_of_whole_dialogues() -> None:
    all_of_them = [dialogue(cast, name) for name, cast in SCENES.items()]
    assert of_part(all_of_them, ["d21", *all_of_them[0].utterances]) == all_of_them[:2]
    assert of_part(all_of_them, []) == []
    with pytest.raises(UserError, match=r"dialogue d1 is divided: 3 of 4 utterances are here: 'd13'"):
        of_part(all_of_them, ["d11", "d12", "d14"])


def test_folds_that_divide_a_dialogue() -> None:
    all_of_them = [dialogue(cast, name) for name, cast in SCENES.items()]
    train = Part("train", ("d21",))
    check_folds(all_of_them, [Fold("0", train, None, {"test": Part("train", all_of_them[0].utterances)})])
    with pytest.raises(UserError, match="dialogue d1 is divided: 1 of 4"):
        check_folds(all_of_them, [Fold("0", train, None, {"test": Part("train", ("d11",))})])


def test_speakers_who_meet_are_held_out_together() -> None:
    casts = {"d1": "ab", "d2": "bc", "d3": "de", "d4": "e", "d5": "fg", "d6": "gf"}
    dialogues = [dialogue(cast * 3, name) for name, cast in casts.items()]
    group = groups_of_speakers(dialogues)
    assert group == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": "f", "g": "f"}
    for seed in range(5):
        learn, held = hold_out(dialogues, 0.3, seed)
        assert sorted(each.name for each in (*learn, *held)) == sorted(casts)
        assert learn and held
        assert not {group[s] for each in learn for s in each.cast} & {
            group[s] for each in held for s in each.cast
        }
    assert len({tuple(each.name for each in hold_out(dialogues, 0.3, seed)[1]) for seed in range(20)}) > 1


def test_six_friends_in_every_scene() -> None:
    """All speakers are connected: dialogues are held out, whole."""
    dialogues = [dialogue("abc"[n % 3 :] + "cab", f"d{n}") for n in range(6)]
    learn, held = hold_out(dialogues, 0.3, 0)
    assert learn and held
    assert sorted(each.name for each in (*learn, *held)) == [f"d{n}" for n in range(6)]
    with pytest.raises(UserError, match=r"wants two training dialogues at least.*Give a validation set"):
        hold_out(dialogues[:1], 0.3, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_hold_every_dialogue_once_the_longest_first(size: int) -> None:
    dialogues = [dialogue(cast, name) for name, cast in SCENES.items()]
    batches = list(in_batches(dialogues, size))
    assert sorted(each.name for batch in batches for each in batch) == sorted(SCENES)
    assert all(len(batch) <= size for batch in batches)
    lengths = [len(each) for batch in batches for each in batch]
    assert lengths == sorted(lengths, reverse=True)
