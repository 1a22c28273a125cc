"""Sets of an experiment in which all is well, and ways to break them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema, Range
from ser.lint.finding import Level
from ser.lint.run import Result, lint

RATE = 16000
SPEAKERS = {"train": ["ann", "bob", "cem"], "validation": ["dora", "eve"], "test": ["finn", "gus"]}
CLASSES = ["anger", "joy", "neutral"]
EACH = 12  # utterances a speaker


def made_up(folder: Path, name: str, audio: Path) -> DataDir:
    """A set with every table; each dialogue is between two speakers, each text is said once."""
    data = DataDir(
        folder / name, LabelSchema("toy", "1", "CC0-1.0", CLASSES, {"arousal": Range(1, 7)}), {}, {}
    )
    names = [f"{speaker}-{number:02d}" for speaker in SPEAKERS[name] for number in range(EACH)]
    data.tables = {
        "utt2spk": {utterance: utterance.split("-")[0] for utterance in names},
        "utt2emo": {utterance: CLASSES[number % 3] for number, utterance in enumerate(names)},
        "utt2emodist": {
            utterance: " ".join("0.8" if column == number % 3 else "0.1" for column in range(3))
            for number, utterance in enumerate(names)
        },
        "utt2arousal": {utterance: f"{1.2 + number % 12 * 0.5:g}" for number, utterance in enumerate(names)},
        "utt2dialogue": {utterance: f"{name}_{utterance[-2:]}" for utterance in names},
        "utt2dur": {utterance: "0.5" for utterance in names},
        "text": {utterance: f"Something {utterance.replace('-', ' number ')} says." for utterance in names},
    }  # fmt: skip
    data.recordings = {"wav.scp": {utterance: str(audio / f"{utterance}.wav") for utterance in names}}
    return data


def recorded(folder: Path, waves: dict[str, np.ndarray]) -> None:
    """Write half a second of noise for every utterance; ``waves`` has those that are to be something else."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    for speakers in SPEAKERS.values():
        for utterance in [f"{speaker}-{number:02d}" for speaker in speakers for number in range(EACH)]:
            noise = generator.uniform(-0.3, 0.3, RATE // 2)
            soundfile.write(folder / f"{utterance}.wav", waves.get(utterance, noise), RATE)


class Sets(dict):
    """Name -> data directory in memory; ``lint`` writes and checks them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.audio = folder / "data", folder / "audio"
        super().__init__({name: made_up(self.folder, name, self.audio) for name in SPEAKERS})

    def write(self) -> list[Path]:
        """Write them all; return their paths."""
        for name, data in self.items():
            data.write(self.folder / name)
        return [self.folder / name for name in self]

    def lint(self, audio: bool = False, **options) -> Result:
        """What the linter says; of the audio only when asked."""
        return lint(self.write(), audio=audio, **options)

    def listen(self, waves: dict[str, np.ndarray] | None = None, **options) -> Result:
        """What it says with the audio, which is noise but for ``waves``."""
        recorded(self.audio, waves or {})
        return self.lint(audio=True, **options)

    def change(self, name: str, table: str, change: Callable[[str, str], str]) -> None:
        """Set every value of a table to ``change(key, value)``."""
        tables = self[name].tables
        tables[table] = {key: change(key, value) for key, value in tables[table].items()}


def findings(result: Result) -> dict[str, list]:
    """Check -> its findings, of the checks that have some."""
    return {outcome.check.name: list(outcome.findings) for outcome in result.outcomes if outcome.findings}


def only(result: Result, name: str, level: Level = Level.ERROR):
    """The one finding there is; it is of this check and level."""
    assert list(findings(result)) == [name], findings(result)
    [finding] = findings(result)[name]
    assert finding.level is level
    return finding
