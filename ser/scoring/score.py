"""From checked predictions to ``Scores``: metrics with intervals, per class, per speaker, by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.datadir import DataDir
from ser.metrics import categorical
from ser.scoring import schema
from ser.scoring.cards.card import make_card, write_card
from ser.scoring.clusters import SPEAKER, check_unit, cluster_indices
from ser.scoring.groups import score_groups, trait_groups
from ser.scoring.intervals import LEVEL
from ser.scoring.measure import (
    Measured,
    MeasuredAttribute,
    MeasuredClasses,
    measure_attribute,
    measure_classes,
    number,
)
from ser.scoring.predictions import ExperimentPredictions, Predictions, read_fit, read_predictions
from ser.scoring.submission import write_submissions

CLASS_LABEL = "emo"
SYNTHETIC_CORPORA = ("mini",)
# Predictions are float32: more digits would be noise.
DIGITS = 7


@dataclass
class Outcome:
    """What scoring wrote: scores.json, its content and the model card, or, without labels, submissions."""

    files: list[Path]
    scores: schema.Scores | None


def score_experiment(
    experiment: Path,
    data_dir: Path,
    set_name: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    cluster: str = SPEAKER,
) -> Outcome:
    """Score an experiment on a data directory and write exp/<tag>/scores.json, and README.md, its model card.

    The file of a set with another name than ``test`` is scores_<set>.json. A set without any label
    is written as submission_<set>.csv instead.

    Args:
        experiment: exp/<tag>.
        data_dir: the data directory that was predicted.
        set_name: the folder of predictions in each fold; by default ``test`` where the data has
            utt2fold, and the data directory's name elsewhere.
        draws: of the bootstrap.
        seed: of the draws.
        cluster: what a draw takes whole: ``speaker``, ``dialogue`` or ``session``.

    Raises:
        UserError: for anything the user can mend; nothing is written then.
    """
    if draws < 1:
        raise UserError("--draws must be at least 1", value=draws)
    check_unit(cluster)
    data = DataDir.load(data_dir)
    set_name = set_name or ("test" if data.folds() else data.path.name)
    found = read_predictions(experiment, data, set_name)
    check_columns(found, data)
    if not scored_labels(found, data):
        return Outcome(write_submissions(experiment, set_name, data, found), None)
    scores = make_scores(experiment, data, set_name, found, schema.Bootstrap(draws, seed, LEVEL, cluster))
    path = experiment / ("scores.json" if set_name == "test" else f"scores_{set_name}.json")
    card = make_card(experiment, {path: scores}, data)
    scores.write(path)
    return Outcome([path, *write_card(experiment, card)], scores)


def check_columns(found: ExperimentPredictions, data: DataDir) -> None:
    """Refuse predictions of other classes than the data's.

    Raises:
        UserError: with both lists.
    """
    ours, theirs = found.columns.classes, data.labels.classes
    if ours and theirs and ours != theirs:
        raise UserError(
            f"the experiment predicts the classes {', '.join(ours)}; the data has {', '.join(theirs)}",
            file=data.path / "labels.yaml",
            hint="Predict with an experiment that was trained on the same classes in the same order",
        )


def scored_labels(found: ExperimentPredictions, data: DataDir) -> list[str]:
    """The predicted labels that the data has: ``emo`` and attributes."""
    labels = [CLASS_LABEL] if found.columns.classes and data.classes_of() else []
    known = [name for name in found.columns.attributes if name in data.labels.attributes]
    return labels + [name for name in known if data.attribute(name)]


def read_info(experiment: Path) -> dict[str, Any]:
    """An experiment's info.yaml.

    Raises:
        UserError: when it is missing or no mapping.
    """
    info = read_yaml(experiment / "info.yaml")
    if not isinstance(info, dict):
        raise UserError(
            "not what 'ser train' writes", file=experiment / "info.yaml", hint="Run stage 8 again"
        )
    return info


def make_scores(
    experiment: Path,
    data: DataDir,
    set_name: str,
    found: ExperimentPredictions,
    how: schema.Bootstrap,
) -> schema.Scores:
    """All scores of an experiment, from predictions that have been checked."""
    labels, columns = scored_labels(found, data), found.columns
    info = read_info(experiment)
    utterances, speakers = data.utterances, sorted(set(data.utt2spk.values()))
    index = {speaker: i for i, speaker in enumerate(speakers)}
    speaker = np.array([index[data.utt2spk[utterance]] for utterance in utterances])
    cluster = None if how.unit == SPEAKER else cluster_indices(data, how.unit)
    groups = {
        name: [group_of.get(utterance) for utterance in utterances]
        for name, group_of in trait_groups(data).items()
    }

    classification, reference = None, []
    if CLASS_LABEL in labels:
        number = {name: i for i, name in enumerate(columns.classes)}
        classes = data.classes_of()
        reference = [number[classes[u]] if u in classes else None for u in utterances]
        classification = score_classes(reference, found, speaker, speakers, how, groups, cluster)
        classification.derived = CLASS_LABEL in data.labels.derived
    attributes, references = {}, {}
    for name in (name for name in columns.attributes if name in labels):
        values, limits = data.attribute(name), data.labels.attributes[name]
        references[name] = [values.get(utterance) for utterance in utterances]
        column = len(columns.classes) + columns.attributes.index(name)
        attributes[name] = score_attribute(
            references[name], found.seeds, column, speaker, speakers, how, groups, cluster
        )
        attributes[name].range = [limits.min, limits.max]
        attributes[name].derived = name in data.labels.derived
    corpus = data.labels.corpus
    return schema.Scores(
        format=schema.FORMAT,
        experiment=experiment.resolve().name,
        data=schema.Data(
            path=str(data.path), set=set_name, corpus=corpus, release=data.labels.release,
            licence=data.labels.licence,
            synthetic=bool(info.get("synthetic")) or corpus in SYNTHETIC_CORPORA,
            utterances=len(utterances), speakers=len(speakers),
        ),
        info=info,
        bootstrap=how,
        seeds=[each.seed for each in found.seeds],
        folds=found.folds,
        classification=classification,
        attributes=attributes,
        fits=[make_fit(seed, fold, path) for seed, fold, path in found.fit_files],
        utterances=schema.Utterances(
            ids=utterances, speakers=speakers, speaker=speaker.tolist(), reference=reference,
            attributes=references, seeds=[per_utterance(each, found) for each in found.seeds],
        ),
    )  # fmt: skip


def score_classes(
    reference: list[int | None],
    found: ExperimentPredictions,
    speaker: np.ndarray,
    speakers: list[str],
    how: schema.Bootstrap,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    cluster: np.ndarray | None = None,
) -> schema.Classification:
    """Scores of the classes.

    Args:
        reference: class index of each utterance, None when unlabelled.
        found: predictions; the first K columns are probabilities.
        speaker: index of each utterance's speaker, ``(N,)``.
        speakers: their names.
        how: draws and seed of the bootstrap.
        groups: grouping -> group of each utterance, for results by group.
        cluster: index of each utterance's cluster, ``(N,)``; the speaker when not given.
    """
    classes = found.columns.classes
    known = np.array([value is not None for value in reference])
    truth = np.array([value for value in reference if value is not None])
    predicted = [each.values[known, : len(classes)].argmax(1) for each in found.seeds]
    own = speaker[known]
    drawn = None if cluster is None else cluster[known]

    def measure(rows: np.ndarray) -> MeasuredClasses:
        return measure_classes(
            truth[rows], [guess[rows] for guess in predicted], own[rows], len(classes),
            None if drawn is None else drawn[rows],
        )  # fmt: skip

    def lacking(rows: np.ndarray) -> list[str]:
        return [name for i, name in enumerate(classes) if not (truth[rows] == i).any()]

    whole = measure(np.ones(len(truth), bool))
    each_class = {
        name: np.mean(of_class(whole.confusion), axis=0)
        for name, of_class in (
            ("precision", categorical.precision), ("recall", categorical.recall), ("f1", categorical.f1),
        )
    }  # fmt: skip
    return schema.Classification(
        classes=classes,
        derived=False,
        scored=int(known.sum()),
        unlabelled=int((~known).sum()),
        clusters=whole.clusters,
        metrics=whole.values(how),
        per_class=[
            schema.ClassRow(
                name, int((truth == i).sum()), **{key: number(row[i]) for key, row in each_class.items()}
            )
            for i, name in enumerate(classes)
        ],
        confusion=whole.confusion.sum(0).astype(int).tolist(),
        per_speaker=speaker_rows(whole, speakers),
        groupings=score_groups(_kept(groups, known), measure, how, lacking),
    )


def score_attribute(
    reference: list[float | None],
    seeds: list[Predictions],
    column: int,
    speaker: np.ndarray,
    speakers: list[str],
    how: schema.Bootstrap,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    cluster: np.ndarray | None = None,
) -> schema.Attribute:
    """Scores of one attribute.

    Args:
        reference: value of each utterance, None when unlabelled.
        seeds: predictions.
        column: the attribute's place in them.
        speaker: index of each utterance's speaker, ``(N,)``.
        speakers: their names.
        how: draws and seed of the bootstrap.
        groups: grouping -> group of each utterance, for results by group.
        cluster: index of each utterance's cluster, ``(N,)``; the speaker when not given.
    """
    known = np.array([value is not None for value in reference])
    truth = np.array([value for value in reference if value is not None])
    predicted = [each.values[known, column] for each in seeds]
    own = speaker[known]
    drawn = None if cluster is None else cluster[known]

    def measure(rows: np.ndarray) -> MeasuredAttribute:
        return measure_attribute(
            truth[rows], [values[rows] for values in predicted], own[rows],
            None if drawn is None else drawn[rows],
        )  # fmt: skip

    whole = measure(np.ones(len(truth), bool))
    eligible = whole.eligible
    return schema.Attribute(
        range=[],
        derived=False,
        scored=int(known.sum()),
        unlabelled=int((~known).sum()),
        clusters=whole.clusters,
        metrics=whole.values(how),
        a_ccc_sd=float(whole.per_speaker["CCC"][eligible].std(ddof=1)) if eligible.sum() > 1 else None,
        a_ccc_speakers=int(eligible.sum()),
        a_ccc_left_out=int((~eligible).sum()),
        per_speaker=speaker_rows(whole, speakers),
        groupings=score_groups(_kept(groups, known), measure, how),
    )


def _kept(
    groups: Mapping[str, Sequence[str | None]] | None, known: np.ndarray
) -> dict[str, list[str | None]]:
    """The groups of the labelled utterances."""
    return {name: list(compress(group_of, known)) for name, group_of in (groups or {}).items()}


def speaker_rows(measured: Measured, speakers: list[str]) -> list[schema.SpeakerRow]:
    """One row for each speaker with a scored utterance."""
    return [
        schema.SpeakerRow(
            speakers[i],
            int(measured.sizes[row]),
            {name: number(values[row]) for name, values in measured.per_speaker.items()},
        )
        for row, i in enumerate(measured.speakers)
    ]


def per_utterance(each: Predictions, found: ExperimentPredictions) -> schema.SeedPredictions:
    """One seed's predictions as compact lists."""
    count = len(found.columns.classes)
    probabilities = each.values[:, :count]
    return schema.SeedPredictions(
        fold=each.fold.tolist(),
        predicted=probabilities.argmax(1).tolist() if count else [],
        probability=[short(value) for value in probabilities.max(1)] if count else [],
        attributes={
            name: [short(value) for value in each.values[:, count + i]]
            for i, name in enumerate(found.columns.attributes)
        },
    )


def make_fit(seed: int, fold: str, path: Path) -> schema.Fit:
    """What the report shows of a fold's fit.json.

    Raises:
        UserError: when a key is missing.
    """
    content = read_fit(path)
    weights = content.get("layer_weights")
    try:
        memory = content.get("peak_memory_mb")
        return schema.Fit(
            seed=seed,
            fold=fold,
            chosen=content["chosen"],
            epochs=int(content["epochs"]),
            seconds=float(content["seconds"]),
            trained_parameters=int(content["trained_parameters"]),
            layer_weights=None if weights is None else [short(weight) for weight in weights],
            curve=[{key: number(value) for key, value in row.items()} for row in content["curve"]],
            peak_memory_mb=None if memory is None else float(memory),
        )
    except (KeyError, TypeError, ValueError) as error:
        hint = "Run stage 8 (ser train) again"
        raise UserError("not what 'ser train' writes", file=path, value=error, hint=hint) from None


def short(value: Any) -> float:
    """A float32's worth of digits."""
    return float(f"{value:.{DIGITS}g}")
