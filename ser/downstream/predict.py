"""Prediction: trained folds on their test parts, as vectors in arks and as text to read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.files import read_json, whole_file, write_yaml
from ser.core.log import get_logger, progress
from ser.data.arks import ArkWriter
from ser.downstream.examples import Examples, load_examples
from ser.downstream.experiment import Experiment, load_sets, training_fingerprint
from ser.downstream.fit import PREDICTION_BATCH
from ser.downstream.protocol import Part
from ser.downstream.saved import SavedModel
from ser.downstream.train import make_folds

logger = get_logger(__name__)


def predict_experiment(experiment: Experiment, parts: Iterable[str] = ("test",)) -> None:
    """Write predictions and utterance vectors of every trained fold.

    Args:
        experiment: trained by ``train_experiment``; data and features are those of its config.yaml.
        parts: of ``train``, ``validation``, ``test``; ``test`` stands for all test sets.

    Raises:
        UserError: when a fold is missing, or was trained on other data or features than there are now.
    """
    config, sources = experiment.load_config()
    sets = load_sets(sources)
    folds = {fold.name: fold for fold in make_folds(sets)}
    fingerprint = training_fingerprint(config, sources)
    loaded: dict[str, Examples] = {}
    folders = experiment.fold_dirs()
    for folder in progress(folders, len(folders), f"predict {experiment.path.name}"):
        fit = read_json(folder / "fit.json")
        if fit["fingerprint"] != fingerprint or fit["fold"] not in folds:
            raise UserError(
                "trained on other data, features or options than there are now",
                file=folder / "fit.json",
                hint="Run stage 8 (train) again",
            )
        saved = SavedModel.load(folder / "model.safetensors")
        fold = folds[fit["fold"]]
        for name, part in wanted_parts(fold.train, fold.validation, fold.tests, parts).items():
            if part.source not in loaded:
                loaded[part.source] = load_examples(
                    [sets[part.source]], [], [], saved.shape[0], config.model.standardise
                )
            write_predictions(folder / name, saved, loaded[part.source], part.utterances)


def wanted_parts(
    train: Part, validation: Part | None, tests: dict[str, Part], names: Iterable[str]
) -> dict[str, Part]:
    """Folder name -> part, for the parts that are asked for.

    Raises:
        UserError: for a part that does not exist.
    """
    known = {
        "train": {"train": train},
        "validation": {"validation": validation} if validation else {},
        "test": tests,
    }
    found: dict[str, Part] = {}
    for name in names:
        if name not in known:
            raise UserError("no such part", value=name, hint=f"Choose from {', '.join(known)}")
        found.update(known[name])
    return found


@torch.inference_mode()
def write_predictions(folder: Path, saved: SavedModel, examples: Examples, utterances: list[str]) -> None:
    """Write pred.ark/scp, pred.txt, columns.yaml and emb.ark/scp of some utterances.

    Predictions are written last, so that their presence tells that all is there.

    Args:
        folder: exp/<tag>/seed<k>/fold<j>/<set>.
        saved: the fold's model.
        examples: features of a set.
        utterances: which of them, in the order to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "columns.yaml", {"classes": saved.classes, "attributes": list(saved.attributes)})
    rows = examples.rows(utterances)
    outputs = []
    with ArkWriter(folder / "emb") as writer:
        for part in rows.split(PREDICTION_BATCH):
            vectors = saved.model.embed(examples.pooled.take(part))
            outputs.append(saved.predict(vectors))
            for row, vector in zip(part.tolist(), vectors.numpy(), strict=True):
                writer.write(examples.utterances[row], vector)
    values = torch.cat(outputs).numpy()
    with whole_file(folder / "pred.txt") as text:
        for utterance, value in zip(utterances, values, strict=True):
            text.write(readable(utterance, value, saved) + "\n")
    with ArkWriter(folder / "pred") as writer:
        for utterance, value in zip(utterances, values, strict=True):
            writer.write(utterance, value)


def readable(utterance: str, value: np.ndarray, saved: SavedModel) -> str:
    """One line: id, most probable class and its probability, attribute=value pairs.

    Args:
        utterance: the id.
        value: (K + A,).
        saved: names the columns.
    """
    words, count = [utterance], len(saved.classes)
    if count:
        best = int(value[:count].argmax())
        words += [saved.classes[best], f"{value[best]:.4f}"]
    words += [f"{name}={number:.4f}" for name, number in zip(saved.attributes, value[count:], strict=True)]
    return " ".join(words)
