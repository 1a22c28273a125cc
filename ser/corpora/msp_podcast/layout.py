"""Where a release keeps its files: names and spellings changed over the years."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError

# Folders are found whatever their case. The first spelling of a file that is there is taken.
LABELS = ("labels", "label")
AUDIO = ("audios", "audio")
CONSENSUS = ("labels_consensus", "labels_concensus")
PREVIOUS = "Previous_releases_information"


@dataclass(frozen=True)
class Layout:
    """The files of a release; None is not there.

    Attributes:
        root: the folder of the corpus.
        audio: folders of audio, in the order in which they are searched.
        consensus_csv: labels_consensus.csv; up to release 1.9 it is spelt labels_concensus.csv.
        consensus_json: the same as JSON.
        detailed_csv: the workers' votes.
        detailed_json: the same as JSON.
        labels_txt: consensus and votes as raw text.
        partitions: Partitions.txt or Partition.txt.
        speakers: Speaker_ids.txt.
        transcripts: the folder Transcripts.
        older: the labels are those of an older release than the audio.
    """

    root: Path
    audio: tuple[Path, ...]
    consensus_csv: Path | None
    consensus_json: Path | None
    detailed_csv: Path | None
    detailed_json: Path | None
    labels_txt: Path | None
    partitions: Path | None
    speakers: Path | None
    transcripts: Path | None
    older: bool = False

    @property
    def labels(self) -> Path:
        """The file that counts: the others only must not contradict it."""
        path = self.consensus_csv or self.consensus_json or self.labels_txt
        assert path is not None, "find_layout has looked"
        return path


def find_layout(db_root: Path, release: str | None, where: str) -> Layout:
    """Find a release's files.

    Args:
        db_root: the folder that holds Audios, or the one above it.
        release: an older release is read out of the folder Previous_releases_information that comes
            with releases 1.12 and later, where it is there: its labels, and the audio that was
            removed since.
        where: a hint that tells where the corpus is to be had.

    Raises:
        UserError: without a folder of audio, or without a file of labels.
    """
    root = next((folder for folder in (db_root, *_folders(db_root)) if _child(folder, AUDIO)), None)
    audio = _child(root, AUDIO) if root else None
    if root is None or audio is None:
        raise UserError("no folder Audios", file=db_root, hint=where)
    information = _child(root, (PREVIOUS.lower(),))
    old = information / "previous_releases_info" / f"v{release}" if information and release else None
    home = old if old is not None and old.is_dir() else root
    folders = [audio]
    if home is old and information:
        removed = information / "files_removed_from_prev_versions" / f"v{release}_removed_files"
        folders += [removed] if removed.is_dir() else []
    labels = _child(home, LABELS) or home
    consensus = [_child(labels, [f"{name}{end}" for name in CONSENSUS]) for end in (".csv", ".json")]
    layout = Layout(
        root=root,
        audio=tuple(folders),
        consensus_csv=consensus[0],
        consensus_json=consensus[1],
        detailed_csv=_child(labels, ("labels_detailed.csv",)),
        detailed_json=_child(labels, ("labels_detailed.json",)),
        labels_txt=_child(labels, ("labels.txt",)),
        partitions=_child(home, ("partitions.txt", "partition.txt")),
        speakers=_child(home, ("speaker_ids.txt",)),
        transcripts=_child(root, ("transcripts",)),
        older=home is not root,
    )
    if not (layout.consensus_csv or layout.consensus_json or layout.labels_txt):
        what = "no labels_consensus.csv, labels_consensus.json or labels.txt"
        raise UserError(what, file=labels, hint=where)
    return layout


def _child(folder: Path, names: tuple[str, ...] | list[str]) -> Path | None:
    """The entry that has the first of these names (lower case) that is there."""
    entries = {entry.name.lower(): entry for entry in sorted(folder.iterdir())}
    return next((entries[name] for name in names if name in entries), None)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())
