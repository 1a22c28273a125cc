"""A small corpus of tones on disk: the class is how noisy, arousal how high; known truth."""

from pathlib import Path

import numpy as np
import soundfile

from ser.core.files import write_text, write_yaml

CLASSES = ["clear", "hoarse"]
RATE = 16000
PITCH = 600.0
NOISE = {"clear": 0.002, "hoarse": 0.2}


def write_tones(
    folder: Path,
    name: str = "all",
    speakers: str = "abcd",
    utterances: int = 8,
    folds: bool = True,
    prefix: str = "",
    longest: float = 0.5,
) -> Path:
    """Write data/<name> with ``utterances`` tones of .25 to ``longest`` seconds a speaker; return it."""
    data, rows = folder / "data" / name, {}
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    for speaker in speakers:
        random = np.random.default_rng([ord(speaker), *name.encode()])
        for number in range(utterances):
            utterance = f"{prefix}{speaker}-{name}{number:02d}"
            label, arousal = CLASSES[number % 2], float(random.uniform(-1, 1))
            time = np.arange(int(random.uniform(0.25, longest) * RATE)) / RATE
            pitch = PITCH * 4**arousal * (1 + 0.02 * random.normal())
            wave = 0.2 * np.sin(2 * np.pi * pitch * time) + NOISE[label] * random.normal(size=len(time))
            soundfile.write(folder / "wav" / f"{utterance}.wav", wave, RATE, subtype="PCM_16")
            rows[utterance] = (f"{prefix}{speaker}", label, arousal)
    tables = {
        "utt2spk": {u: row[0] for u, row in rows.items()},
        "wav.scp": {u: str(folder / "wav" / f"{u}.wav") for u in rows},
        "utt2emo": {u: row[1] for u, row in rows.items()},
        "utt2arousal": {u: f"{row[2]:.4f}" for u, row in rows.items()},
    }
    if folds:
        tables["utt2fold"] = tables["utt2spk"]
    spoken: dict[str, list[str]] = {}
    for utterance, (speaker, _, _) in sorted(rows.items()):
        spoken.setdefault(speaker, []).append(utterance)
    tables["spk2utt"] = {speaker: " ".join(words) for speaker, words in spoken.items()}
    for table, entries in tables.items():
        write_text(data / table, "".join(f"{key} {value}\n" for key, value in sorted(entries.items())))
    write_yaml(
        data / "labels.yaml",
        {
            "corpus": "tones", "release": "1", "licence": "none", "classes": CLASSES,
            "attributes": {"arousal": {"min": -1, "max": 1}}, "derived": [],
        },
    )  # fmt: skip
    return data
