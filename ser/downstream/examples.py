"""Utterances ready to learn from: pooled features, labels by name, speakers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.labels import VOTES
from ser.downstream.class_losses import MISSING_CLASS
from ser.downstream.conditioning.side import Side
from ser.downstream.standardise import by_speaker

# Larger sets of pooled features are read from disk batch by batch.
MEMORY_LIMIT_BYTES = 8 * 2**30


class PooledFeatures:
    """Pooled statistics (S, L, D) of many utterances, in memory or, when large, on disk.

    Args:
        folders: feats/<upstream>/<set> -> the utterances it is to give; each with pooled_mean.scp
            and, for S = 2, pooled_std.scp. Rows follow the folders in order.
        statistics: S: 1 for the mean, 2 for mean and deviation.

    Raises:
        UserError: when features are missing, or two folders disagree on their shape.
    """

    def __init__(self, folders: Mapping[Path, Sequence[str]], statistics: int) -> None:
        names = ("pooled_mean.scp", "pooled_std.scp")[:statistics]
        self._readers: list[list[ArkReader]] = []
        self._place: list[tuple[int, str]] = []
        for number, (folder, utterances) in enumerate(folders.items()):
            self._readers.append([open_features(folder / name, utterances) for name in names])
            self._place += [(number, utterance) for utterance in utterances]
        part, first = self._place[0]
        self.shape = (statistics, *np.asarray(self._readers[part][0][first]).shape)
        self._cache: Tensor | None = None
        if 4 * math.prod(self.shape) * len(self) <= MEMORY_LIMIT_BYTES:
            self._cache = self._read(range(len(self)))

    def __len__(self) -> int:
        return len(self._place)

    def take(self, rows: Tensor) -> Tensor:
        """Some utterances by row number: (B,) -> (B, S, L, D)."""
        return self._read(rows.tolist()) if self._cache is None else self._cache.index_select(0, rows)

    def standardise_by_speaker(self, speakers: Sequence[str]) -> None:
        """Replace the features by their standardised values, each speaker by their own statistics.

        Raises:
            UserError: when the features do not fit in memory.
        """
        if self._cache is None:
            raise UserError(
                "per-speaker standardisation wants the features in memory",
                value=f"{4 * math.prod(self.shape) * len(self) / 2**30:.1f} GiB",
                hint="Use model.standardise: global",
            )
        self._cache = by_speaker(self._cache, speakers)

    def _read(self, rows: Sequence[int]) -> Tensor:
        """Read rows from the arks, checking that every entry has the same shape."""
        result = np.empty((len(rows), *self.shape), dtype=np.float32)
        for part, readers in enumerate(self._readers):
            here = [
                (place, self._place[row][1]) for place, row in enumerate(rows) if self._place[row][0] == part
            ]
            for statistic, reader in enumerate(readers):
                values = reader.load([utterance for _, utterance in here])
                for (place, utterance), value in zip(here, values, strict=True):
                    if value.shape != self.shape[1:]:
                        raise UserError(
                            f"features of {utterance} have another shape than the first utterance's",
                            file=reader.scp,
                            value=f"{value.shape} against {self.shape[1:]}",
                            hint="Remove the folder and run stage 3 (extract) again",
                        )
                    result[place, statistic] = value
        return torch.from_numpy(result)


def open_features(scp: Path, utterances: Sequence[str]) -> ArkReader:
    """A reader that is known to have every utterance."""
    if not scp.is_file():
        raise UserError("no such features", file=scp, hint="Run stage 3 (extract)")
    reader = ArkReader(scp)
    known = set(reader.keys())
    missing = [utterance for utterance in utterances if utterance not in known]
    if missing:
        raise UserError(
            f"{len(missing)} utterances of the data directory have no features",
            file=scp,
            value=", ".join(missing[:5]),
            hint="Run stage 3 (extract) again, or take them out with utils/subset_data_dir.sh",
        )
    return reader


@dataclass
class Labels:
    """Speakers and labels of N utterances; row i of each member is the same utterance.

    Args:
        utterances: ids.
        speakers: the speaker of each.
        classes: (N,) class indices, ``MISSING_CLASS`` where there is no label.
        targets: (N, A) attributes in the label's units, NaN where there is no label.
        shares: (N, K) of raters' votes, NaN where there are none; None where they are not learnt.
    """

    utterances: list[str]
    speakers: list[str]
    classes: Tensor
    targets: Tensor
    shares: Tensor | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._row_of = {utterance: row for row, utterance in enumerate(self.utterances)}

    def __len__(self) -> int:
        return len(self.utterances)

    def rows(self, utterances: Sequence[str]) -> Tensor:
        """Row numbers of some utterances, (n,)."""
        return torch.tensor([self._row_of[utterance] for utterance in utterances], dtype=torch.long)


@dataclass
class Examples(Labels):
    """Everything known of N utterances.

    Args:
        pooled: features, (S, L, D) each.
        side: gender and text, where the model is told of them.
    """

    pooled: PooledFeatures
    side: Side | None = field(default=None, kw_only=True)


def statistics_needed(pooling: str, feats: Path) -> int:
    """S of a pooling: the deviation is left out where an utterance is one vector (functionals).

    Args:
        pooling: the model's pooling.
        feats: feats/<upstream>/<set>.

    Raises:
        UserError: when there are no features.
    """
    if not (Path(feats) / "meta.yaml").is_file():
        raise UserError("no such features", file=Path(feats) / "meta.yaml", hint="Run stage 3 (extract)")
    if pooling == "mean":
        return 1
    return 1 if read_yaml(Path(feats) / "meta.yaml")["frame_rate"] == 0 else 2


def load_examples(
    sets: Sequence[tuple[DataDir, Path]],
    classes: Sequence[str],
    attributes: Sequence[str],
    statistics: int,
    standardise: str,
    soft: bool = False,
) -> Examples:
    """Features and labels of one or more data directories, one after the other.

    Args:
        sets: (data directory, its features); every label may be missing for some utterances.
        classes: names in the order of the model's outputs, or none.
        attributes: names in the order of the model's outputs.
        statistics: S.
        standardise: ``speaker`` standardises each speaker's features by their own statistics.
        soft: also the shares of raters' votes.

    Raises:
        UserError: when features are missing, an attribute is not declared in labels.yaml, or an
            utterance is in two sets.
    """
    labels = load_labels([data for data, _ in sets], classes, attributes, soft)
    pooled = PooledFeatures({Path(feats): data.utterances for data, feats in sets}, statistics)
    if standardise == "speaker":
        pooled.standardise_by_speaker(labels.speakers)
    return Examples(
        labels.utterances, labels.speakers, labels.classes, labels.targets, pooled, shares=labels.shares
    )


def load_labels(
    sets: Sequence[DataDir], classes: Sequence[str], attributes: Sequence[str], soft: bool = False
) -> Labels:
    """Labels of one or more data directories, one after the other.

    Args:
        sets: every label may be missing for some utterances.
        classes: names in the order of the model's outputs, or none.
        attributes: names in the order of the model's outputs.
        soft: also the shares of raters' votes.

    Raises:
        UserError: when an attribute is not declared in labels.yaml, or an utterance is in two sets.
    """
    utterances = [utterance for data in sets for utterance in data.utterances]
    if len(set(utterances)) < len(utterances):
        twice = sorted(set(sets[0].utterances) & set(sets[1].utterances))
        raise UserError(f"{len(twice)} utterances are in two sets", file=sets[1].path, value=twice[0])
    speakers = [data.utt2spk[utterance] for data in sets for utterance in data.utterances]
    numbers, targets = [], []
    for data in sets:
        index = {name: number for number, name in enumerate(classes)}
        class_of = data.classes_of() if classes else {}
        numbers += [index[class_of[u]] if u in class_of else MISSING_CLASS for u in data.utterances]
        columns = [_column(data, name) for name in attributes]
        targets.append(torch.tensor(columns).reshape(len(attributes), len(data.utterances)).T)
    shares = torch.cat([_shares(data, len(classes)) for data in sets]) if soft else None
    return Labels(utterances, speakers, torch.tensor(numbers), torch.cat(targets), shares=shares)


def _shares(data: DataDir, num_classes: int) -> Tensor:
    """Shares of the votes of every utterance (N, K), summing to 1; NaN where there are none."""
    table, none = data.tables.get(f"utt2{VOTES}", {}), [math.nan] * num_classes
    rows = [[float(part) for part in table[u].split()] if u in table else none for u in data.utterances]
    votes = torch.tensor(rows, dtype=torch.float64)
    return (votes / votes.sum(1, keepdim=True)).float()


def _column(data: DataDir, name: str) -> list[float]:
    """An attribute of every utterance, NaN where there is no label."""
    check_attribute(data, name)
    values = data.attribute(name)
    return [values.get(utterance, math.nan) for utterance in data.utterances]


def check_attribute(data: DataDir, name: str) -> None:
    """Refuse an attribute that labels.yaml does not declare.

    Raises:
        UserError: with the declared names.
    """
    if name not in data.labels.attributes:
        raise UserError(
            "labels.yaml declares no such attribute",
            file=data.path / "labels.yaml",
            value=name,
            hint=f"Declared: {', '.join(data.labels.attributes) or 'none'}",
        )
