"""Where a host's input comes from: arks of features, or audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.downstream.examples import MEMORY_LIMIT_BYTES, PooledFeatures, open_features
from ser.memory.config import EncoderHostConfig
from ser.memory.hosts.base import Heard, Host
from ser.memory.hosts.encoder import of_frames, of_pooled

BATCH = 256


class Listening(ABC):
    """Utterance ids to what a host takes of them."""

    @abstractmethod
    def take(self, utterances: Sequence[str]) -> Heard:
        """What the host takes of some utterances."""

    def in_batches(self, utterances: Sequence[str]) -> Iterator[Heard]:
        """The same of many, some at a time."""
        for begin in range(0, len(utterances), BATCH):
            yield self.take(utterances[begin : begin + BATCH])


class PooledListening(Listening):
    """Pooled statistics of ``ser extract``.

    Args:
        folders: features -> the utterances that they are to give.
        statistics: S.
    """

    def __init__(self, folders: Mapping[Path, Sequence[str]], statistics: int) -> None:
        self._features = PooledFeatures(folders, statistics)
        order = [utterance for utterances in folders.values() for utterance in utterances]
        self._row_of = {utterance: row for row, utterance in enumerate(order)}

    @property
    def shape(self) -> tuple[int, ...]:
        """(S, L, D)."""
        return self._features.shape

    def take(self, utterances: Sequence[str]) -> Heard:
        """One token an utterance."""
        return of_pooled(self._features.take(torch.tensor([self._row_of[u] for u in utterances])))


class FrameListening(Listening):
    """Frames of one layer, of ``ser extract --frames-layers``.

    Args:
        folders: features -> the utterances that they are to give.
        config: layer and stride.

    Raises:
        UserError: when the frames of the layer were not kept.
    """

    def __init__(self, folders: Mapping[Path, Sequence[str]], config: EncoderHostConfig) -> None:
        self._stride, self._kept, self._bytes = config.stride, {}, 0
        self._reader_of = {}
        for folder, utterances in folders.items():
            layers = read_yaml(folder / "meta.yaml")["layers"]
            if not -layers <= int(config.layer) < layers:
                raise UserError(f"the upstream has {layers} layers", value=config.layer,
                                hint=f"Set encoder.layer to 0 to {layers - 1}")  # fmt: skip
            reader = open_features(folder / f"frames_layer{int(config.layer) % layers}.scp", utterances)
            self._reader_of |= dict.fromkeys(utterances, reader)

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, 1, D)."""
        utterance, reader = next(iter(self._reader_of.items()))
        return (1, 1, np.asarray(reader[utterance]).shape[1])

    def take(self, utterances: Sequence[str]) -> Heard:
        """The frames' tokens; those that fit in memory are read once."""
        return of_frames([self._tokens(utterance) for utterance in utterances], 1)

    def _tokens(self, utterance: str) -> torch.Tensor:
        """Tokens ``(N, D)`` of one utterance."""
        if utterance in self._kept:
            return self._kept[utterance]
        frames = torch.from_numpy(np.array(self._reader_of[utterance][utterance], dtype=np.float32))
        tokens = of_frames([frames], self._stride).tensors["frames"][0]
        if self._bytes + tokens.nbytes <= MEMORY_LIMIT_BYTES:
            self._kept[utterance] = tokens
            self._bytes += tokens.nbytes
        return tokens


class AudioListening(Listening):
    """Audio of data directories, for hosts that hear it themselves.

    Args:
        sets: data directories.
        host: says the sampling rate, and makes its input.
    """

    def __init__(self, sets: Sequence[DataDir], host: Host) -> None:
        self._host = host
        readers = [AudioReader(data, host.info.sample_rate) for data in sets]
        self._reader_of = {
            utterance: reader
            for data, reader in zip(sets, readers, strict=True)
            for utterance in data.utterances
        }

    def take(self, utterances: Sequence[str]) -> Heard:
        """What the host hears in them.

        Raises:
            BrokenAudio: naming the utterance.
        """
        return self._host.hear([self._reader_of[utterance].read(utterance) for utterance in utterances])
