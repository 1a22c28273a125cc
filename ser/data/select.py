"""Parts of a data directory: subsets by list, speaker, number or class, and splits for jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.splits import draw, inner_folds
from ser.data.table import read_rows
from ser.data.whole_dir import whole_dir
from ser.data.wording import counted


def read_list(path: str | os.PathLike[str]) -> list[str]:
    """The first word of every line, in any order; what follows is ignored.

    Raises:
        UserError: when the file is missing, empty or not UTF-8.
    """
    names = [key for _, key, _ in read_rows(path)]
    if not names:
        raise UserError("empty list", file=path)
    return names


def of_speakers(data: DataDir, speakers: Iterable[str]) -> DataDir:
    """The utterances of some speakers.

    Raises:
        UserError: for a speaker that the directory does not have.
    """
    wanted = set(speakers)
    if missing := sorted(wanted - set(data.utt2spk.values())):
        raise UserError(
            f"{counted(len(missing), 'speaker')} not in it, the first", file=data.path, value=missing[0]
        )
    return data.subset(utterance for utterance, speaker in data.utt2spk.items() if speaker in wanted)


def first_utterances(data: DataDir, n: int) -> DataDir:
    """The first ``n`` utterances in C order.

    Raises:
        UserError: when there are fewer, or ``n`` is below 1.
    """
    _check_number(data, n, len(data.utt2spk))
    return data.subset(data.utterances[:n])


def some_of_each_class(data: DataDir, n: int, seed: int = 0) -> DataDir:
    """``n`` utterances of each class, drawn by the seed; all of a class that has fewer.

    Raises:
        UserError: when the directory has no classes, or ``n`` is below 1.
    """
    members: dict[str, list[str]] = {}
    for utterance, label in data.classes_of().items():
        members.setdefault(label, []).append(utterance)
    if not members:
        raise UserError("it has no utt2emo to choose classes from", file=data.path)
    _check_number(data, n, n)
    drawn = (sorted(group, key=lambda name: draw(seed, name))[:n] for group in members.values())
    return data.subset(utterance for group in drawn for utterance in group)


def choose(
    data: DataDir,
    utt_list: str | None = None,
    spk_list: str | None = None,
    speakers: str | None = None,
    first: int | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> DataDir:
    """One of the subsets above, by the options of ``ser prepare subset``.

    Raises:
        UserError: unless exactly one way of choosing is given, or as that way does.
    """
    ways: dict[str, tuple[object, Callable[[], DataDir]]] = {
        "--utt-list": (utt_list, lambda: data.subset(read_list(utt_list))),
        "--spk-list": (spk_list, lambda: of_speakers(data, read_list(spk_list))),
        "--speakers": (speakers, lambda: of_speakers(data, speakers.split(","))),
        "--first": (first, lambda: first_utterances(data, first)),
        "--per-class": (per_class, lambda: some_of_each_class(data, per_class, seed)),
    }
    given = [way for value, way in ways.values() if value is not None]
    if len(given) != 1:
        raise UserError(f"give exactly one of {', '.join(ways)}")
    return given[0]()


def split(data: DataDir, n: int, by_speaker: bool = False) -> list[DataDir]:
    """``n`` parts for ``n`` jobs.

    Args:
        data: what is split.
        n: the number of parts.
        by_speaker: keep each speaker in one part, parts of about the same size; otherwise parts
            are consecutive utterances, and differ by one utterance at most.

    Raises:
        UserError: when there are fewer utterances (or speakers) than parts.
    """
    if by_speaker and n > 1:
        parts = inner_folds(data.utt2spk, n, seed=0)
        return [of_speakers(data, part) for part in parts]
    utterances = data.utterances
    _check_number(data, n, len(utterances))
    bounds = [len(utterances) * part // n for part in range(n + 1)]
    return [data.subset(utterances[bounds[part] : bounds[part + 1]]) for part in range(n)]


def write_split(data: DataDir, n: int, by_speaker: bool = False) -> Path:
    """Write the parts as ``sdata/<n>/1`` to ``sdata/<n>/<n>`` inside the data directory.

    Returns:
        ``<data>/sdata/<n>``, or ``<n>spk`` when split by speaker; all of it is there or nothing.

    Raises:
        UserError: as ``split``.
    """
    folder = data.path / "sdata" / (f"{n}spk" if by_speaker else str(n))
    parts = split(data, n, by_speaker)
    with whole_dir(folder, owns=str.isdecimal) as temporary:
        for number, part in enumerate(parts, 1):
            part.write(temporary / str(number))
    return folder


def _check_number(data: DataDir, n: int, most: int) -> None:
    """Raise unless 1 <= n <= most."""
    if not 1 <= n <= most:
        raise UserError(f"asks for {n} of {most} utterances" if n > 0 else "asks for none", file=data.path)
