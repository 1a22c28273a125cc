"""Prediction: trained folds on their test parts, as vectors in arks and as text to read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, whole_file, write_json, write_yaml
from ser.core.log import get_logger, progress
from ser.data.arks import ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import Side, load_side
from ser.downstream.conditioning.voices import Voices
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples, load_examples
from ser.downstream.experiment import AudioSources, Experiment, Sources, load_sets, training_fingerprint
from ser.downstream.fit import PREDICTION_BATCH
from ser.downstream.ground import make_folds
from ser.downstream.protocol import Part
from ser.downstream.saved import Outputs, SavedModel

logger = get_logger(__name__)


def predict_experiment(
    experiment: Experiment,
    parts: Iterable[str] = ("test",),
    speakers: Path | None = None,
    into: Path | None = None,
) -> None:
    """Write predictions and utterance vectors of every trained fold.

    Args:
        experiment: of ``train_experiment`` or ``finetune_experiment``; data, and features or upstream, are
            those of its config.yaml.
        parts: of ``train``, ``validation``, ``test``; ``test`` stands for all test sets.
        speakers: for models fine-tuned from a personalised encoder: another table of ``ser speakers``, by
            which speakers of test sets are made of others than in training.
        into: folder of a new experiment for these predictions; needed with ``speakers``.

    Raises:
        UserError: when a fold is missing, or was trained on other data, features or upstream than there
            are now; ``speakers`` for other models; something else in ``into``.
    """
    if (speakers is None) != (into is None):
        raise UserError("--speakers and --into go together")
    config, sources = experiment.load_config()
    if speakers is not None and not isinstance(sources, AudioSources):
        raise UserError("trained on features, which have their speakers in them", file=experiment.path,
                        hint="Extract again with 'ser extract --speakers', and train on that")  # fmt: skip
    sets = load_sets(sources)
    if isinstance(sources, AudioSources):
        # Not for what runs on features: it wants an encoder's libraries.
        from ser.downstream.finetune.predict import AudioPredictor

        predictor: FeaturePredictor | AudioPredictor = AudioPredictor(experiment, config, sources, sets)
        if speakers is not None:
            predictor.assign_speakers(speakers)
    else:
        predictor = FeaturePredictor(config, sources, sets)
    folds = {fold.name: fold for fold in make_folds(sets)}
    # What speakers are enrolled on is not predicted: their vectors would be made of it.
    enrolment = config.speaker.enrolment if isinstance(config, TrainConfig) else None
    fits = {folder: read_json(folder / "fit.json") for folder in experiment.fold_dirs()}
    for folder, fit in fits.items():
        if not (folder / "model.safetensors").is_file():
            raise UserError(
                "no model here: these predictions were made of other experiments'", file=folder,
                hint="Predict those, and run 'ser fuse', 'ser calibrate' or 'ser adapt' again",
            )  # fmt: skip
        if fit["fingerprint"] != predictor.fingerprint or fit["fold"] not in folds:
            raise UserError(
                "trained on other data, features or options than there are now",
                file=folder / "fit.json",
                hint="Run stage 8 (train) again",
            )
    target = experiment.path
    if into is not None and speakers is not None:
        target = begin_reassigned(experiment, into, speakers)
    for folder, fit in progress(fits.items(), len(fits), f"predict {experiment.path.name}"):
        predictor.load(folder / "model.safetensors")
        fold = folds[fit["fold"]]
        tests = {name: part for name, part in fold.tests.items() if name != enrolment}
        place = target / folder.relative_to(experiment.path)
        for name, part in wanted_parts(fold.train, fold.validation, tests, parts).items():
            write_predictions(place / name, predictor.saved, *predictor.predict(part))
        if into is not None:
            write_json(place / "fit.json", fit)


def begin_reassigned(experiment: Experiment, into: Path, speakers: Path) -> Path:
    """Start the experiment that holds predictions with other embeddings; one that is there is replaced.

    Raises:
        UserError: when something else is there.
    """
    mark = into / "speakers.yaml"
    if into.exists():
        if not mark.is_file():
            raise UserError("something else than predictions with --speakers is there", file=into)
        shutil.rmtree(into)
    info = read_yaml(experiment.path / "info.yaml")
    info["options"] = [*info.get("options", []), f"speakers of {speakers.name}"]
    write_yaml(mark, {"source": str(experiment.path), "speakers": str(speakers)})
    for name in ("config.yaml", "env.yaml"):
        if (experiment.path / name).is_file():
            write_yaml(into / name, read_yaml(experiment.path / name))
    write_yaml(into / "info.yaml", info)
    return into


class FeaturePredictor:
    """Predicts from pooled features.

    Args:
        config: of the experiment.
        sources: data and features.
        sets: loaded data directories by name.

    Attributes:
        fingerprint: of what there is now.
        saved: the fold's model.
    """

    def __init__(self, config: TrainConfig, sources: Sources, sets: dict[str, tuple[DataDir, Path]]) -> None:
        self.config, self.sets, self.text_feats = config, sets, sources.text_of(sets)
        self.fingerprint = training_fingerprint(config, sources.fingerprint())
        self._loaded: dict[str, Examples] = {}
        self._sides: dict[str, Side | None] = {}

    def load(self, path: Path) -> None:
        """Take up a fold's model."""
        self.saved = SavedModel.load(path)

    @torch.inference_mode()
    def predict(self, part: Part) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Utterances, their vectors ``(n, S D)`` and predictions ``(n, K + A)``."""
        examples, model = self._examples(part.source), self.saved.model
        voices, side = self._voices(part.source), self._side(part.source)
        rows = examples.rows(part.utterances).split(PREDICTION_BATCH)
        vectors = torch.cat(
            [
                model.embed(
                    examples.pooled.take(some), model.speaker_vectors(voices, some), side and side.take(some)
                )
                for some in rows
            ]
        )
        return part.utterances, vectors.numpy(), self.saved.predict(vectors).numpy()

    def _examples(self, source: str) -> Examples:
        """Features of a data directory."""
        if source not in self._loaded:
            standardise = self.config.model.standardise
            self._loaded[source] = load_examples(
                [self.sets[source]], [], [], self.saved.shape[0], standardise
            )
        return self._loaded[source]

    def _side(self, source: str) -> Side | None:
        """Gender and text of a data directory."""
        if source not in self._sides:
            told = [(self.sets[source][0], self.text_feats.get(source))]
            self._sides[source] = load_side(told, self.saved.side)
        return self._sides[source]

    def _voices(self, source: str) -> Voices | None:
        """Statistics of a data directory's speakers; of test speakers, from the set they are enrolled on."""
        model, enrolment = self.saved.model, self.config.speaker.enrolment
        if model.speaker is None:
            return None
        heard = enrolment if enrolment is not None and source not in ("train", "validation") else source
        examples = self._examples(heard)
        parts = torch.arange(len(examples)).split(PREDICTION_BATCH)
        features = (model.standardiser(examples.pooled.take(part)) for part in parts)
        voices = Voices.of(features, examples.speakers, model.speaker.reduce)
        return voices if heard == source else voices.lent_to(self._examples(source).speakers)


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


def write_predictions(
    folder: Path, saved: Outputs, utterances: list[str], vectors: np.ndarray, values: np.ndarray
) -> None:
    """Write pred.ark/scp, pred.txt, columns.yaml and emb.ark/scp of some utterances.

    Predictions are written last, so that their presence tells that all is there.

    Args:
        folder: exp/<tag>/seed<k>/fold<j>/<set>.
        saved: the fold's model, which names the columns.
        utterances: n of them, in the order to write.
        vectors: ``(n, D)``.
        values: ``(n, K + A)``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "columns.yaml", {"classes": saved.classes, "attributes": list(saved.attributes)})
    with ArkWriter(folder / "emb") as writer:
        for utterance, vector in zip(utterances, vectors, strict=True):
            writer.write(utterance, vector)
    with whole_file(folder / "pred.txt") as text:
        for utterance, value in zip(utterances, values, strict=True):
            text.write(readable(utterance, value, saved) + "\n")
    with ArkWriter(folder / "pred") as writer:
        for utterance, value in zip(utterances, values, strict=True):
            writer.write(utterance, value)


def readable(utterance: str, value: np.ndarray, saved: Outputs) -> str:
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
