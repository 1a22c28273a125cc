"""The files of a copy of MELD: which clip is where, and its sound.

The archive has the folders train_splits, dev_splits_complete and output_repeated_splits_test, at
depths that differ from copy to copy, files of macOS that begin with ``._``, and clips that no label
names (``final_videos_test...``). Copies that somebody has converted hold .wav or .flac instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus
from ser.corpora.ffmpeg import extract_audio
from ser.corpora.named_files import one_of_each
from ser.corpora.paths import find_files
from ser.data.audio_header import BrokenAudio, read_header
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

VIDEO = ".mp4"
KINDS = (".wav", ".flac", VIDEO)  # of one clip's files the first of these is taken
CLIP = re.compile(r"dia(\d+)_utt(\d+)")
FOLDER = re.compile(r"(?:^|_)(train|dev|valid|validation|test)(?:_|$)")
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


@dataclass
class Clips:
    """The files of a copy.

    Attributes:
        root: the folder of the copy.
        corpus: MELD, for its messages.
        tables: the csv files.
        clips: split -> original id, ``<split>_dia<D>_utt<U>`` -> its file.
        others: split -> files that bear no clip's name.
    """

    root: Path
    corpus: Corpus
    tables: list[Path]
    clips: dict[str, dict[str, Path]]
    others: dict[str, list[Path]]

    @classmethod
    def find(cls, root: Path, corpus: Corpus, made: Path) -> Clips:
        """Look through a folder and all below it.

        Args:
            root: the folder.
            corpus: MELD.
            made: where decoded videos go; should it lie in the folder, it is no part of the corpus.

        Raises:
            UserError: when two files that differ are one clip's, or links lead round in a circle.
        """
        files = cls(root, corpus, [], {split: {} for split in FOLDERS}, {split: [] for split in FOLDERS})
        originals: dict[Path, str] = {}
        own = root / os.path.relpath(made.resolve(), root.resolve())
        for path in find_files(root, (".csv", *KINDS)):
            if path.name.startswith("._") or path.is_relative_to(own):
                continue
            if path.suffix.lower() == ".csv":
                files.tables.append(path)
            elif split := _split_of(path, root):
                if name := CLIP.fullmatch(path.stem):
                    originals[path] = f"{split}_dia{int(name[1])}_utt{int(name[2])}"
                else:
                    files.others[split].append(path)
        single = one_of_each(originals, lambda path: originals[path] + path.suffix.lower())
        for path in sorted(single.values(), key=lambda path: KINDS.index(path.suffix.lower())):
            files.clips[originals[path].partition("_")[0]].setdefault(originals[path], path)
        return files

    def labels(self, split: str) -> Path:
        """A split's csv file, the one nearest to the root.

        Raises:
            UserError: when there is none, or there are several that differ.
        """
        name = f"{split}_sent_emo.csv"
        found = sorted((path for path in self.tables if path.name == name), key=lambda p: (len(p.parts), p))
        if not found:
            raise UserError(f"no {name} in it or below", file=self.root, hint=self.corpus.where)
        for other in found[1:]:
            if other.read_bytes() != found[0].read_bytes():
                hint = "Leave one of the two in the corpus's folder"
                raise UserError(f"differs from {other}", file=found[0], hint=hint)
        return found[0]

    def sound(
        self,
        split: str,
        listed: Collection[str],
        damaged: Collection[str],
        audio: Path,
        allow_partial: bool,
        nj: int,
    ) -> dict[str, Path]:
        """The audio of the utterances that the labels list; videos are decoded.

        Args:
            split: train, dev or test.
            listed: original ids.
            damaged: those among them that the archive itself lacks, which are no mistake of the copy.
            audio: the folder for decoded videos, with a folder for each split.
            allow_partial: accept that others are missing or broken.
            nj: videos decoded at once.

        Returns:
            original id -> audio file, without those that are missing or broken.

        Raises:
            UserError: for a partial copy.
        """
        self.corpus.report_unlisted(
            (*self.clips[split].values(), *self.others[split]),
            (self.clips[split][original] for original in listed if original in self.clips[split]),
            self.root,
        )
        lacking = {original for original in damaged if original in listed and not self._sounds(original)}
        expected = {
            original: self.clips[split].get(original, self._place(original))
            for original in listed
            if original not in lacking
        }
        there = self.corpus.check_files(expected, self.root, allow_partial)
        files = {original: expected[original] for original in there}
        made = {
            original: audio / split / f"{original.removeprefix(f'{split}_')}.wav"
            for original, path in files.items()
            if path.suffix.lower() == VIDEO
        }
        broken = self._decode({made[original]: files[original] for original in made}, nj)
        bad = [original for original in made if files[original] in broken]
        lacking |= {original for original in bad if original in damaged}
        if lacking:
            logger.warning("%s: the archive's known damage, left out: %s", split, ", ".join(sorted(lacking)))
        if others := [files[original] for original in bad if original not in damaged]:
            shown = first_few([f"{path.relative_to(self.root)} ({broken[path]})" for path in others])
            what = f"{len(others)} of {counted(len(made), 'clip')} cannot be decoded: {shown}"
            self.corpus.refuse_partial(what, self.root, allow_partial and len(others) < len(files))
        return {original: made.get(original, path) for original, path in files.items() if original not in bad}

    def _sounds(self, original: str) -> bool:
        """Whether a clip that is known to be damaged in the archive is there and may be good here."""
        path = self.clips[original.partition("_")[0]].get(original)
        if path is None or path.suffix.lower() == VIDEO:
            return path is not None
        try:
            read_header(path)
        except BrokenAudio:
            return False
        return True

    def _place(self, original: str) -> Path:
        """Where a clip that is missing would be: beside the others of its split."""
        split, _, name = original.partition("_")
        beside = next(iter(self.clips[split].values()), self.root / FOLDERS[split] / f"x{VIDEO}")
        return beside.with_name(f"{name}{beside.suffix}")

    def _decode(self, videos: Mapping[Path, Path], nj: int) -> dict[Path, str]:
        """Write the sound of videos; return those that are broken, and why."""
        outcome = extract_audio(videos, nj)
        if outcome.doubtful:
            _list("decoded with errors", outcome.doubtful)
            shown = first_few(_short(outcome.doubtful, self.root))
            logger.warning("%s decoded with errors, kept as they came out: %s",
                           counted(len(outcome.doubtful), "clip"), shown)  # fmt: skip
        _list("cannot be decoded", outcome.broken)
        return outcome.broken


def _split_of(path: Path, root: Path) -> str | None:
    """The split that the nearest folder is named for."""
    for folder in reversed(path.relative_to(root).parts[:-1]):
        if found := FOLDER.search(folder.lower()):
            return "dev" if found[1].startswith("valid") else found[1]
    return None


def _short(problems: Mapping[Path, str], root: Path) -> list[str]:
    """Clips with what is wrong with them."""
    return [f"{path.relative_to(root)} ({problem})" for path, problem in problems.items()]


def _list(what: str, problems: Mapping[Path, str]) -> None:
    """All clips of a kind, one a line, for the log."""
    for path, problem in problems.items():
        logger.info("%s: %s (%s)", what, path, problem)
