"""A small made-up corpus on disk: data directory and pooled features, learnable, with known truth."""

import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np

from ser.core.files import write_text, write_yaml
from ser.data.arks import ArkWriter
from ser.downstream.experiment import Sources

CLASSES = ["calm", "happy", "sad"]
LAYERS, DIM = 3, 6


def make_set(
    folder: Path,
    name: str,
    speakers: list[str],
    utterances: int = 12,
    folds: bool = False,
    frame_rate: float = 50.0,
    seed: int = 0,
    without_arousal: int = 0,
) -> tuple[Path, Path]:
    """Write data/<name> and feats/toy/<name>; return both.

    Layer 1 carries class and arousal, the others are noise; every speaker has an offset of their own.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    data, feats = folder / "data" / name, folder / "feats" / "toy" / name
    ids, labels, means = [], {}, {}
    directions = np.random.default_rng(99).normal(size=(len(CLASSES) + 1, DIM))
    for speaker in sorted(speakers):
        offset = 0.3 * rng.normal(size=DIM)
        for number in range(utterances):
            utterance = f"{speaker}-{name}{number:03d}"
            label, arousal = int(rng.integers(len(CLASSES))), float(rng.uniform(1, 7))
            mean = rng.normal(size=(LAYERS, DIM))
            mean[1] = 0.3 * mean[1] + directions[label] + 0.5 * (arousal - 4) * directions[-1] + offset
            ids.append(utterance)
            labels[utterance], means[utterance] = (label, arousal), mean.astype(np.float32)
    tables = {
        "utt2spk": {u: u.split("-")[0] for u in ids},
        "wav.scp": {u: f"audio/{u}.wav" for u in ids},
        "utt2emo": {u: CLASSES[labels[u][0]] for u in ids},
        "utt2arousal": {u: f"{labels[u][1]:.3f}" for u in ids[without_arousal:]},
    }
    if folds:
        tables["utt2fold"] = tables["utt2spk"]
    for table, entries in tables.items():
        write_text(data / table, "".join(f"{key} {value}\n" for key, value in sorted(entries.items())))
    spk2utt = "".join(f"{s} {' '.join(u for u in ids if u.startswith(s))}\n" for s in sorted(speakers))
    write_text(data / "spk2utt", spk2utt)
    write_yaml(
        data / "labels.yaml",
        {
            "corpus": "toy",
            "release": "1",
            "licence": "none",
            "classes": CLASSES,
            "attributes": {"arousal": {"min": 1, "max": 7}},
            "derived": [],
        },
    )
    for stem in ("pooled_mean", "pooled_std"):
        feats.mkdir(parents=True, exist_ok=True)
        with ArkWriter(feats / stem) as writer:
            for utterance in ids:
                value = means[utterance] if stem == "pooled_mean" else np.abs(means[utterance]) + 1
                writer.write(utterance, value)
    write_yaml(
        feats / "meta.yaml", {"upstream": "toy", "tag": "toy", "frame_rate": frame_rate, "layers": LAYERS}
    )
    return data, feats


def moved(sources: Sources, old: Path, new: Path) -> Sources:
    """The sources of one folder, where they lie in a copy of it."""

    def there(value: Path | list[Path] | None) -> Path | list[Path] | None:
        if isinstance(value, list):
            return [new / path.relative_to(old) for path in value]
        return value and new / value.relative_to(old)

    return Sources(**{each.name: there(getattr(sources, each.name)) for each in fields(sources)})


def copied(sources: Sources, folder: Path) -> Sources:
    """The sources elsewhere, data and features, to be spoiled."""
    root = sources.data.parents[1]
    for part in ("data", "feats"):
        shutil.copytree(root / part, folder / part)
    return moved(sources, root, folder)
