"""Data directories and experiments made up for tests, in the layout of ``ser train`` and ``ser predict``.

The predictions follow the labels as well as ``skill`` says, better for some speakers than for others.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ser.core.files import write_json, write_yaml
from ser.data.arks import ArkWriter
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema

CLASSES = ["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"]


@dataclass
class System:
    """What is made up of a system; ``skill`` 0 is chance, 1 nearly perfect."""

    name: str
    upstream: str = "fbank"
    skill: float = 0.5
    seeds: tuple[int, ...] = (0,)
    layers: int = 1
    parameters: int = 0
    context: str = "length"
    speed: float = 100.0
    classes: list[str] = field(default_factory=lambda: list(CLASSES))
    attributes: list[str] = field(default_factory=lambda: ["naturalness"])
    options: list[str] = field(default_factory=list)
    trained_parameters: int = 4000


def make_data(
    path: Path,
    speakers: int = 10,
    each: int = 21,
    classes: list[str] | None = None,
    attributes: dict[str, tuple[float, float]] | None = None,
    corpus: str = "emodb",
    folds: bool = True,
    labelled: bool = True,
    without: dict[str, set[str]] | None = None,
    derived: tuple[str, ...] = (),
) -> DataDir:
    """A data directory with balanced classes, uniform attributes, and a fold a speaker.

    Args:
        labelled: False leaves out the label tables, as in a challenge's last test set.
        without: label table -> utterances that lack it.
    """
    classes = CLASSES if classes is None else classes
    attributes = {"naturalness": (0.0, 100.0)} if attributes is None else attributes
    random, tables = np.random.default_rng(0), {"utt2spk": {}, "utt2orig": {}}
    spare = without or {}
    for number in range(speakers):
        speaker = f"{number + 3:02d}"
        for item in range(each):
            utterance = f"{speaker}-{speaker}a{item:03d}"
            tables["utt2spk"][utterance] = speaker
            tables["utt2orig"][utterance] = f"{speaker}a{item:03d}.wav"
            if folds:
                tables.setdefault("utt2fold", {})[utterance] = speaker
            if classes and labelled and utterance not in spare.get("utt2emo", ()):
                tables.setdefault("utt2emo", {})[utterance] = classes[item % len(classes)]
            for name, (low, high) in attributes.items():
                value = low + (high - low) * random.uniform(0.2, 0.8 + 0.01 * number)
                if labelled and utterance not in spare.get(f"utt2{name}", ()):
                    tables.setdefault(f"utt2{name}", {})[utterance] = f"{min(value, high):.2f}"
    labels = LabelSchema(corpus, "1.3", "CC0-1.0", classes, attributes, derived=list(derived), complete=[])
    wavs = {utterance: f"wav/{utterance}.wav" for utterance in tables["utt2spk"]}
    data = DataDir(path, labels, tables, {"wav.scp": wavs})
    data.write(path)
    return data


def make_experiment(path: Path, data: DataDir, system: System, set_name: str = "test") -> Path:
    """exp/<tag>/ with info.yaml, and for every seed and fold fit.json and predictions."""
    write_info(path, data, system)
    folds = sorted(set(data.folds().values())) or ["0"]
    for seed in system.seeds:
        random = np.random.default_rng([seed, len(system.name), *system.name.encode()])
        values = predictions(data, system, random)
        for fold in folds:
            folder = path / f"seed{seed}" / f"fold{fold}"
            own = [u for u in data.utterances if data.folds().get(u, fold) == fold]
            write_predictions(folder / set_name, own, values, system)
            write_fit(folder, system, seed, fold, random)
    return path


def predictions(data: DataDir, system: System, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Utterance -> probabilities of the classes, then values of the attributes."""
    skill = {s: np.clip(system.skill + 0.12 * random.normal(), 0, 1) for s in data.spk2utt}
    found = {}
    for utterance in data.utterances:
        own, vector = skill[data.utt2spk[utterance]], []
        if system.classes:
            logits = random.normal(size=len(system.classes))
            emotion = data.classes_of().get(utterance)
            if emotion in system.classes:
                logits[system.classes.index(emotion)] += 3.4 * own
            vector += (np.exp(logits) / np.exp(logits).sum()).tolist()
        for name in system.attributes:
            limits = data.labels.attributes[name]
            middle, width = (limits.min + limits.max) / 2, limits.max - limits.min
            truth = data.attribute(name).get(utterance, middle)
            vector.append(middle + own * (truth - middle) + (1 - own) * 0.2 * width * random.normal())
        found[utterance] = np.array(vector, np.float32)
    return found


def write_predictions(
    folder: Path, utterances: list[str], values: dict[str, np.ndarray], system: System
) -> None:
    """<set>/columns.yaml, pred.ark and pred.scp."""
    write_yaml(folder / "columns.yaml", {"classes": system.classes, "attributes": system.attributes})
    with ArkWriter(folder / "pred") as writer:
        for utterance in utterances:
            writer.write(utterance, values[utterance])


def write_fit(folder: Path, system: System, seed: int, fold: str, random: np.random.Generator) -> None:
    """fit.json: weights with a peak a third of the way up, and a curve that levels off."""
    place = np.arange(system.layers) - system.layers / 3 + 0.4 * random.normal()
    weights = np.exp(-(place**2) / (0.15 * system.layers**2 + 1))
    epochs = np.arange(1, 31)
    rise = 1 - np.exp(-epochs / (6 + random.uniform(0, 4)))
    curve = [
        {
            "epoch": int(epoch),
            "train_loss": float(1.95 - 1.5 * system.skill * r + 0.02 * random.normal()),
            "validation_metric": float(0.15 + 0.8 * system.skill * r + 0.015 * random.normal()),
        }
        for epoch, r in zip(epochs, rise, strict=True)
    ]
    fit = {
        "fold": fold, "seed": seed, "fingerprint": "0" * 64, "chosen": {"optimizer.lr": 0.01}, "epochs": 24,
        "seconds": 1.5, "trained_parameters": system.trained_parameters,
        "layer_weights": (weights / weights.sum()).tolist(), "curve": curve, "validation_speakers": ["03"],
    }  # fmt: skip
    write_json(folder / "fit.json", fit)


def write_info(path: Path, data: DataDir, system: System) -> None:
    """info.yaml."""
    upstream = {
        "upstream": system.upstream, "tag": system.upstream.split("/")[-1], "family": system.upstream,
        "checkpoint": None, "sample_rate": 16000, "frame_rate": 50.0, "layers": system.layers, "dim": 64,
        "parameters": system.parameters, "precision": "float32", "context": system.context, "utterances": 1,
    }  # fmt: skip
    timing = {"audio_seconds": 1500.0, "wall_seconds": 1500 / system.speed, "times_real_time": system.speed,
              "jobs": 2, "threads": 1}  # fmt: skip
    folds = data.folds()
    protocol = (
        f"leave-one-speaker-out, {len(set(folds.values()))} folds" if folds else "the corpus's own sets"
    )
    info = {
        "name": system.name, "options": system.options, "protocol": f"{protocol}, speaker-independent",
        "task": {"classes": system.classes, "attributes": system.attributes}, "data": str(data.path),
        "corpus": data.labels.corpus, "derived": list(data.labels.derived), "upstream": upstream,
        "timing": timing,
    }  # fmt: skip
    write_yaml(path / "info.yaml", info)
