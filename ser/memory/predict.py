"""Prediction on conversations: every trained fold on its test dialogues, as it is or under an ablation."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_json, write_text, write_yaml
from ser.core.log import progress
from ser.downstream.experiment import load_sets
from ser.downstream.ground import make_folds
from ser.downstream.predict import wanted_parts, write_predictions
from ser.downstream.protocol import Fold, Part
from ser.features.extract import share_machine
from ser.memory.dialogues import Dialogue, load_dialogues, of_part
from ser.memory.experiment import ConversationExperiment, Stage, open_stage
from ser.memory.fit import predict_dialogues, say_dialogues
from ser.memory.interventions import NAMES, predict_ablated
from ser.memory.leaks import Check, check_leaks
from ser.memory.saved import SavedConversation

MARK = "ablation.yaml"


class Predictor:
    """The folds of an experiment, opened once.

    Args:
        experiment: trained by ``ser memory-train``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>``.

    Raises:
        UserError: when data, features or host are not those of training.
    """

    def __init__(self, experiment: ConversationExperiment, device: str = "auto") -> None:
        share_machine(1)
        self.experiment = experiment
        config, sources = experiment.load_config()
        self.sets = load_sets(sources)
        self.stage: Stage = open_stage(config, sources, self.sets, device)
        self.folds = {fold.name: fold for fold in make_folds(self.sets)}
        self._dialogues: dict[str, list[Dialogue]] = {}

    def trained(self) -> list[Path]:
        """The folders of the trained folds.

        Raises:
            UserError: for a fold that was trained on something else than there is now.
        """
        fingerprint, folders = self.stage.fingerprint, self.experiment.fold_dirs()
        for folder in folders:
            fit = read_json(folder / "fit.json")
            if fit["fingerprint"] != fingerprint or fit["fold"] not in self.folds:
                raise UserError(
                    "trained on other data, features or options than there are now",
                    file=folder / "fit.json", hint="Run 'ser memory-train' again",
                )  # fmt: skip
        return folders

    def opened(self) -> Iterator[tuple[Path, Fold, SavedConversation]]:
        """(folder, fold, model) of every trained fold.

        Raises:
            UserError: as ``trained``.
        """
        folders = self.trained()
        for folder in progress(folders, len(folders), f"predict {self.experiment.path.name}"):
            fold = self.folds[read_json(folder / "fit.json")["fold"]]
            yield folder, fold, SavedConversation.load(folder / "model.safetensors", self.stage.model)

    def dialogues(self, part: Part) -> list[Dialogue]:
        """The dialogues of a part."""
        if part.source not in self._dialogues:
            self._dialogues[part.source] = load_dialogues(self.sets[part.source][0])
        return of_part(self._dialogues[part.source], part.utterances)


def predict_conversations(
    experiment: ConversationExperiment,
    parts: Iterable[str] = ("test",),
    ablation: str | None = None,
    into: Path | None = None,
    generate: bool = False,
    device: str = "auto",
) -> None:
    """Write predictions and utterance vectors of every trained fold.

    Args:
        experiment: trained by ``ser memory-train``; data, and features or host, are those of its config.yaml.
        parts: of ``train``, ``validation``, ``test``; ``test`` stands for all test sets.
        ablation: a change at test time, of ``ser.memory.interventions``.
        into: folder of a new experiment for the ablated predictions; needed with ``ablation``.
        generate: also what a language model says of its own accord, in generated.txt.
        device: where it runs.

    Raises:
        UserError: when a fold is missing or was trained on something else; an unknown ablation; something
            else in ``into``.
    """
    if (ablation is None) != (into is None):
        raise UserError("--ablate and --into go together")
    if ablation is not None and ablation not in NAMES:
        raise UserError("no such ablation", value=ablation, hint=f"There are {', '.join(NAMES)}")
    predictor = Predictor(experiment, device)
    target = experiment.path
    if ablation is not None and into is not None:
        predictor.trained()  # before earlier predictions go
        target = begin_ablated(experiment, into, ablation)
    for folder, fold, saved in predictor.opened():
        place, listening_of = target / folder.relative_to(experiment.path), predictor.stage.listening
        for name, part in wanted_parts(fold.train, fold.validation, fold.tests, parts).items():
            dialogues, listening = predictor.dialogues(part), listening_of([part.source])
            if ablation is None:
                found = predict_dialogues(saved, dialogues, listening)
            else:
                found = predict_ablated(saved, dialogues, listening, ablation)
            vectors = np.stack([found[utterance][0].numpy() for utterance in part.utterances])
            values = np.stack([found[utterance][1].numpy() for utterance in part.utterances])
            if generate:
                said = say_dialogues(saved, dialogues, listening)
                lines = [
                    f"{utterance} {' '.join(said[utterance].split())}\n" for utterance in part.utterances
                ]
                write_text(place / name / "generated.txt", "".join(lines))
            write_predictions(place / name, saved, part.utterances, vectors, values)
        if into is not None:
            write_json(place / "fit.json", read_json(folder / "fit.json"))


def begin_ablated(experiment: ConversationExperiment, into: Path, ablation: str) -> Path:
    """Start the experiment that holds ablated predictions; one that is there is replaced.

    Raises:
        UserError: when something else is there.
    """
    if into.exists():
        if not (into / MARK).is_file():
            raise UserError("something else than predictions with --ablate is there", file=into)
        shutil.rmtree(into)
    info = read_yaml(experiment.path / "info.yaml")
    info["options"] = [*info.get("options", []), f"at test time: {ablation.replace('_', ' ')}"]
    write_yaml(into / MARK, {"source": str(experiment.path), "ablation": ablation})
    for name in ("config.yaml", "env.yaml"):
        write_yaml(into / name, read_yaml(experiment.path / name))
    write_yaml(into / "info.yaml", info)
    return into


def leak_checks(experiment: ConversationExperiment, device: str = "auto") -> dict[str, list[Check]]:
    """Folder and set -> the leak checks of every trained fold on its test dialogues."""
    predictor, found = Predictor(experiment, device), {}
    for folder, fold, saved in predictor.opened():
        for name, part in fold.tests.items():
            listening = predictor.stage.listening([part.source])
            found[f"{folder}/{name}"] = check_leaks(saved, predictor.dialogues(part), listening)
    return found
