"""PLDC by how many utterances of a speaker have been heard.

    by_utterances.tsv   set, attribute, metric, utterances, draws, before, after, low, high

Voice, mu and sigma of each test speaker are taken from n utterances, drawn by a seed, and all utterances are
calibrated with them: every n is scored on the same. Draws of one number are nested in those of the next. Of a
speaker with fewer than n utterances all are taken; with one, sigma is undefined and the spread stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_json, whole_file
from ser.core.log import progress
from ser.core.seed import derive_seed
from ser.downstream.experiment import Experiment
from ser.metrics.sums import MomentSums
from ser.personalise.calibration import calibrate_part
from ser.personalise.experiment import CalibrationConfig
from ser.personalise.fold import FoldParts, load_data
from ser.personalise.part import Part

FILE, ALL = "by_utterances.tsv", "all"
HEADER = ("set", "attribute", "metric", "utterances", "draws", "before", "after", "low", "high")
METRICS = ("O-CCC", "A-CCC")


def parse_counts(text: str) -> list[int | None]:
    """``1,2,5,all`` as numbers, None for all.

    Raises:
        UserError: for anything else.

    >>> parse_counts("5,1,all")
    [1, 5, None]
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word == ALL or (word.isdecimal() and int(word) > 0) for word in words):
        raise UserError("--by-utterances wants numbers of at least 1, or all", value=text, hint="1,2,5,all")
    numbers: list[int | None] = sorted({int(word) for word in words if word != ALL})
    return [*numbers, None] if ALL in words else numbers


def first_of_each(part: Part, count: int | None, seed: int) -> np.ndarray:
    """Rows of ``count`` utterances of each speaker, drawn by the seed: ``(M,)``, in order.

    The draw depends on the seed and the speaker's own utterances; smaller counts are nested in larger ones.
    """
    if count is None:
        return np.arange(len(part.utterances))
    chosen = []
    for index, speaker in enumerate(part.speakers):
        own = np.flatnonzero(part.speaker == index)
        own = own[np.argsort([part.utterances[row] for row in own], kind="stable")]
        order = np.random.default_rng(derive_seed(seed, speaker)).permutation(len(own))
        chosen.append(own[order[:count]])
    return np.sort(np.concatenate(chosen))


def metrics(predictions: np.ndarray, labels: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """O-CCC and A-CCC of one attribute, ``(2,)``; A-CCC over speakers whose labels vary.

    Args:
        predictions: ``(N,)``.
        labels: ``(N,)``, NaN where there is none.
        speaker: ``(N,)`` indices.
    """
    known = ~np.isnan(labels)
    _, own = np.unique(speaker[known], return_inverse=True)
    sums = MomentSums.of(labels[known], predictions[known], own, int(own.max()) + 1)
    overall = sums.weighted(np.ones((1, len(sums.table)))).metric("CCC")[0]
    return np.array([overall, sums.metric("CCC")[~sums.constant()].mean()])


def write_by_utterances(
    source: Experiment,
    out: Experiment,
    config: CalibrationConfig,
    counts: Sequence[int | None],
    draws: int = 100,
    seed: int = 0,
) -> Path:
    """Calibrate test parts from so many utterances of each speaker, and write the table.

    Args:
        source: trained and predicted.
        out: its calibration by ``calibrate_experiment``, whose k is used.
        config: of that calibration; with ``enrolment`` the utterances are drawn from that part.
        counts: numbers of utterances; None for all.
        draws: of the utterances, where not all are taken.
        seed: of the draws.

    Raises:
        UserError: when a test part has no labels.
    """
    if draws < 1:
        raise UserError("--draws must be at least 1", value=draws)
    sets, folds = load_data(source), source.fold_dirs()
    ks = [
        read_json(out.path / folder.relative_to(source.path) / "fit.json")["calibration"]["k"]
        for folder in folds
    ]
    read = [FoldParts.read(folder, sets) for folder in folds]
    with whole_file(out.path / FILE) as stream:
        stream.write("\t".join(HEADER) + "\n")
        for name in (name for name in read[0].tests if name != config.enrolment):
            for row in _rows(name, list(zip(read, ks, strict=True)), config, counts, draws, seed):
                stream.write("\t".join(row) + "\n")
    return out.path / FILE


def _rows(
    name: str,
    folds: list[tuple[FoldParts, int]],
    config: CalibrationConfig,
    counts: Sequence[int | None],
    draws: int,
    seed: int,
) -> list[list[str]]:
    """The table's rows of one test set: folds of a training seed pooled, seeds averaged."""
    parts = [fold.part(name) for fold, _ in folds]
    labels = [fold.labels(name, part) for (fold, _), part in zip(folds, parts, strict=True)]
    enrolled = [
        fold.enrolment(config.enrolment) or part for (fold, _), part in zip(folds, parts, strict=True)
    ]
    before = _scored([part.predictions for part in parts], folds, parts, labels)
    rows = []
    for count in progress(counts, len(counts), f"by utterances, {name}"):
        found = []
        for draw in range(1 if count is None else draws):
            own = derive_seed(seed, "draw", draw)
            calibrated = [
                calibrate_part(
                    part, fold.donors, k, config.shift, config.shrinkage,
                    source.take(first_of_each(source, count, own)),
                ).predictions
                for (fold, k), part, source in zip(folds, parts, enrolled, strict=True)
            ]  # fmt: skip
            found.append(_scored(calibrated, folds, parts, labels))
        after = np.stack(found)  # (draws, A, metrics)
        low, high = np.percentile(after, [2.5, 97.5], axis=0)
        for column, attribute in enumerate(parts[0].attributes):
            for place, metric in enumerate(METRICS):
                cell = (column, place)
                values = (before[cell], after.mean(0)[cell], low[cell], high[cell])
                words = [name, attribute, metric, ALL if count is None else str(count), str(len(after))]
                rows.append(words + [f"{value:.6f}" for value in values])
    return rows


def _scored(
    predictions: list[np.ndarray],
    folds: list[tuple[FoldParts, int]],
    parts: list[Part],
    labels: list[np.ndarray],
) -> np.ndarray:
    """``(A, metrics)``: pooled over the folds of a training seed, then the mean over seeds."""
    seeds: dict[str, list[int]] = {}
    for number, (fold, _) in enumerate(folds):
        seeds.setdefault(fold.folder.parent.name, []).append(number)
    values = []
    for members in seeds.values():
        truth = np.concatenate([labels[number] for number in members])
        found = np.concatenate([predictions[number] for number in members])
        names = np.concatenate([np.array(parts[n].speakers, object)[parts[n].speaker] for n in members])
        speaker = np.unique(names.astype(str), return_inverse=True)[1]
        values.append([metrics(f, t, speaker) for f, t in zip(found.T, truth.T, strict=True)])
    return np.mean(values, axis=0)
