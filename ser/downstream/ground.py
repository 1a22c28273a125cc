"""What a training stands on: data, task, folds and what the model is told, checked before all else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.labels import VOTES
from ser.downstream.conditioning.side import check_side
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.sources import side_options, told_sources
from ser.downstream.config import TrainConfig
from ser.downstream.examples import check_attribute
from ser.downstream.experiment import AudioSources, Sources, load_sets
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.fit import Task
from ser.downstream.protocol import Fold, cross_validation, fixed_sets

S = TypeVar("S", Sources, AudioSources)


@dataclass
class Ground(Generic[S]):
    """What training and fine-tuning have in common before they part.

    Args:
        sources: without what the model is not told of.
        sets: source name -> (data directory, features; None for audio).
        task: the outputs.
        side: gender and words.
        folds: of speakers, or the corpus's own sets.
        speaker_of: utterance -> speaker, of all sets.
    """

    sources: S
    sets: dict[str, tuple[DataDir, Path | None]]
    task: Task
    side: SideOptions
    folds: list[Fold]
    speaker_of: dict[str, str]

    @property
    def data(self) -> DataDir:
        """The training set, or the only one."""
        return self.sets["train"][0]

    @property
    def learnt_from(self) -> list[str]:
        """Names of the sets whose labels training reads."""
        return [name for name in ("train", "validation") if name in self.sets]


def survey(config: TrainConfig | FinetuneConfig, sources: S) -> Ground[S]:
    """Load and check what a training stands on.

    Raises:
        UserError: for anything the user can mend.
    """
    config.check()
    sources = told_sources(config.text, sources)
    sources.check()
    sets = load_sets(sources)
    data = sets["train"][0]
    task = Task(data.labels.classes if config.task.emotion else [], list(config.task.attributes))
    check_task(task, data, config.task.soft)
    check_validation(task, data, sets["validation"][0] if "validation" in sets else None)
    side = side_options(config.gender, config.text, sources)
    check_side(side, data, [loaded for name, (loaded, _) in sets.items() if name != "train"])
    speaker_of = {u: s for loaded, _ in sets.values() for u, s in loaded.utt2spk.items()}
    return Ground(sources, sets, task, side, make_folds(sets), speaker_of)


def make_folds(sets: dict[str, tuple[DataDir, Path | None]]) -> list[Fold]:
    """Folds of the one set there is, or the corpus's own sets."""
    if list(sets) == ["train"]:
        return cross_validation(sets["train"][0])
    tests = {name: data for name, (data, _) in sets.items() if name not in ("train", "validation")}
    validation = sets["validation"][0] if "validation" in sets else None
    return fixed_sets(sets["train"][0], validation, tests)


def check_validation(task: Task, train: DataDir, validation: DataDir | None) -> None:
    """Refuse a validation set with classes that nothing in the training set is of: they cannot be learnt.

    Raises:
        UserError: naming them.
    """
    if not task.classes or validation is None:
        return
    trained = set(train.classes_of().values())
    lacking = [name for name in task.classes if name in set(validation.classes_of().values()) - trained]
    if lacking:
        raise UserError(
            "classes of the validation set that no training utterance has",
            file=validation.path / "utt2emo", value=", ".join(lacking),
            hint="Divide the corpus otherwise, or map these classes in 'ser prepare'",
        )  # fmt: skip


def check_task(task: Task, data: DataDir, soft: bool = False) -> None:
    """Refuse to learn labels, or with ``soft`` votes, that the data directory does not have.

    Raises:
        UserError: naming the table.
    """
    if task.classes == [] and not task.attributes:
        raise UserError(
            "labels.yaml lists no classes", file=data.path / "labels.yaml", hint="Set task.emotion: false"
        )
    if task.classes and not data.classes_of():
        raise UserError("no emotion labels to learn from", file=data.path / "utt2emo")
    if soft and not data.tables.get(f"utt2{VOTES}"):
        raise UserError(
            "no votes to learn from", file=data.path / f"utt2{VOTES}",
            hint="Set task.soft_weight: 0; not every corpus publishes its raters' votes",
        )  # fmt: skip
    for name in task.attributes:
        check_attribute(data, name)
        if not data.attribute(name):
            raise UserError(f"no labels of {name} to learn from", file=data.path / f"utt2{name}")
