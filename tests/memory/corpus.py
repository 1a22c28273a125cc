"""Made-up conversations: on disk as data directory and features, or in memory; learnable, with known truth.

Every speaker of a dialogue has a level drawn anew, and each utterance is a step above it or below: ``high``
or ``low``. Of one utterance alone the level cannot be known; of the speaker's earlier ones it can.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ser.core.files import write_text, write_yaml
from ser.data.arks import ArkWriter
from ser.downstream.saved import Scale
from ser.memory.baselines import make_history
from ser.memory.config import ConversationHeadConfig, EncoderHostConfig, HistoryConfig, MemoryConfig
from ser.memory.dialogues import Dialogue
from ser.memory.hosts.base import Heard
from ser.memory.hosts.encoder import EncoderHost, of_frames, of_pooled
from ser.memory.listening import Listening
from ser.memory.model import ConversationModel
from ser.memory.saved import SavedConversation

CLASSES = ["low", "high"]
LAYERS, DIM, WIDTH = 2, 4, 6
LEVELS, STEP = 1.2, 0.5
META = {
    "upstream": "toy", "tag": "toy", "family": "encoder", "checkpoint": "0123", "sample_rate": 16000,
    "parameters": 7, "frame_rate": 50.0, "layers": LAYERS, "context": "length",
}  # fmt: skip
KINDS = ["memory", "mean", "gru", "concatenated"]
# Dialogues by their speakers, turn by turn.
SCENES = {"d1": "abab", "d2": "a", "d3": "bbacb", "d4": "cd", "d5": "dcd"}


def vector(pitch: float, noise: np.ndarray) -> np.ndarray:
    """Features (DIM,) of a pitch, whose length says nothing."""
    return np.array([np.sin(pitch), np.cos(pitch), np.sin(2 * pitch), np.cos(2 * pitch)]) + 0.02 * noise


def make_set(
    folder: Path,
    name: str,
    scenes: Mapping[str, str] | None = None,
    folds: Mapping[str, str] | None = None,
    seed: int = 0,
    unlabelled: Sequence[str] = (),
    tables: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[Path, Path]:
    """Write data/<name> and feats/toy/<name>; return both. Features are pooled, and frames of layer 1.

    Args:
        folder: where.
        name: of the set.
        scenes: dialogue -> its speakers, a letter a turn.
        folds: dialogue -> fold.
        seed: of everything that is drawn.
        unlabelled: utterances without label.
        tables: further entries, or others in their place: table -> utterance -> entry.
    """
    rng, found = np.random.default_rng([seed, *name.encode()]), {}
    data, feats = folder / "data" / name, folder / "feats" / "toy" / name
    names = ("utt2spk", "wav.scp", "utt2emo", "utt2arousal", "utt2dialogue", "utt2turn", "utt2fold")
    rows: dict[str, dict[str, str]] = {table: {} for table in names}
    for scene, cast in (SCENES if scenes is None else scenes).items():
        level = {speaker: rng.uniform(-LEVELS, LEVELS) for speaker in sorted(set(cast))}
        for turn, speaker in enumerate(cast, 1):
            utterance = f"{speaker}-{name}-{scene}-{turn}"
            label = int(rng.integers(2))
            pitch = level[speaker] + STEP * (2 * label - 1)
            layers = [rng.normal(size=DIM), vector(pitch, rng.normal(size=DIM))]
            shake = rng.normal(size=(int(rng.integers(3, 9)), DIM))
            frames = layers[1] + 0.3 * (shake - shake.mean(0))
            found[utterance] = (np.stack(layers).astype(np.float32), frames.astype(np.float32))
            values = (speaker, f"{utterance}.wav", CLASSES[label], f"{pitch:.4f}", scene, str(turn))
            for table, value in zip(names, values, strict=False):
                rows[table][utterance] = value
            if folds is not None:
                rows["utt2fold"][utterance] = folds[scene]
    for utterance in unlabelled:
        del rows["utt2emo"][utterance]
    for table, entries in (tables or {}).items():
        rows.setdefault(table, {}).update(entries)
    spoken: dict[str, list[str]] = {}
    for utterance, speaker in sorted(rows["utt2spk"].items()):
        spoken.setdefault(speaker, []).append(utterance)
    rows["spk2utt"] = {speaker: " ".join(words) for speaker, words in spoken.items()}
    for table, entries in rows.items():
        if entries:
            write_text(data / table, "".join(f"{key} {value}\n" for key, value in sorted(entries.items())))
    schema = {"corpus": "toy", "release": "1", "licence": "none", "classes": CLASSES}
    schema |= {"attributes": {"arousal": {"min": -2, "max": 2}}, "derived": [], "complete": []}
    write_yaml(data / "labels.yaml", schema)
    write_features(feats, found)
    return data, feats


def write_features(feats: Path, found: Mapping[str, tuple[np.ndarray, np.ndarray]], **meta) -> None:
    """Write pooled statistics (L, D) and frames (F, D) of every utterance."""
    feats.mkdir(parents=True, exist_ok=True)
    for number, stem in enumerate(("pooled_mean", "pooled_std", "frames_layer1")):
        with ArkWriter(feats / stem) as writer:
            for utterance, (mean, frames) in sorted(found.items()):
                writer.write(utterance, (mean, np.abs(mean) + 1, frames)[number])
    write_yaml(feats / "meta.yaml", META | meta)


def dialogue(cast: str, name: str = "d") -> Dialogue:
    """A dialogue by its speakers; utterances are ``<name>1``, ``<name>2`` ..."""
    return Dialogue(name, tuple(f"{name}{turn}" for turn in range(1, len(cast) + 1)), tuple(cast))


class Remembered(Listening):
    """Utterances whose features follow from their ids: pooled ``(S, L, D)``, or frames ``(F, D)``."""

    def __init__(self, config: EncoderHostConfig, changed: Mapping[str, Tensor] | None = None) -> None:
        self.config, self.changed = config, dict(changed or {})

    def features(self, utterance: str) -> Tensor:
        if utterance in self.changed:
            return self.changed[utterance]
        random = torch.Generator().manual_seed(zlib.crc32(utterance.encode()))
        if self.config.tokens == "frames":
            return torch.randn(3 + len(utterance) % 3 + sum(utterance.encode()) % 4, DIM, generator=random)
        return torch.randn(self.config.statistics, LAYERS, DIM, generator=random)

    def take(self, utterances: Sequence[str]) -> Heard:
        found = [self.features(utterance) for utterance in utterances]
        return of_frames(found, 1) if self.config.tokens == "frames" else of_pooled(torch.stack(found))


def encoder_config(tokens: str) -> EncoderHostConfig:
    """An encoder host's options for ``utterance`` or ``frames``."""
    if tokens == "frames":
        return EncoderHostConfig(tokens="frames", layer=1)
    return EncoderHostConfig(layer="weighted", pooling="std_per_layer")


def make_model(
    kind: str = "memory", tokens: str = "utterance", scope: str = "speaker", outputs: int = 3,
    opened: bool = True, seed: int = 0, **memory,
) -> ConversationModel:  # fmt: skip
    """A model whose gate is open and whose head says something, unless it is to be an untrained one."""
    torch.manual_seed(seed)
    config = encoder_config(tokens)
    host = EncoderHost(config, (1, 1, DIM) if tokens == "frames" else (2, LAYERS, DIM), META)
    memory = MemoryConfig(
        **({"width": WIDTH, "persistent": 2, "kernel": 2, "chunk": 4, "step": 0.3} | memory)
    )
    history = make_history(
        HistoryConfig(kind=kind, scope=scope, width=WIDTH, span=3, parameters=0), memory, host.info.dim
    )
    model = ConversationModel(host, history, ConversationHeadConfig(), outputs, scope)
    with torch.no_grad():
        model.head[-1].weight.normal_()
        if opened and history is not None:
            history.gate.fill_(1.0)
    return model.eval()


def as_saved(model: ConversationModel) -> SavedConversation:
    """What a model's outputs mean: two classes and an attribute."""
    return SavedConversation(model, CLASSES, {"arousal": Scale(0.5, 2.0)})
