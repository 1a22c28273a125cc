"""What is checked: the data directories of one experiment, their roles, and what was heard of the audio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ser.core.errors import UserError
from ser.data.datadir import DataDir, examine, is_data_file
from ser.lint.finding import NotChecked
from ser.lint.sound import Sound

# How a set's name begins, and its role; a set of another name is only compared with the others.
ROLES = {
    **{"train": "train", "dev": "validation", "valid": "validation", "validation": "validation"},
    **{"test": "test", "eval": "test"},
}


@dataclass(frozen=True)
class Settings:
    """Where the checks draw their lines.

    Args:
        min_seconds, max_seconds: utterances shorter or longer are told.
        silence_db: an utterance is silent when its loudest 25 ms lie below, in dB of full scale.
        clipped_share: samples in runs at full scale, as a share, from which an utterance is clipped.
        offset: mean of the samples, as a share of full scale, from which there is a DC offset.
    """

    min_seconds: float = 0.3
    max_seconds: float = 30.0
    silence_db: float = -60.0
    clipped_share: float = 0.001
    offset: float = 0.02


@dataclass(frozen=True)
class LintedSet:
    """A data directory, and what it is for: ``train``, ``validation``, ``test`` or ``other``."""

    name: str
    role: str
    data: DataDir


@dataclass(frozen=True)
class Part:
    """Utterances that have nothing in common with another part, as they should: a set, or a fold of one.

    ``role`` is the set's, or ``fold``.
    """

    name: str
    role: str
    data: DataDir
    utterances: Sequence[str]

    @property
    def side(self) -> str:
        """What must not share with another side: two test sets may have speakers in common, two folds not."""
        return self.role if self.role in ROLES.values() else self.name


@dataclass
class Subject:
    """All that the checks look at.

    Attributes:
        sets: the directories whose tables are in order.
        complaints: the rules that other directories break.
        skipped: what was given and is no data directory.
        settings: where the checks draw their lines.
        sounds: for each set's name, utterance -> what was heard; None when the audio was left alone.
    """

    sets: list[LintedSet]
    complaints: list[UserError] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    sounds: Mapping[str, Mapping[str, Sound]] | None = None
    _numbers: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, paths: Sequence[str | os.PathLike[str]], settings: Settings | None = None) -> Subject:
        """Read data directories; one whose tables break rules is complained of and left out.

        ``data/*`` may stand for them: files, and folders without a table, are skipped, unless their
        name tells a role.

        Raises:
            UserError: when none is given, or one is given twice.
        """
        folders = [Path(path) for path in paths]
        if not folders:
            raise UserError("no data directory", hint="Name all sets of an experiment: ser lint data/*")
        for number, folder in enumerate(folders):
            if folder.resolve() in [other.resolve() for other in folders[:number]]:
                raise UserError("the same data directory twice", value=folder)
        stems = [folder.resolve().name for folder in folders]
        subject = cls([], settings=settings or Settings())
        for folder, stem in zip(folders, stems, strict=True):
            if len(folders) > 1 and folder.exists() and role_of(stem) == "other" and not _has_tables(folder):
                subject.skipped.append(folder)
                continue
            data, complaints = examine(folder)
            subject.complaints += complaints
            if data is not None and not complaints:
                name = stem if stems.count(stem) == 1 else str(folder)
                subject.sets.append(LintedSet(name, role_of(stem), data))
        if len(subject.skipped) == len(folders):
            raise UserError("none of these is a data directory", value=", ".join(map(str, folders)))
        order = list(dict.fromkeys(ROLES.values()))
        subject.sets.sort(key=lambda item: order.index(item.role) if item.role in order else len(order))
        return subject

    @cached_property
    def parts(self) -> list[Part]:
        """The folds of a cross-validated set, and every other set as it is."""
        parts = []
        for item in self.sets:
            folds: dict[str, list[str]] = {}
            if item.role == "other":
                for utterance, fold in item.data.folds().items():
                    folds.setdefault(fold, []).append(utterance)
            if len(folds) > 1:
                prefix = f"{item.name}/" if len(self.sets) > 1 else ""
                parts += [Part(prefix + name, "fold", item.data, folds[name]) for name in sorted(folds)]
            else:
                parts.append(Part(item.name, item.role, item.data, item.data.utterances))
        return parts

    def apart(self) -> list[Part]:
        """The parts, when there are several.

        Raises:
            NotChecked: when there is only one.
        """
        if len(self.parts) < 2:
            raise NotChecked("there is one set, without folds")
        return self.parts

    def having(self, table: str) -> list[LintedSet]:
        """The sets that have a table by utterance.

        Raises:
            NotChecked: when none has.
        """
        sets = [item for item in self.sets if table in item.data.tables]
        if not sets:
            raise NotChecked(f"no set has {table}")
        return sets

    def numbers(self, data: DataDir, table: str) -> Mapping[str, float]:
        """A table by utterance as numbers, empty where a set has none; parsed once for all checks."""
        key = str(data.path), table
        if key not in self._numbers:
            self._numbers[key] = data.numbers(table) if table in data.tables else {}
        return self._numbers[key]

    def seconds(self, data: DataDir) -> Mapping[str, float]:
        """Utterance -> duration from utt2dur or segments; empty where there is neither."""
        if "utt2dur" in data.tables:
            return self.numbers(data, "utt2dur")
        return {} if data.segments is None else data.durations()

    def audio_table(self, item: LintedSet) -> str:
        """The table in which an utterance's audio stands."""
        return "wav.scp" if item.data.segments is None else "segments"

    def heard(self) -> Iterator[tuple[LintedSet, str, Sound]]:
        """Every utterance of every set whose audio could be read, and what was heard.

        Raises:
            NotChecked: when the audio was left alone.
        """
        if self.sounds is None:
            raise NotChecked("the audio was left alone")
        for item in self.sets:
            for utterance, sound in self.sounds[item.name].items():
                if sound.broken is None:
                    yield item, utterance, sound


def _has_tables(folder: Path) -> bool:
    """Whether a folder holds any file of a data directory."""
    return folder.is_dir() and any(is_data_file(entry.name) for entry in folder.iterdir() if entry.is_file())


def role_of(name: str) -> str:
    """The role that a set's name tells.

    >>> role_of("train"), role_of("dev-clean"), role_of("test2"), role_of("all"), role_of("trainer")
    ('train', 'validation', 'test', 'other', 'other')
    """
    stem = name.casefold()
    for beginning in ROLES:
        rest = stem.removeprefix(beginning)
        if rest != stem and not rest[:1].isalpha():
            return ROLES[beginning]
    return "other"
