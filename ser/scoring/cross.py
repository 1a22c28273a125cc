"""Scores of an experiment on another corpus, where names and ranges of labels are mapped first.

Nothing is fitted to the test data: classes are mapped by the names of a mapping file, predictions of
attributes by the two ranges that labels.yaml states.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.labels import CLASS_LABEL, Range
from ser.scoring import schema
from ser.scoring.clusters import SPEAKER, check_unit
from ser.scoring.intervals import LEVEL
from ser.scoring.mapping import Mapping, SharedClasses, rescale, shared_attributes
from ser.scoring.predictions import Columns, ExperimentPredictions, Predictions
from ser.scoring.score import make_scores, read_info
from ser.scoring.text import counted

CROSS = "cross"  # the key of scores.json's info that tells of the other corpus


@dataclass
class Common:
    """What an experiment and a data directory of another corpus share.

    Attributes:
        classes: the classes; None where one side has none, or fewer than two are shared.
        attributes: common name -> (the model's name, the data's name).
        ranges: common name -> (the model's range, the data's range).
        left_out: class of the data that the model does not know -> its utterances.
    """

    classes: SharedClasses | None
    attributes: dict[str, tuple[str, str]]
    ranges: dict[str, tuple[Range, Range]]
    left_out: dict[str, int]


def score_cross(
    experiment: Path,
    folder: Path,
    data_dir: Path,
    mapping_file: Path | None = None,
    draws: int = 1000,
    seed: int = 0,
    allow_unshared: bool = False,
    cluster: str = SPEAKER,
) -> tuple[Path, schema.Scores]:
    """Score predictions for another corpus, and write scores.json beside them.

    Args:
        experiment: exp/<tag>.
        folder: exp/<tag>/cross/<corpus>/<set>, with models.yaml and seed<k>/pred.scp.
        data_dir: what was predicted.
        mapping_file: names of classes and attributes; the package's mapping.yaml by default.
        draws: of the bootstrap.
        seed: of the draws.
        allow_unshared: write scores.json without scores where the two have nothing in common.
        cluster: what a draw takes whole: ``speaker``, ``dialogue`` or ``session``.

    Raises:
        UserError: when nothing is shared, or predictions are not those of the data.
    """
    if draws < 1:
        raise UserError("--draws must be at least 1", value=draws)
    check_unit(cluster)
    data, info, models = DataDir.load(data_dir), read_info(experiment), read_yaml(folder / "models.yaml")
    columns = Columns(models["classes"], models["attributes"])
    common = what_is_common(columns, info, data, Mapping.read(mapping_file), experiment)
    if not allow_unshared:
        refuse_unshared(common, columns, data, experiment)
    found = mapped_predictions(folder, models, columns, common, data, experiment)
    how = schema.Bootstrap(draws, seed, LEVEL, cluster)
    scores = make_scores(experiment, mapped_data(data, common), data.path.name, found, how)
    scores.info |= {
        "protocol": f"cross-corpus, trained on {info['corpus']}",
        CROSS: record(info, models, common),
    }
    scores.write(folder / "scores.json")
    return folder / "scores.json", scores


def check_shared(experiment: Path, data_dir: Path, mapping_file: Path | None = None) -> None:
    """Refuse what ``score_cross`` will refuse, before anything is predicted.

    Raises:
        UserError: when nothing is shared.
    """
    data, info = DataDir.load(data_dir), read_info(experiment)
    columns = Columns(info["task"]["classes"], info["task"]["attributes"])
    common = what_is_common(columns, info, data, Mapping.read(mapping_file), experiment)
    refuse_unshared(common, columns, data, experiment)


def refuse_unshared(common: Common, columns: Columns, data: DataDir, experiment: Path) -> None:
    """Raise when a model and data have no label in common.

    Raises:
        UserError: with the labels of both.
    """
    if common.classes is None and not common.attributes:
        theirs = [*data.labels.classes, *data.labels.attributes]
        raise UserError(
            f"{experiment} and {data.path} have no label in common: the model knows"
            f" {', '.join(columns.classes + columns.attributes)}, the data {', '.join(theirs) or 'nothing'}",
            hint="Say which names mean the same with --mapping FILE",
        )


def what_is_common(
    columns: Columns, info: dict[str, Any], data: DataDir, mapping: Mapping, experiment: Path
) -> Common:
    """The labels that both sides have, by the mapping.

    Raises:
        UserError: when the experiment does not tell an attribute's range.
    """
    labelled = list(data.classes_of().values())
    classes = SharedClasses.between(columns.classes, data.labels.classes, mapping)
    left_out = {name: labelled.count(name) for name in classes.data_only}
    there = [name for name in data.labels.attributes if data.attribute(name)]
    attributes = shared_attributes(columns.attributes, there, mapping)
    ranges = {}
    for name, (ours, theirs) in attributes.items():
        if ours not in (info.get("ranges") or {}):
            raise UserError(
                "does not tell the range of an attribute, as experiments of an older release",
                file=experiment / "info.yaml", value=ours,
                hint="Run 'ser train' again as it was run: what is trained is kept",
            )  # fmt: skip
        ranges[name] = (Range(**info["ranges"][ours]), data.labels.attributes[theirs])
    enough = len(classes.names) > 1 and bool(labelled)
    return Common(classes if enough else None, attributes, ranges, left_out if columns.classes else {})


def mapped_data(data: DataDir, common: Common) -> DataDir:
    """The data with labels by their common names; those that are not shared count as unlabelled."""
    labels, tables = data.labels, dict(data.tables)
    emotions = tables.pop(f"utt2{CLASS_LABEL}", {})
    for name in labels.attributes:
        tables.pop(f"utt2{name}", None)
    classes = []
    derived = [CLASS_LABEL] if CLASS_LABEL in labels.derived else []
    if common.classes is not None:
        classes = common.classes.names
        name_of = {own: name for name, owns in common.classes.of_data.items() for own in owns}
        tables[f"utt2{CLASS_LABEL}"] = {u: name_of[own] for u, own in emotions.items() if own in name_of}
    for name, (_, theirs) in common.attributes.items():
        tables[f"utt2{name}"] = data.tables[f"utt2{theirs}"]
        derived += [name] if theirs in labels.derived else []
    attributes = {name: theirs for name, (_, theirs) in common.ranges.items()}
    mapped = replace(
        labels, classes=classes, attributes=attributes, derived=derived, complete=[], expected={}
    )
    return replace(data, labels=mapped, tables=tables)


def mapped_predictions(
    folder: Path, models: dict[str, Any], columns: Columns, common: Common, data: DataDir, experiment: Path
) -> ExperimentPredictions:
    """Probabilities given that the class is a shared one; shared attributes on the data's range."""
    count, seeds, fits = len(columns.classes), [], []
    for seed, folds in models["seeds"].items():
        reader = ArkReader(folder / f"seed{seed}" / "pred.scp")
        raw = np.stack(reader.load(data.utterances)).astype(np.float64)
        parts = [] if common.classes is None else [common.classes.project(raw[:, :count], columns.classes)]
        for name, (ours, _) in common.attributes.items():
            values = raw[:, [count + columns.attributes.index(ours)]]
            parts.append(rescale(values, *common.ranges[name]))
        values = np.concatenate(parts, axis=1) if parts else np.empty((len(raw), 0))
        seeds.append(Predictions(seed, values, np.zeros(len(raw), int)))
        fits += [(seed, fold, experiment / f"seed{seed}" / f"fold{fold}" / "fit.json") for fold in folds]
    names = [] if common.classes is None else common.classes.names
    most = max(map(len, models["seeds"].values()))
    together = f"mean of {counted(most, 'fold')}" if most > 1 else "one fold"
    return ExperimentPredictions(Columns(names, list(common.attributes)), [together], seeds, fits)


def record(info: dict[str, Any], models: dict[str, Any], common: Common) -> dict[str, Any]:
    """What scores.json keeps of the mapping."""
    return {
        "trained_on": info["corpus"],
        "folds": {str(seed): folds for seed, folds in models["seeds"].items()},
        "classes": None if common.classes is None else asdict(common.classes),
        "left_out": common.left_out,
        "attributes": {
            name: {
                "model": ours, "data": theirs,
                "from": [common.ranges[name][0].min, common.ranges[name][0].max],
                "to": [common.ranges[name][1].min, common.ranges[name][1].max],
            }
            for name, (ours, theirs) in common.attributes.items()
        },
    }  # fmt: skip


def mapping_notes(scores: schema.Scores) -> list[str]:
    """What was mapped, left out and not heard of, a sentence each."""
    found, notes = scores.info[CROSS], []
    if shared := found["classes"]:
        pairs = [_pair(name, shared["of_model"][name], shared["of_data"][name]) for name in shared["names"]]
        notes.append(f"Shared classes: {', '.join(pairs)}.")
        if shared["model_only"]:
            notes.append(
                f"Of the model only: {', '.join(shared['model_only'])};"
                " probabilities are those given a shared class."
            )
    if found["left_out"]:
        lost = ", ".join(f"{name} {number:,}" for name, number in found["left_out"].items())
        notes.append(f"Of the data only, left out of the classes: {lost}.")
    for name, each in found["attributes"].items():
        ours, theirs = (f"{low:g} to {high:g}" for low, high in (each["from"], each["to"]))
        moved = f"{ours} on both sides" if ours == theirs else f"moved linearly from {ours} to {theirs}"
        notes.append(f"Predictions of {_pair(name, [each['model']], [each['data']])}: {moved}.")
    return notes


def _pair(common: str, model: list[str], data: list[str]) -> str:
    """``anger``, ``anger (ang)``, ``happiness (model exc+hap, data joy)``."""
    if model == data:
        return common if model == [common] else f"{common} ({'+'.join(model)})"
    return f"{common} (model {'+'.join(model)}, data {'+'.join(data)})"
