"""Corpora whose file names are their labels: one file for each name, and one set, ``all``."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus
from ser.corpora.durations import durations, table
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)


def one_of_each(
    found: Iterable[Path], name_of: Callable[[Path], str] = lambda path: path.stem
) -> dict[str, Path]:
    """One file for each name, the one that comes first.

    Archives of some corpora hold their whole tree twice. Copies with the same bytes are taken once,
    with a warning.

    Args:
        found: audio files, sorted.
        name_of: a file's name in the corpus.

    Raises:
        UserError: for two files of one name that differ.
    """
    files: dict[str, Path] = {}
    copies: list[str] = []
    for path in found:
        first = files.setdefault(name_of(path), path)
        if first is path:
            continue
        if not filecmp.cmp(first, path, shallow=False):
            raise UserError(
                "two files of one name that differ", file=path, value=first, hint="Remove the wrong one"
            )
        copies.append(str(path))
    if copies:
        logger.warning("%s there twice, taken once: %s", counted(len(copies), "file"), first_few(copies))
    return files


def assemble(
    corpus: Corpus,
    root: Path,
    wavs: Mapping[str, Path],
    tables: Mapping[str, Mapping[str, str]],
    expected: Mapping[str, int],
    partial: bool,
    nj: int = 1,
) -> DataDir:
    """The set ``all`` in memory.

    Args:
        corpus: its facts.
        root: its folder.
        wavs: utterance -> audio file.
        tables: those by utterance, ``utt2spk`` and ``utt2emo`` among them.
        expected: class -> number in the whole release, in the order of the classes.
        partial: the copy lacks some.
        nj: processes that read the audio's headers.

    Raises:
        UserError: for broken audio.
    """
    return DataDir(
        path=root,
        labels=LabelSchema(
            corpus=corpus.name,
            release=corpus.release,
            licence=corpus.licence,
            classes=list(expected),
            expected=dict(expected),
            partial=partial,
        ),
        tables={name: dict(rows) for name, rows in tables.items()} | {"utt2dur": table(durations(wavs, nj))},
        recordings={"wav.scp": {utterance: str(wav.resolve()) for utterance, wav in wavs.items()}},
    )


def write_all(data: DataDir, out: str, name: str = "all") -> None:
    """Write ``<out>/<name>`` and say what it holds.

    Raises:
        UserError: when its tables do not agree.
    """
    data.write(Path(out) / name)
    logger.info(
        "%s: %s, %s, %d classes, %s",
        data.path,
        counted(len(data.utterances), "utterance"),
        counted(len(data.spk2utt), "speaker"),
        len(data.labels.classes),
        log.clock(sum(data.durations().values())),
    )
