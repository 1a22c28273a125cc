"""Who is trained on and who is tested: folds of one data directory, or the corpus's own sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.splits import draw, held_out_speakers, inner_folds
from ser.downstream.config import ValidationConfig

FIXED_FOLD = "0"


@dataclass(frozen=True)
class Part:
    """Utterances of one data directory.

    Args:
        source: which directory: ``train``, ``validation`` or a test set's name.
        utterances: in the directory's order.
    """

    source: str
    utterances: list[str]


@dataclass(frozen=True)
class Fold:
    """One training and what it is tested on.

    Args:
        name: fold id of utt2fold, or ``0`` where the corpus has its own sets.
        train: what it learns from.
        validation: the corpus's validation set, or None (then training speakers are held out).
        tests: set name -> what it predicts.
    """

    name: str
    train: Part
    validation: Part | None = None
    tests: dict[str, Part] = field(default_factory=dict)


def cross_validation(data: DataDir) -> list[Fold]:
    """One fold for every id of utt2fold: its utterances are tested, all others trained on.

    Raises:
        UserError: when utt2fold is absent, incomplete, or has one id only.
    """
    fold_of = data.folds()
    if not fold_of:
        raise UserError(
            "no utt2fold, so there is nothing to test on",
            file=data.path,
            hint="Write utt2fold, or give --validation-data and --test-data",
        )
    without = [utterance for utterance in data.utterances if utterance not in fold_of]
    if without:
        raise UserError(
            f"{len(without)} utterances without a fold", file=data.path / "utt2fold", value=without[0]
        )
    names = sorted(set(fold_of.values()))
    if len(names) < 2:
        raise UserError(
            "cross-validation wants at least two folds", file=data.path / "utt2fold", value=names[0]
        )
    return [
        Fold(
            name,
            train=Part("train", [u for u in data.utterances if fold_of[u] != name]),
            tests={"test": Part("train", [u for u in data.utterances if fold_of[u] == name])},
        )
        for name in names
    ]


def fixed_sets(train: DataDir, validation: DataDir | None, tests: dict[str, DataDir]) -> list[Fold]:
    """The one fold of a corpus that comes divided into sets."""
    return [
        Fold(
            FIXED_FOLD,
            train=Part("train", train.utterances),
            validation=None if validation is None else Part("validation", validation.utterances),
            tests={name: Part(name, data.utterances) for name, data in tests.items()},
        )
    ]


def describe(folds: list[Fold], speaker_of: dict[str, str], validation: ValidationConfig) -> str:
    """The protocol in words, from what the folds hold, not from what the recipe says.

    Args:
        folds: all folds of the experiment.
        speaker_of: utterance -> speaker, for all sets.
        validation: how choices are made: by speakers that are trained on too, this says so.
    """
    protocol = _tested(folds, speaker_of)
    if validation.method == "utterances" and any(fold.validation is None for fold in folds):
        return f"{protocol}, validation shares speakers"
    return protocol


def _tested(folds: list[Fold], speaker_of: dict[str, str]) -> str:
    """Who is tested."""
    shared, single = False, True
    for fold in folds:
        trained = {speaker_of[u] for u in fold.train.utterances}
        for part in fold.tests.values():
            tested = {speaker_of[u] for u in part.utterances}
            shared |= bool(trained & tested)
            single &= len(tested) == 1
    independence = "speakers shared between train and test" if shared else "speaker-independent"
    if folds[0].name == FIXED_FOLD and len(folds) == 1:
        return f"the corpus's own sets, {independence}"
    if single and not shared:
        return f"leave-one-speaker-out, {len(folds)} folds"
    return f"{len(folds)} folds, {independence}"


def validation_splits(
    fold: Fold, speaker_of: dict[str, str], config: ValidationConfig, seed: int
) -> list[tuple[list[str], list[str]]]:
    """(learn from, validate on) pairs inside a fold's training part.

    Speakers are never on both sides, unless the method is ``utterances``, which is named for that.

    Args:
        fold: the fold; its test part is not looked at.
        speaker_of: utterance -> speaker.
        config: ``held_out`` and ``utterances`` give one pair, ``inner_folds`` as many as ``folds``.
        seed: of the choice of speakers or utterances.

    Raises:
        UserError: when there are too few training speakers, or utterances.
    """
    if fold.validation is not None:
        return [(fold.train.utterances, fold.validation.utterances)]
    if config.method == "utterances":
        return [_random_utterances(fold, config.share, seed)]
    speakers = {utterance: speaker_of[utterance] for utterance in fold.train.utterances}
    needed = config.folds if config.method == "inner_folds" else 2
    if len(set(speakers.values())) < needed:
        raise UserError(
            f"validation by {config.method} wants at least {needed} training speakers",
            value=f"{len(set(speakers.values()))} in fold {fold.name}",
            hint="Check utt2spk; change validation.method or validation.folds",
        )
    if config.method == "inner_folds":
        held_out = inner_folds(speakers, config.folds, seed)
    else:
        held_out = [held_out_speakers(speakers, config.share, seed)]
    return [
        (
            [u for u, speaker in speakers.items() if speaker not in held],
            [u for u, speaker in speakers.items() if speaker in held],
        )
        for held in held_out
    ]


def _random_utterances(fold: Fold, share: float, seed: int) -> tuple[list[str], list[str]]:
    """(learn from, validate on): a share of the utterances, by a hash of the seed and their name."""
    utterances = fold.train.utterances
    if len(utterances) < 2:
        raise UserError("validation by utterances wants two training utterances", value=f"fold {fold.name}")
    count = min(max(round(share * len(utterances)), 1), len(utterances) - 1)
    held = set(sorted(utterances, key=lambda utterance: draw(seed, utterance))[:count])
    return [u for u in utterances if u not in held], [u for u in utterances if u in held]
