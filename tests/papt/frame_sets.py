"""Small data directories with frames of planted clusters, as ``ser extract --frames-layers`` leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ser.core.files import write_text, write_yaml
from ser.data.arks import ArkWriter

K, DIM = 6, 8
CENTRES = 10 * np.random.default_rng(5).normal(size=(K, DIM))


def planted(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames about ``CENTRES``, and which."""
    truth = rng.integers(K, size=frames)
    return (CENTRES[truth] + rng.normal(size=(frames, DIM))).astype(np.float32), truth


def write_set(
    folder: Path, name: str, utterances: int = 6, layer: int = 3, seed: int = 0, **meta
) -> tuple[Path, Path, dict[str, np.ndarray]]:
    """data/<name>, feats/toy/<name> with planted frames, and the truth."""
    rng = np.random.default_rng([seed, *name.encode()])
    data, feats = folder / "data" / name, folder / "feats" / "toy" / name
    ids = [f"s{number % 2}-{name}{number:02d}" for number in range(utterances)]
    truths = {}
    with ArkWriter(_made(feats) / f"frames_layer{layer}") as writer:
        for utterance in rng.permutation(ids):
            frames, truths[utterance] = planted(rng, int(rng.integers(40, 120)))
            writer.write(utterance, frames)
    about = {"upstream": "toy", "tag": "toy", "family": "toy", "checkpoint": "abc", "sample_rate": 16000,
             "frame_rate": 50.0, "layers": 5, "dim": DIM, "context": "length"}  # fmt: skip
    write_yaml(feats / "meta.yaml", about | meta)
    for table, value in (("utt2spk", None), ("wav.scp", "a.wav")):
        write_text(data / table, "".join(f"{u} {value or u[:2]}\n" for u in sorted(ids)))
    spk2utt = "".join(
        f"{s} {' '.join(u for u in sorted(ids) if u.startswith(s))}\n" for s in ("s0", "s1")[:utterances]
    )
    write_text(data / "spk2utt", spk2utt)
    write_yaml(data / "labels.yaml", {"corpus": "toy", "release": "1", "licence": "none"})
    return data, feats, truths


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
