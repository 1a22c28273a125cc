"""A copy of a release: what its label files say together, and which audio is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.corpora.msp_podcast import protocols, releases
from ser.corpora.msp_podcast.about import CORPUS
from ser.corpora.msp_podcast.labels import Label, merge, read_consensus, read_partitions, read_speakers
from ser.corpora.msp_podcast.layout import Layout, find_layout
from ser.corpora.msp_podcast.tables import Release
from ser.corpora.msp_podcast.votes import Votes, read_labels_txt, read_votes
from ser.corpora.paths import find_files
from ser.data.wording import counted, first_few


@dataclass
class Copy:
    """What the label files of a copy say, and the audio that is there.

    Attributes:
        layout: its files.
        labels: file name -> label.
        votes: the workers' votes, if there are any.
        found: file name -> path, of all audio.
        counts: set -> files that the labels list.
        release: which it is.
        partial: whether the labels list less than the release has.
    """

    layout: Layout
    labels: dict[str, Label]
    votes: Votes | None
    found: dict[str, Path]
    counts: dict[str, int]
    release: str
    partial: bool

    def release_of(
        self,
        named: str,
        labels: Mapping[str, Label],
        speakers: Mapping[str, str],
        audio: Mapping[str, Path],
        seconds: Mapping[str, float],
        letters: list[str],
        partial: bool,
    ) -> Release:
        """What data directories are made of; see ``Release``."""
        transcripts = transcripts_of(self.layout)
        return Release(
            self.layout.root, CORPUS.licence, named, labels, speakers, audio, seconds, letters, self.votes,
            transcripts, partial,
        )  # fmt: skip


def read_copy(db_root: Path, release: str | None, allow_partial: bool) -> Copy:
    """Read a copy's labels, and find its audio.

    Raises:
        UserError: as ``read``.
    """
    layout = find_layout(db_root, release, CORPUS.where)
    labels, votes = read_labels(layout, allow_partial)
    found = find_audio(layout, labels)
    counts = {name: len(files) for name, files in protocols.official_sets(labels).items()}
    release = releases.which_release(layout.root, counts, release)
    partial = check_counts(release, counts, layout.root, allow_partial)
    return Copy(layout, labels, votes, found, counts, release, partial)


def read_labels(layout: Layout, allow_partial: bool = False) -> tuple[dict[str, Label], Votes | None]:
    """What all files of a release say together, and the workers' votes.

    Raises:
        UserError: for a malformed file, files that contradict each other, audio without a set.
    """
    votes = read_votes(layout.detailed_csv, layout.detailed_json)
    raw = None
    if layout.labels_txt:
        raw, raw_votes = read_labels_txt(layout.labels_txt, count=votes is None)
        votes = votes or raw_votes
    first = layout.labels
    labels = raw if first == layout.labels_txt and raw else read_consensus(first)
    if raw and raw is not labels:
        merge(labels, raw, first, layout.labels_txt)  # type: ignore[arg-type]
    if layout.consensus_json and first != layout.consensus_json:
        merge(labels, read_consensus(layout.consensus_json), first, layout.consensus_json)
    if layout.speakers:
        merge(labels, read_speakers(layout.speakers), first, layout.speakers)
    if layout.partitions:
        partitions = read_partitions(layout.partitions)
        merge(labels, partitions, first, layout.partitions)
        bare = [name for name, label in partitions.items() if name not in labels and label.set != "test3"]
        if bare:
            what = (
                f"{counted(len(bare), 'file')} of {layout.partitions.name} without labels: {first_few(bare)}"
            )
            CORPUS.refuse_partial(what, layout.root, allow_partial)
        labels |= {
            name: label for name, label in partitions.items() if label.set == "test3" and name not in labels
        }
    if homeless := [name for name, label in labels.items() if not label.set]:
        where = layout.partitions.name if layout.partitions else "Partitions.txt, which is not there"
        raise UserError(f"in no set: {first_few(homeless)}", file=first, line=labels[homeless[0]].line,
                        hint=f"The set stands in the column Split_Set or in {where}")  # fmt: skip
    return labels, votes


def check_counts(release: str, counts: Mapping[str, int], root: Path, allow_partial: bool) -> bool:
    """Compare what the label files list with the whole release; return whether some is lacking.

    Raises:
        UserError: for fewer files, unless that is allowed, or more.
    """
    expected = releases.RELEASES.get(release, {})
    if not (wrong := releases.differences(expected, counts)):
        return False
    what = f"release {release} by its labels: {', '.join(wrong)}"
    if releases.too_many(expected, counts):
        hint = "Name the release that it is with --release"
        raise UserError(f"more than the release has, {what}", file=root, hint=hint)
    CORPUS.refuse_partial(what, root, allow_partial)
    return True


def find_audio(layout: Layout, labels: dict[str, Label]) -> dict[str, Path]:
    """File name -> path of all audio that is there.

    Audio of Test3 that no file lists is known by its name, and gets a label without content.
    """
    folders = [folder.resolve() for folder in reversed(layout.audio)]
    found = {path.name: path for folder in folders for path in find_files(folder, (".wav",))}
    if not layout.older and not any(label.set == "test3" for label in labels.values()):
        test3 = [name for name in found if name.startswith("MSP-PODCAST_test3_") and name not in labels]
        labels |= {name: Label(set="test3") for name in test3}
    return found


def check_audio(
    layout: Layout, found: Mapping[str, Path], labels: Mapping[str, Label], allow_partial: bool
) -> dict[str, Path]:
    """File name -> path of the audio that the labels list, in their order.

    Raises:
        UserError: when files are missing and that is not allowed.
    """
    root, home = layout.root.resolve(), layout.audio[0].resolve()
    listed = {name: found.get(name, home / name) for name in labels}
    present = CORPUS.check_files(listed, root, allow_partial)
    CORPUS.report_unlisted(found.values(), listed.values(), root)
    return {name: listed[name] for name in present}


def transcripts_of(layout: Layout) -> dict[str, Path]:
    """File name of the audio -> its transcript."""
    if layout.transcripts is None:
        return {}
    return {f"{path.stem}.wav": path for path in find_files(layout.transcripts, (".txt",))}
