"""Predictions of an experiment: read from all folds of a seed, and checked against the data.

They must be exactly the utterances of the data directory, each predicted once, in the fold that the
data says; anything else is an error that names utterances, never an intersection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir

PREDICT = "Run stage 9 (ser predict)"
# Probabilities are float32 and come from a softmax.
SUM_TOLERANCE = 1e-3


@dataclass
class Columns:
    """What a prediction vector holds: probabilities of ``classes``, then values of ``attributes``."""

    classes: list[str]
    attributes: list[str]


@dataclass
class Predictions:
    """Predictions of all utterances by one seed.

    Attributes:
        seed: of the training.
        values: ``(N, K + A)`` float64, rows in the data directory's order.
        fold: index into ``folds`` of the fold that predicted each row, ``(N,)``.
    """

    seed: int
    values: np.ndarray
    fold: np.ndarray


@dataclass
class ExperimentPredictions:
    """Predictions of all seeds of an experiment on one set.

    Attributes:
        columns: the same in every fold.
        folds: names of the folds, in C order.
        seeds: in numerical order.
        fit_files: fit.json of every seed and fold that has one, as ``(seed, fold, path)``.
    """

    columns: Columns
    folds: list[str]
    seeds: list[Predictions]
    fit_files: list[tuple[int, str, Path]]


def read_predictions(experiment: Path, data: DataDir, set_name: str) -> ExperimentPredictions:
    """Read exp/<tag>/seed*/fold*/<set>/pred.scp.

    Args:
        experiment: exp/<tag>.
        data: the data directory whose utterances were predicted.
        set_name: the folder's name inside each fold.

    Raises:
        UserError: for a fold without predictions, for missing, extra, doubled or misplaced
            utterances, and for values that are no probabilities or not finite.
    """
    if not experiment.is_dir():
        raise UserError("no such experiment", file=experiment)
    seeds = sorted(_numbered(experiment.glob("seed*")))
    if not seeds:
        raise UserError("experiment without a trained seed", file=experiment, hint="Run stage 8 (ser train)")
    columns: Columns | None = None
    folds = _fold_names(experiment, seeds, data, set_name)
    found, fit_files = [], []
    for seed in seeds:
        merged = _Merged(data, folds)
        for index, fold in enumerate(folds):
            folder = experiment / f"seed{seed}" / f"fold{fold}"
            if not (folder / set_name / "pred.scp").is_file():
                raise UserError(f"no predictions of fold {fold!r}", file=folder / set_name, hint=PREDICT)
            if (folder / "fit.json").is_file():
                fit_files.append((seed, fold, folder / "fit.json"))
            own = read_columns(folder / set_name / "columns.yaml")
            if columns is not None and own != columns:
                raise UserError(
                    "other columns than the folds before",
                    file=folder / set_name / "columns.yaml",
                    hint=PREDICT,
                )
            columns = own
            merged.add(index, ArkReader(folder / set_name / "pred.scp"), columns)
        found.append(merged.finish(seed, experiment / f"seed{seed}"))
    assert columns is not None  # there is a seed, and every seed has a fold
    return ExperimentPredictions(columns, folds, found, fit_files)


def read_columns(path: Path) -> Columns:
    """Read columns.yaml.

    Raises:
        UserError: when it is missing or is not two lists of names.
    """
    content = read_yaml(path)
    lists = [content.get(key) for key in ("classes", "attributes")] if isinstance(content, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise UserError("not two lists, classes and attributes, of names", file=path, hint=PREDICT)
    if not any(lists):
        raise UserError("neither a class nor an attribute", file=path, hint=PREDICT)
    return Columns(*lists)


def named(utterances: Sequence[str], most: int = 5) -> str:
    """The first few names and how many more there are.

    >>> named(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(utterances) - most} more" if len(utterances) > most else ""
    return ", ".join(utterances[:most]) + more


class _Merged:
    """The rows of one seed, filled fold by fold."""

    def __init__(self, data: DataDir, folds: list[str]) -> None:
        self.data, self.folds = data, folds
        self.utterances = data.utterances
        self.row = {utterance: row for row, utterance in enumerate(self.utterances)}
        self.fold = np.full(len(self.utterances), -1)
        self.values: np.ndarray | None = None

    def add(self, index: int, reader: ArkReader, columns: Columns) -> None:
        """Put one fold's predictions in their rows."""
        keys = list(reader)
        width = len(columns.classes) + len(columns.attributes)
        extra = [key for key in keys if key not in self.row]
        if extra:
            raise UserError(
                f"{len(extra)} predicted utterances are not in {self.data.path}: {named(extra)}",
                file=reader.scp, hint="Score with the data directory that was predicted",
            )  # fmt: skip
        rows = np.array([self.row[key] for key in keys])
        doubled = [key for key, row in zip(keys, rows, strict=True) if self.fold[row] >= 0]
        if doubled:
            first = self.folds[self.fold[self.row[doubled[0]]]]
            raise UserError(
                f"{len(doubled)} utterances are predicted by fold {first!r} too: {named(doubled)}",
                file=reader.scp,
            )
        tested = self.data.folds()
        strayed = [key for key in keys if tested and tested.get(key) != self.folds[index]]
        if strayed:
            raise UserError(
                f"{len(strayed)} utterances belong to the test of another fold (utt2fold): {named(strayed)}",
                file=reader.scp,
            )
        arrays = reader.load(keys)
        wrong = [key for key, array in zip(keys, arrays, strict=True) if array.shape != (width,)]
        if wrong:
            raise UserError(
                f"{len(wrong)} predictions have not the {width} values of columns.yaml: {named(wrong)}",
                file=reader.scp,
            )
        values = np.stack(arrays).astype(np.float64)
        _check_values(values, keys, len(columns.classes), reader.scp)
        if self.values is None:
            self.values = np.full((len(self.utterances), width), np.nan)
        self.values[rows], self.fold[rows] = values, index

    def finish(self, seed: int, folder: Path) -> Predictions:
        """The seed's predictions, known to be complete."""
        missing = [self.utterances[row] for row in np.flatnonzero(self.fold < 0)]
        if missing or self.values is None:
            raise UserError(
                f"{len(missing)} of {len(self.utterances)} utterances of {self.data.path} have no"
                f" prediction: {named(missing)}",
                file=folder, hint=PREDICT,
            )  # fmt: skip
        return Predictions(seed, self.values, self.fold)


def _check_values(values: np.ndarray, keys: list[str], num_classes: int, file: Path) -> None:
    """Refuse NaN, infinity, and probabilities that are none."""
    broken = [keys[row] for row in np.flatnonzero(~np.isfinite(values).all(1))]
    if broken:
        raise UserError(f"{len(broken)} predictions are NaN or infinite: {named(broken)}", file=file)
    if num_classes:
        probabilities = values[:, :num_classes]
        sums = np.abs(probabilities.sum(1) - 1) > SUM_TOLERANCE
        wrong = [keys[row] for row in np.flatnonzero(sums | (probabilities < 0).any(1))]
        if wrong:
            raise UserError(
                f"{len(wrong)} predictions are no probabilities of classes: {named(wrong)}", file=file
            )


def _fold_names(experiment: Path, seeds: list[int], data: DataDir, set_name: str) -> list[str]:
    """Names of the folds: those of utt2fold, else those that predicted the set."""
    expected = sorted(set(data.folds().values()))
    if expected:
        missing = [
            f"seed{seed}/fold{fold}" for seed in seeds for fold in expected
            if not (experiment / f"seed{seed}" / f"fold{fold}").is_dir()
        ]  # fmt: skip
        if missing:
            raise UserError(
                f"folds that utt2fold names are not trained: {named(missing)}",
                file=experiment, hint="Run stages 8 and 9 (ser train, ser predict)",
            )  # fmt: skip
        return expected
    found = {path.parent.parent.name for path in experiment.glob(f"seed*/fold*/{set_name}/pred.scp")}
    if not found:
        others = sorted({path.parent.name for path in experiment.glob("seed*/fold*/*/pred.scp")})
        hint = f"{PREDICT}; predicted so far: {', '.join(others)}" if others else PREDICT
        raise UserError(f"no predictions of set {set_name!r}", file=experiment, hint=hint)
    return sorted(name.removeprefix("fold") for name in found)


def _numbered(folders: Iterable[Path]) -> list[int]:
    """The numbers of folders ``seed<k>``."""
    names = (folder.name.removeprefix("seed") for folder in folders if folder.is_dir())
    return [int(name) for name in names if name.isdecimal()]


def read_fit(path: Path) -> dict:
    """A fold's fit.json.

    Raises:
        UserError: when it is no mapping.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError("not what 'ser train' writes", file=path, hint="Run stage 8 (ser train) again")
    return content
