"""A release of the full size, with the published counts: 10,039 turns of one tone in 151 dialogues."""

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest

from ser.corpora import iemocap
from ser.corpora.iemocap.release import COUNTS, DIALOGUES, IMPROVISED_COUNTS, IMPROVISED_TURNS, Selection
from tests.fixtures.speech import Tone


def codes_of(scene: str) -> list[str]:
    """The codes of all turns of improvised or scripted dialogues; the split of the rare ones is made up."""
    improvised = dict(IMPROVISED_COUNTS)
    improvised["xxx"] = IMPROVISED_TURNS - sum(improvised.values())
    counts = {code: improvised.get(code, 0) for code in COUNTS}
    if scene == "script":
        counts = {code: COUNTS[code] - number for code, number in counts.items()}
    return [code for code, number in counts.items() for _ in range(number)]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree; its audio is one file, linked."""
    root = tmp_path_factory.mktemp("release")
    Tone().wav(root / "tone.wav", "")
    for scene in ("impro", "script"):
        names = [name for name in DIALOGUES if f"_{scene}" in name]
        turns: dict[str, list[str]] = {name: [] for name in names}
        for name, code in zip(itertools.cycle(names), codes_of(scene)):
            turns[name].append(code)
        for name, codes in turns.items():
            write_dialogue(root, name, codes)
    return root


def write_dialogue(root: Path, name: str, codes: list[str]) -> None:
    session = root / f"Session{name[4]}"
    places = [session / "dialog" / "EmoEvaluation", session / "dialog" / "transcriptions"]
    wavs = session / "sentences" / "wav" / name
    for folder in (*places, wavs):
        folder.mkdir(parents=True, exist_ok=True)
    labels, words = [], []
    for number, code in enumerate(codes):
        turn, start, end = f"{name}_{'FM'[number % 2]}{number // 2:03d}", 2.0 * number, 2.0 * number + 1
        labels.append(f"[{start} - {end}]\t{turn}\t{code}\t[3.0, 2.5, 4.0]\nC-E1:\tAnger;\t()\n\n")
        words.append(f"{turn} [{start}-{end}]: Number {number}.\n")
        os.link(root / "tone.wav", wavs / f"{turn}.wav")
    for folder, lines in zip(places, (labels, words), strict=True):
        (folder / f"{name}.txt").write_text("".join(lines))


@pytest.mark.parametrize(
    ("classes", "merge", "scenario", "turns", "dialogues"),
    [
        ("4", None, "all", 5531, 151),
        ("4", False, "all", 4490, 151),
        ("all", None, "all", 10039, 151),
        ("4", None, "improvised", 2943, 80),
        ("4", None, "scripted", 2588, 71),
    ],
)
def test_a_whole_copy_has_the_published_counts(
    release: Path, classes: str, merge: bool | None, scenario: str, turns: int, dialogues: int, caplog
) -> None:
    data = iemocap.read(release, Selection.of(classes, merge), scenario)
    assert len(data.utterances) == turns
    assert {**Counter(data.classes_of().values()), "utterances": turns} == data.labels.expected
    assert not data.labels.partial
    assert len(set(data.tables["utt2dialogue"].values())) == dialogues
    assert caplog.text == ""
