"""The trained models of an experiment as one: the mean of what they predict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.files import read_json
from ser.core.log import get_logger
from ser.downstream.experiment import Experiment
from ser.downstream.saved import Outputs, SavedModel

logger = get_logger(__name__)


M = TypeVar("M", bound=Outputs)


@dataclass
class Mean(Generic[M]):
    """Models with the same outputs, whose probabilities and attributes are averaged.

    Args:
        members: (seed, fold) of each model.
        models: the models; not empty.
    """

    members: list[tuple[int, str]]
    models: list[M]

    @property
    def classes(self) -> list[str]:
        """Names of the first K outputs."""
        return self.models[0].classes

    @property
    def attributes(self) -> list[str]:
        """Names of the other A outputs."""
        return list(self.models[0].attributes)

    def describe(self) -> str:
        """``mean of 10 models (seeds: 0; folds: 03, 08, ...)``."""
        seeds = ", ".join(dict.fromkeys(str(seed) for seed, _ in self.members))
        folds = ", ".join(dict.fromkeys(fold for _, fold in self.members))
        if len(self.members) == 1:
            return f"one model (seed {seeds}, fold {folds})"
        return f"mean of {len(self.members)} models (seeds: {seeds}; folds: {folds})"


class Ensemble(Mean[SavedModel]):
    """Models on features."""

    @classmethod
    def load(cls, experiment: Experiment, seed: int | None = None, fold: str | None = None) -> Ensemble:
        """The models of an experiment, of all seeds and folds unless one is named.

        Raises:
            UserError: when there is none, or they were trained from different data or options.
        """
        chosen = choose_folds(experiment, seed, fold)
        members = list(chosen)
        models = [SavedModel.load(folder / "model.safetensors") for folder in chosen.values()]
        if any(saved.model.speaker is not None for saved in models):
            raise UserError(
                "trained with speaker vectors, which want a speaker's other audio", file=experiment.path,
                hint="It predicts its own data: ser predict EXPERIMENT",
            )  # fmt: skip
        for what in models[0].side.not_in_audio():
            logger.warning("%s: %s", experiment.path, what)
        return cls(members, models)

    @property
    def statistics(self) -> int:
        """S: 1 where the models take means, 2 where they take deviations too."""
        return self.models[0].shape[0]

    def by_seed(self) -> Iterator[tuple[int, Ensemble]]:
        """The folds of each seed as an ensemble of their own."""
        for seed in sorted({seed for seed, _ in self.members}):
            chosen = [i for i, member in enumerate(self.members) if member[0] == seed]
            yield seed, Ensemble([self.members[i] for i in chosen], [self.models[i] for i in chosen])

    @torch.inference_mode()
    def predict(self, pooled: Tensor) -> Tensor:
        """Class probabilities, then attributes in the label's units: (B, S, L, D) -> (B, K + A)."""
        outputs = [saved.predict(saved.model.embed(pooled)) for saved in self.models]
        return torch.stack(outputs).mean(0)


def choose_folds(experiment: Experiment, seed: int | None, fold: str | None) -> dict[tuple[int, str], Path]:
    """(seed, fold) -> folder of the trained folds, of all seeds and folds unless one is named.

    Raises:
        UserError: when there is none, or they were trained from different data or options.
    """
    chosen, trained_from = {}, {}
    folders = experiment.fold_dirs()
    for folder in folders:
        fit = read_json(folder / "fit.json")
        if seed in (None, fit["seed"]) and fold in (None, fit["fold"]):
            chosen[fit["seed"], fit["fold"]] = folder
            trained_from[fit["fingerprint"]] = folder
    if not chosen:
        known = ", ".join(str(folder.relative_to(experiment.path)) for folder in folders)
        wanted = "" if seed is None else f"seed {seed} "
        wanted += "" if fold is None else f"fold {fold}"
        raise UserError(
            "no such model", file=experiment.path, value=wanted.strip(), hint=f"Trained are: {known}"
        )
    if len(trained_from) > 1:
        raise UserError(
            "some folds were trained on other data, features or options than the rest",
            file=list(trained_from.values())[1] / "fit.json",
            hint="Run stage 8 (train) again, or choose with --seed and --fold",
        )
    return chosen
