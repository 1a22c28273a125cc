"""The trained models that adaptation goes on from, and what each of them has not yet heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from ser.core.errors import UserError
from ser.core.seed import derive_seed
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples
from ser.downstream.fit import Fit, Task
from ser.downstream.protocol import Fold, validation_splits
from ser.downstream.saved import SavedModel


@dataclass(frozen=True)
class Starts:
    """The models of a fold.

    Attributes:
        config: what the fold was trained with, the searched options set.
        splits: (rows to learn from, rows to validate on).
        models: of each split: one that has learnt from its first rows only.
        rows: what the fold's model was trained on, where that is more than a split's; else None.
        model: the fold's model.
    """

    config: TrainConfig
    splits: list[tuple[Tensor, Tensor]]
    models: list[SavedModel]
    rows: Tensor | None
    model: SavedModel


def load_starts(
    path: Path,
    fit: Mapping[str, Any],
    fold: Fold,
    config: TrainConfig,
    task: Task,
    examples: Examples,
    accelerator: Accelerator,
) -> Starts:
    """The models of a trained fold.

    Where speakers were held out, the fold's model has not heard them. After inner folds it has heard
    all training speakers, and nobody is left to validate on; so the inner folds' models are trained
    again, as they were when the epoch was chosen: from the same seeds, as many epochs.

    Args:
        path: the fold's model.safetensors.
        fit: its fit.json.
        fold: its utterances.
        config: of the experiment.
        task: the outputs.
        examples: of training and validation.
        accelerator: where the models run.

    Raises:
        UserError: when fit.json tells of options that the configuration does not have.
    """
    chosen = next((each for options, each in config.candidates() if options == fit["chosen"]), None)
    if chosen is None:
        raise UserError("its options are none of the configuration's", file=path.with_name("fit.json"),
                        value=fit["chosen"], hint="Run stage 8 (train) again")  # fmt: skip
    seed = derive_seed(fit["seed"], "fold", fold.name)
    speaker_of = dict(zip(examples.utterances, examples.speakers, strict=True))
    splits = [
        (examples.rows(learn), examples.rows(validate))
        for learn, validate in validation_splits(fold, speaker_of, config.validation, seed)
    ]
    saved = SavedModel.load(path)
    if len(splits) == 1:
        return Starts(chosen, splits, [saved], None, saved)
    fits = [
        Fit(chosen, task, examples, learn, derive_seed(seed, "split", number), accelerator)
        for number, (learn, _) in enumerate(splits)
    ]
    for epoch, _ in enumerate(zip(*(each.epochs() for each in fits), strict=True), start=1):
        if epoch == fit["epochs"]:
            break
    return Starts(chosen, splits, [each.result for each in fits], examples.rows(fold.train.utterances), saved)
