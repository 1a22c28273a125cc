"""Time and peak memory of ``ser lint`` on tables alone, for a corpus of the size of MSP-Podcast.

    python benchmarks/lint.py --utterances 200000

The directories (train, validation, test) are made up: no audio is looked at.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema, Range

CLASSES = ["angry", "sad", "happy", "surprise", "fear", "disgust", "contempt", "neutral"]
ATTRIBUTES = ["arousal", "valence", "dominance"]
SETS = {"train": 0.7, "validation": 0.15, "test": 0.15}
WORDS = ["so", "I", "said", "we", "could", "go", "there", "again", "nobody", "ever", "told", "me", "what"]


def made_up(folder: Path, name: str, count: int) -> None:
    """Write a set of ``count`` utterances by a speaker for every hundred; all its tables are full."""
    draw = random.Random(name)
    utt2spk = {}
    for number in range(count):
        speaker = f"{name}{number // 100:05d}"
        utt2spk[f"{speaker}-MSP-PODCAST_{number // 50:05d}_{number:06d}"] = speaker
    votes = {utterance: [draw.random() for _ in CLASSES] for utterance in utt2spk}
    tables = {
        "utt2spk": utt2spk,
        "utt2orig": {utterance: utterance.split("-", 1)[1] for utterance in utt2spk},
        "text": {utterance: " ".join(draw.choices(WORDS, k=12)) for utterance in utt2spk},
        "utt2dur": {utterance: f"{draw.uniform(2.75, 11):.3f}" for utterance in utt2spk},
        "utt2dialogue": {utterance: utterance.rsplit("_", 1)[0] for utterance in utt2spk},
        "utt2turn": {utterance: utterance.rsplit("_", 1)[1] for utterance in utt2spk},
        "utt2emo": {utterance: CLASSES[shares.index(max(shares))] for utterance, shares in votes.items()},
        "utt2emodist": {
            utterance: " ".join(f"{share:.4f}" for share in shares) for utterance, shares in votes.items()
        },
    }
    for attribute in ATTRIBUTES:
        tables[f"utt2{attribute}"] = {utterance: f"{draw.uniform(1, 7):.3f}" for utterance in utt2spk}
    labels = LabelSchema(
        "msp_podcast", classes=CLASSES, attributes={name: Range(1, 7) for name in ATTRIBUTES},
        expected={"utterances": count},
    )  # fmt: skip
    recordings = {"wav.scp": {utterance: f"/corpus/Audios/{utterance}.wav" for utterance in utt2spk}}
    genders = {"spk2gender": {speaker: "mf"[hash(speaker) % 2] for speaker in set(utt2spk.values())}}
    DataDir(folder, labels, tables, recordings, genders).write(folder / name)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=200_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, share in SETS.items():
            made_up(Path(folder), name, round(share * arguments.utterances))
        command = [sys.executable, "-m", "ser.cli", "lint", "--no-audio", "--html", f"{folder}/lint.html"]
        start = time.monotonic()
        process = subprocess.Popen(
            [*command, *(f"{folder}/{name}" for name in SETS)], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"ser lint failed with {process.returncode}")
    print(
        f"{arguments.utterances:,} utterances, tables only: {seconds:.1f} s, {usage.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
