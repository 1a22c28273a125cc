"""What a check says: how bad it is, where, and who is concerned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ser.data.datadir import DataDir, group_of
from ser.data.table import line_of

SHOWN = 5  # offenders that a finding keeps; it counts all


class Level(Enum):
    """How bad a finding is: an error stops a recipe."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class NotChecked(Exception):
    """A check has nothing to look at; the message tells why."""


@dataclass(frozen=True)
class Offender:
    """One of those that a finding is about, and the line where it stands."""

    text: str
    file: Path | None = None
    line: int | None = None

    @property
    def where(self) -> str:
        """``data/train/utt2spk:12``, or nothing."""
        if self.file is None:
            return ""
        return f"{self.file}:{self.line}" if self.line is not None else str(self.file)


@dataclass(frozen=True)
class Finding:
    """One complaint of a check.

    Attributes:
        level: how bad it is.
        what: one sentence without a full stop, with the numbers.
        offenders: the first few.
        count: how many offenders there are; those not in ``offenders`` are counted only.
        hint: what to do about it.
        allowed: it was an error, and the user has allowed it.
    """

    level: Level
    what: str
    offenders: tuple[Offender, ...] = ()
    count: int = 0
    hint: str | None = None
    allowed: bool = False

    @property
    def more(self) -> int:
        """Offenders that are not shown."""
        return max(0, self.count - len(self.offenders))


def found(
    level: Level,
    what: str,
    data: DataDir,
    table: str,
    keys: Sequence[str],
    describe: Callable[[str], str] = str,
    hint: str | None = None,
) -> Finding:
    """A finding about entries of one table.

    Args:
        level: how bad.
        what: one sentence.
        data: the directory of the table.
        table: its file name.
        keys: all offending keys; the first few are shown.
        describe: a key -> what is shown of it.
        hint: what to do.
    """
    offenders = tuple(place(data, table, key, describe(key)) for key in keys[:SHOWN])
    return Finding(level, what, offenders, len(keys), hint)


def place(data: DataDir, table: str, key: str, text: str) -> Offender:
    """An entry of a table, with its line."""
    keys = data.segments or {} if table == "segments" else group_of(data, table).get(table, {})
    return Offender(text, data.path / table, line_of(keys, key))


def listed(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def share(number: int, total: int) -> str:
    """``2,750 of 5,531 (49.7 %)``."""
    return f"{number:,} of {total:,} ({100 * number / max(total, 1):.1f} %)"
