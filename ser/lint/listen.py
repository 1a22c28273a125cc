"""Listening to the audio of all sets, in processes; what was heard before is not heard again."""

from __future__ import annotations

from collections.abc import Sequence

from ser.core.log import Progress
from ser.core.processes import in_processes
from ser.data.datadir import DataDir
from ser.lint.notes import Notes, Piece
from ser.lint.sound import Sound, listen
from ser.lint.subject import LintedSet

CHUNK = 32  # files that a process takes at once
FEW = 64  # files for which no process is started

Heard = list[tuple[Piece, list[Sound]]]


def hear(sets: Sequence[LintedSet], notes: Notes, jobs: int) -> dict[str, dict[str, Sound]]:
    """Measure the audio of all sets. Commands in wav.scp are not run: their utterances are left out.

    Args:
        sets: data directories.
        notes: what is known, and where results go as they come.
        jobs: number of processes.

    Returns:
        for each set's name, utterance -> what was heard.

    Raises:
        UserError: when a process is killed.
    """
    wanted = {item.name: pieces_of(item.data) for item in sets}
    pieces = list(dict.fromkeys(piece for table in wanted.values() for piece in table))
    heard = {piece: sounds for piece in pieces if (sounds := notes.of(piece)) is not None}
    left = [piece for piece in pieces if piece not in heard]
    state = Progress(len(pieces), "listening")
    state.skip(len(heard))
    chunks = [left[start : start + CHUNK] for start in range(0, len(left), CHUNK)]
    for results in in_processes(_listen_to, chunks, jobs if len(left) > FEW else 1, "listens to audio"):
        notes.add(results)
        heard.update(results)
        state.advance(len(results))
    notes.tidy(pieces)
    return {
        name: {
            utterance: sound
            for piece, utterances in table.items()
            for utterance, sound in zip(utterances, _for_each(heard[piece], piece, utterances), strict=True)
        }
        for name, table in wanted.items()
    }


def pieces_of(data: DataDir) -> dict[Piece, list[str]]:
    """Each audio file of a directory and what is cut from it -> its utterances, in the order of the cuts."""
    files = {name: entry for name, entry in data.wav_scp.items() if not entry.endswith("|")}
    pieces: dict[Piece, list[str]] = {}
    if data.segments is None:
        for utterance, file in files.items():
            pieces.setdefault(Piece(file, None), []).append(utterance)
        return pieces
    by_recording: dict[str, list[str]] = {}
    for utterance, segment in data.segments.items():
        if segment.recording in files:
            by_recording.setdefault(segment.recording, []).append(utterance)
    for recording, utterances in by_recording.items():
        cuts = tuple((data.segments[name].start, data.segments[name].end) for name in utterances)
        pieces[Piece(files[recording], cuts)] = utterances
    return pieces


def _for_each(sounds: list[Sound], piece: Piece, utterances: Sequence[str]) -> list[Sound]:
    """The sound of each utterance; a whole file may stand under several."""
    return sounds * len(utterances) if piece.cuts is None else sounds


def _listen_to(pieces: Sequence[Piece]) -> Heard:
    """Listen to some files."""
    return [(piece, listen(piece.file, piece.cuts)) for piece in pieces]
