"""A peer's predictions as an experiment, so that scoring and tables need to know nothing of peers.

    exp/<tag>/
        peer.yaml                         the configuration, and where the peer was loaded from
        info.yaml, env.yaml               what tables say of it: parameters, licence, source, mapping, speed
        seed0/fold<j>/<set>/pred.scp      predictions in the corpus's classes and units, with columns.yaml
        outputs/<set>.scp                 what the peer itself said, in its own classes or on its own scales

There is no model and no fit.json: nothing was trained here.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ser.core.config import to_plain
from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import write_yaml
from ser.data.arks import ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.config import ValidationConfig
from ser.downstream.protocol import Fold, cross_validation, describe, fixed_sets
from ser.peers.base import Peer
from ser.peers.columns import Columns
from ser.peers.config import PeerConfig
from ser.peers.load import load_peer
from ser.peers.predict import Heard, hear

MARK = "peer.yaml"
SEED = "seed0"
PREDICTED, OUTPUTS = "pred", "outputs"
OWN_PROTOCOL = "not trained on this corpus"


def predict_peer(
    config: PeerConfig,
    data_dirs: Sequence[Path],
    path: Path,
    train_data: Path | None = None,
    mapping_file: Path | None = None,
    device: str = "auto",
    allow_pipes: bool = False,
) -> None:
    """Predict data directories of one corpus and write exp/<tag>; one that is there is replaced.

    Args:
        config: of the peer.
        data_dirs: one with utt2fold, or the corpus's own test sets.
        path: exp/<tag>.
        train_data: of a corpus with sets of its own: its training set, which with the test sets tells the
            protocol of the table that the row is to stand in. The peer does not hear it.
        mapping_file: names that mean the same; the package's mapping.yaml by default.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>``.
        allow_pipes: run commands that stand in wav.scp.

    Raises:
        UserError: for anything the user can mend; nothing is written then.
    """
    if path.exists() and not (path / MARK).is_file():
        raise UserError("something else than a peer's predictions is there", file=path)
    sets = load_sets(data_dirs)
    folds, protocol = divide(sets, train_data)
    peer = load_peer(config, device)
    columns = [Columns.between(peer, config.ranges, data, mapping_file) for data in sets.values()]
    for data, own in zip(sets.values(), columns, strict=True):
        if own != columns[0]:
            raise UserError("other labels than the sets before", file=data.path / "labels.yaml")
    heard = {name: hear(peer, data, config.window, allow_pipes) for name, data in sets.items()}
    if path.exists():
        shutil.rmtree(path)
    write_yaml(path / MARK, {"peer": to_plain(config), "data": [str(data.path) for data in sets.values()]})
    write_yaml(path / "env.yaml", describe_environment())
    first = next(iter(sets.values()))
    write_yaml(path / "info.yaml", describe_peer(config, peer, columns[0], first, protocol, heard))
    write_predictions(path, folds, columns[0], heard)


def load_sets(data_dirs: Sequence[Path]) -> dict[str, DataDir]:
    """Set name -> data directory: ``test`` for one with utt2fold, else the directory's name.

    Raises:
        UserError: none, several with utt2fold, of several corpora, or two of one name.
    """
    loaded = [DataDir.load(path) for path in data_dirs]
    if not loaded:
        raise UserError("no data directory to predict")
    for data in loaded:
        if len(loaded) > 1 and data.folds():
            raise UserError("a data directory with utt2fold is predicted alone", file=data.path)
        if (data.labels.corpus, data.labels.release) != (loaded[0].labels.corpus, loaded[0].labels.release):
            raise UserError(
                "another corpus than the sets before", file=data.path / "labels.yaml",
                value=data.labels.corpus, hint="Predict each corpus into an experiment of its own",
            )  # fmt: skip
    sets = {"test" if data.folds() else data.path.resolve().name: data for data in loaded}
    if len(sets) < len(loaded):
        raise UserError("two sets of one name", value=", ".join(str(data.path) for data in loaded))
    return sets


def divide(sets: dict[str, DataDir], train_data: Path | None) -> tuple[list[Fold], str]:
    """The folds whose tests are predicted, and the protocol in the words of ``ser train``.

    Raises:
        UserError: a training set for a data directory with utt2fold, or of another corpus.
    """
    first = next(iter(sets.values()))
    if first.folds():
        if train_data is not None:
            raise UserError(
                "--train-data is for test sets; this data directory has utt2fold", file=first.path
            )
        folds = cross_validation(first)
        return folds, describe(folds, first.utt2spk, ValidationConfig())
    if train_data is None:
        return fixed_sets(first, None, sets), OWN_PROTOCOL
    train = DataDir.load(train_data)
    if train.labels.corpus != first.labels.corpus:
        raise UserError(
            "--train-data is of another corpus than the test sets", file=train.path, value=train.labels.corpus
        )
    folds = fixed_sets(train, None, sets)
    speaker_of = {u: s for data in (train, *sets.values()) for u, s in data.utt2spk.items()}
    return folds, describe(folds, speaker_of, ValidationConfig())


def describe_peer(
    config: PeerConfig, peer: Peer, columns: Columns, data: DataDir, protocol: str, heard: dict[str, Heard]
) -> dict[str, Any]:
    """info.yaml: what tables say of the row, and what a reader must know of a model from elsewhere."""
    options = ["not trained here"]
    if data.labels.corpus in config.corpora:
        options.append("may have heard this corpus in training")
    if columns.unknown:
        options.append(f"never says {', '.join(columns.unknown)}")
    info = asdict(peer.encoder.info)
    return {
        "name": config.name,
        "options": options,
        "protocol": protocol,
        "task": {"classes": columns.classes, "attributes": list(columns.attributes)},
        "corpus": config.trained_on,
        "derived": list(data.labels.derived),
        "ranges": {name: to_plain(of_data) for name, (_, _, of_data) in columns.attributes.items()},
        "upstream": {
            "upstream": config.model, "tag": info["tag"], "family": info["family"],
            "checkpoint": info["checkpoint"], "sample_rate": info["sample_rate"],
            "frame_rate": info["frame_rate"], "layers": info["num_layers"], "dim": info["dim"],
            "parameters": peer.num_parameters, "precision": "float32", "context": info["context"],
        },
        "timing": speed(heard.values()),
        "transductive": False,
        "peer": {
            "licence": config.licence, "source": config.source, "trained_on": config.trained_on,
            "window": config.window,
            "longer_than_window": {name: len(own.windowed) for name, own in heard.items()},
            "mapping": columns.record(),
        },
    }  # fmt: skip


def speed(heard: Collection[Heard]) -> dict[str, Any]:
    """Seconds of audio and of work over all sets, as timing.json of ``ser extract`` has them."""
    audio, wall = (sum(getattr(own, name) for own in heard) for name in ("audio_seconds", "wall_seconds"))
    return {
        "audio_seconds": round(audio, 3), "wall_seconds": round(wall, 3),
        "times_real_time": round(audio / max(wall, 1e-9), 2), "jobs": 1, "threads": torch.get_num_threads(),
    }  # fmt: skip


def write_predictions(path: Path, folds: Sequence[Fold], columns: Columns, heard: dict[str, Heard]) -> None:
    """Write the peer's own outputs, then columns.yaml and predictions of every fold and set."""
    for name, own in heard.items():
        (path / OUTPUTS).mkdir(exist_ok=True)
        write_yaml(path / OUTPUTS / "columns.yaml", {"outputs": columns.outputs})
        with ArkWriter(path / OUTPUTS / name) as writer:
            for utterance, row in own.outputs.items():
                writer.write(utterance, row.astype("float32"))
    for fold in folds:
        for name, part in fold.tests.items():
            folder = path / SEED / f"fold{fold.name}" / name
            folder.mkdir(parents=True)
            write_yaml(
                folder / "columns.yaml", {"classes": columns.classes, "attributes": list(columns.attributes)}
            )
            rows = columns.convert(
                np.stack([heard[name].outputs[utterance] for utterance in part.utterances])
            )
            with ArkWriter(folder / PREDICTED) as writer:
                for utterance, row in zip(part.utterances, rows, strict=True):
                    writer.write(utterance, row)
