"""What every corpus says about itself, and the registry behind ``ser prepare <corpus>``.

A corpus is a module with its facts, ``CORPUS``, and two functions: ``add_arguments(parser)`` declares
its options and ``prepare(args)`` writes its data directories under ``args.out``.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ser.core import log
from ser.core.environment import available_cores
from ser.core.errors import UserError
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

# Name -> module, imported only when asked for.
CORPORA = {
    "crema_d": "ser.corpora.crema_d",
    "csv": "ser.corpora.own_csv",
    "emodb": "ser.corpora.emodb",
    "iemocap": "ser.corpora.iemocap",
    "meld": "ser.corpora.meld",
    "mini": "ser.corpora.mini",
    "msp_podcast": "ser.corpora.msp_podcast",
    "ravdess": "ser.corpora.ravdess",
    "savee": "ser.corpora.savee",
    "tess": "ser.corpora.tess",
}


@dataclass(frozen=True)
class Corpus:
    """The facts of a corpus.

    Attributes:
        name: short name, as in labels.yaml.
        title: full name.
        release: the release that the reader was written for, or the newest of them.
        licence: SPDX where there is one.
        links: where it is to be had.
        speech: what kind of speech it is, and its language: ``acted German``.
        expected: utterances of each class in the full release.
        speaker_of: the speaker, as an original id tells it, or None where that id tells nothing:
            ``ser lint`` compares utt2spk with it.
    """

    name: str
    title: str
    release: str
    licence: str
    links: tuple[str, ...]
    speech: str = "not known"
    expected: Mapping[str, int] = field(default_factory=dict)
    speaker_of: Callable[[str], str | None] | None = None

    @property
    def where(self) -> str:
        """A hint that tells where to get it."""
        return f"{self.title} ({self.licence}) is to be had at {' or '.join(self.links)}"

    def find_root(self, db_root: str | None) -> Path:
        """The folder that the user has given.

        Raises:
            UserError: when none was given, or it is none; the message says where the corpus is.
        """
        if not db_root:
            raise UserError(f"--db-root, the folder of {self.title}, is missing", hint=self.where)
        if not Path(db_root).is_dir():
            raise UserError("--db-root is no folder", value=db_root, hint=self.where)
        return Path(db_root)

    def check_counts(
        self,
        classes: Mapping[str, str],
        root: Path,
        allow_partial: bool,
        expected: Mapping[str, int] | None = None,
    ) -> bool:
        """Compare the utterances found with the full release.

        Args:
            classes: utterance -> class.
            root: the folder they were found in.
            allow_partial: warn of missing utterances instead of refusing.
            expected: class -> number, when the release differs from ``self.expected``.

        Returns:
            whether the copy lacks some.

        Raises:
            UserError: for a partial copy, with what is missing, or for more than the release has.
        """
        expected = self.expected if expected is None else expected
        found = Counter(classes.values())
        differences = [
            f"{found[name]} of {number} {name}" for name, number in expected.items() if found[name] != number
        ]
        if not differences:
            return False
        what = f"{len(classes)} of {sum(expected.values())} utterances: {', '.join(differences)}"
        if any(found[name] > number for name, number in expected.items()):
            raise UserError(f"more than the release has, {what}", file=root, hint=self.where)
        self.refuse_partial(what, root, allow_partial)
        return True

    def check_files(
        self, listed: Mapping[str, Path], root: Path, allow_partial: bool, lister: str = "the labels list"
    ) -> list[str]:
        """Which of the audio files that the labels list are there.

        Args:
            listed: utterance -> its audio.
            root: the corpus's folder, for the message.
            allow_partial: warn of missing files instead of refusing; their utterances are left out.
            lister: what names the files, for the message.

        Returns:
            the utterances whose audio is there, in the order of ``listed``.

        Raises:
            UserError: when files are missing, with the first of them (all are in the log), or none is there.
        """
        present = _present(listed.values())
        missing = [path for path in listed.values() if path not in present]
        if missing:
            for path in missing:
                logger.info("missing: %s", path)
            shown = first_few([_below(path, root) for path in missing])
            if len(missing) == len(listed):
                what = f"no audio: of {counted(len(listed), 'file')} that {lister} none is there: {shown}"
                raise UserError(what, file=root, hint=f"Is it the right folder? {self.where}")
            what = f"{len(missing)} of {counted(len(listed), 'file')} that {lister} are missing: {shown}"
            self.refuse_partial(what, root, allow_partial)
        return [utterance for utterance, path in listed.items() if path in present]

    def refuse_partial(self, what: str, root: Path, allow_partial: bool) -> None:
        """Say what a partial copy lacks: as a warning where that is allowed.

        Raises:
            UserError: where it is not.
        """
        if not allow_partial:
            hint = f"Complete the copy, or pass --allow-partial. {self.where}"
            raise UserError(f"partial copy, {what}", file=root, hint=hint)
        logger.warning("partial copy: %s", what)

    def report_unlisted(self, found: Iterable[Path], listed: Iterable[Path], root: Path) -> int:
        """Warn of audio that no label file lists, which is left out; return how many.

        Args:
            found: the audio files of the corpus's folder.
            listed: those that the labels name.
            root: the corpus's folder, for the message.
        """
        known = set(listed)
        unlisted = [_below(path, root) for path in found if path not in known]
        if unlisted:
            shown = first_few(unlisted)
            logger.warning("%s in no label file, left out: %s", counted(len(unlisted), "clip"), shown)
        return len(unlisted)


def corpus_arguments(parser: ArgumentParser, out: str = "the data directory 'all' is") -> None:
    """Declare the options that every corpus on disk has.

    Args:
        parser: of ``ser prepare <corpus>``.
        out: what is written under ``--out``, for the help.
    """
    parser.add_argument("--db-root", type=str, default=None, help="folder of the corpus")
    parser.add_argument("--out", type=str, default="data", help=f"folder in which {out} written")
    parser.add_argument("--allow-partial", action="store_true", help="take a copy that lacks utterances")
    parser.add_argument(
        "--nj", type=int, default=available_cores(), help="processes that read, or convert, the audio"
    )


def _present(paths: Iterable[Path]) -> set[Path]:
    """The paths that are files; folders are listed once, since a call for each file is slow on a network."""
    wanted = set(paths)
    there: set[Path] = set()
    for folder in {path.parent for path in wanted}:
        if folder.is_dir():
            with os.scandir(folder) as entries:
                there.update(folder / entry.name for entry in entries if _is_file(entry))
    return wanted & there


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file; a link to itself, which cannot be looked at, is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _below(path: Path, root: Path) -> str:
    """A path as seen from the corpus's folder."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
