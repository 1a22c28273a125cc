"""Audio files and folders to a table of labels: what ``ser predict exp/<tag> a.wav folder/`` does."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ser.core.errors import UserError
from ser.core.log import Progress, get_logger
from ser.corpora.paths import AUDIO, find_files
from ser.data.audio_header import BrokenAudio
from ser.data.windows import Window, windows_of
from ser.data.wording import counted
from ser.downstream.recogniser import WINDOW_SECONDS, Pooled, Recogniser, Recognition, average
from ser.downstream.standardise import by_speaker
from ser.features.memory import MemoryRelease

logger = get_logger(__name__)

# Broken files that the error names; the log names all.
NAMED = 5


@dataclass(frozen=True)
class TableOptions:
    """How audio becomes rows.

    Args:
        window: seconds of a window; a file no longer than that is one row.
        hop: seconds from one window's beginning to the next one's; ``window`` when None.
        whole_file: one row a file, the mean over its windows, weighted by duration.
        one_speaker: all audio is one speaker's, by whose statistics features are standardised.
        skip_broken: leave out files that cannot be used, instead of stopping.
    """

    window: float = WINDOW_SECONDS
    hop: float | None = None
    whole_file: bool = False
    one_speaker: bool = False
    skip_broken: bool = False


def find_audio(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Files in the order given, each once; a folder stands for all audio below it, sorted.

    Raises:
        UserError: for a path that is not there, a folder without audio, and when no path is given.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            below = [file for file in find_files(path, AUDIO) if not file.name.startswith(".")]
            if not below:
                raise UserError(
                    "no audio in this folder", file=path, hint=f"Searched for: {', '.join(AUDIO)}"
                )
        elif path.exists():
            below = [path]
        else:
            raise UserError("no such file or folder", file=path)
        for file in below:
            found.setdefault(os.path.realpath(file), file)
    if not found:
        raise UserError("no audio given", hint="Name audio files or folders")
    return list(found.values())


def predict_audio(recogniser: Recogniser, files: Sequence[Path], options: TableOptions) -> str:
    """Labels of audio files as CSV: ``file,start,end,label,p_<class>...,<attribute>...``.

    The order of files decides the order of rows and nothing else.

    Args:
        recogniser: the models.
        files: audio files.
        options: how.

    Raises:
        UserError: naming the files that cannot be used, unless ``skip_broken``; when none is left;
            when the models want to know the speaker and are not told, or the reverse.
    """
    check_speaker(recogniser, options.one_speaker)
    hop = options.window if options.hop is None else options.hop
    broken: dict[Path, str] = {}
    windows: list[Window] = []
    for file in files:
        try:
            windows += windows_of(file, options.window, hop)
        except BrokenAudio as error:
            broken[file] = str(error)
    if not options.skip_broken:
        stop_for(broken, len(files))
    progress, release_memory = Progress(sum(w.seconds for w in windows), "predict"), MemoryRelease()

    def heard() -> Iterator[Pooled]:
        for pooled in recogniser.pooled(windows):
            progress.advance(sum(window.seconds for window in (*pooled.windows, *pooled.broken)))
            broken.update({window.path: why for window, why in pooled.broken.items()})
            release_memory()
            yield pooled

    groups = as_one_speaker(heard()) if options.one_speaker else heard()
    rows: dict[Path, list[Recognition]] = {file: [] for file in files}
    for group in groups:
        found = recogniser.recognitions(group.windows, group.features)
        for window, recognition in zip(group.windows, found, strict=True):
            rows[window.path].append(recognition)
    # A file that is broken half way through is broken: rows for a part of it would look like all of it.
    rows = {file: parts for file, parts in rows.items() if parts and file not in broken}
    if options.skip_broken:
        for why in broken.values():
            logger.warning("left out: %s", why)
        if not rows:
            raise UserError("no audio is left: all files are broken")
    else:
        stop_for(broken, len(files))
    logger.info("%s, %s", counted(len(rows), "file"), recogniser.ensemble.describe())
    if options.whole_file:
        rows = {file: [average(parts)] for file, parts in rows.items()}
    return as_csv(rows, recogniser.ensemble.classes, recogniser.ensemble.attributes)


def check_speaker(recogniser: Recogniser, one_speaker: bool) -> None:
    """Refuse models that standardise by speaker without a speaker, and a speaker without such models.

    Raises:
        UserError: with the option to change.
    """
    by_speaker_only = recogniser.standardise == "speaker"
    if by_speaker_only and not one_speaker:
        raise UserError(
            "trained with per-speaker standardisation, which wants a speaker's other audio",
            hint="If all audio given is one speaker's, say so with --one-speaker",
        )
    if one_speaker and not by_speaker_only:
        raise UserError(
            "--one-speaker is for models trained with model.standardise: speaker, and this one is not",
            hint="Leave it out",
        )


def as_one_speaker(groups: Iterable[Pooled]) -> Iterator[Pooled]:
    """All windows, their features standardised by the mean and deviation over all of them.

    Raises:
        UserError: for fewer than two windows, which have no deviation.
    """
    kept = [group for group in groups if group.windows]
    windows = [window for group in kept for window in group.windows]
    if len(windows) < 2:
        raise UserError("one window of a speaker has no deviation to standardise by", hint="Give more audio")
    features = torch.cat([group.features for group in kept])
    yield Pooled(windows, by_speaker(features, ["speaker"] * len(windows)))


def stop_for(broken: dict[Path, str], total: int) -> None:
    """Raise when there is broken audio.

    Raises:
        UserError: with number and first few; the log names all.
    """
    if not broken:
        return
    named = "; ".join(why.rstrip(".") for why in list(broken.values())[:NAMED])
    more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    if more:
        for why in broken.values():
            logger.warning("%s", why)
    raise UserError(
        f"{len(broken)} of {counted(total, 'file')} cannot be used: {named}{more}",
        hint="Mend or remove them, or leave them out with --skip-broken",
    )


def as_csv(rows: dict[Path, list[Recognition]], classes: Sequence[str], attributes: Sequence[str]) -> str:
    """A header and a line a recognition; times in seconds, attributes in the label's units."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    label = ["label"] if classes else []
    writer.writerow(["file", "start", "end", *label, *(f"p_{name}" for name in classes), *attributes])
    for file, parts in rows.items():
        # Names of files are bytes, and need not be UTF-8.
        name = os.fsencode(file).decode("utf-8", "replace")
        for part in parts:
            writer.writerow(
                [
                    name, f"{part.start:.3f}", f"{part.end:.3f}", *([part.label] if classes else []),
                    *(f"{value:.6f}" for value in part.probabilities.values()),
                    *(f"{value:.6g}" for value in part.attributes.values()),
                ]
            )  # fmt: skip
    return stream.getvalue()
