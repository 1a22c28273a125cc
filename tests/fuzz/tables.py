"""Readers of data directories' files, with valid contents and what a right result is."""

import math
from pathlib import Path

from ser.data.arks import read_scp
from ser.data.datadir import DataDir, Segment, read_segments
from ser.data.labels import LabelSchema
from ser.data.speakers import known
from ser.data.table import read_rows, read_table, write_table
from tests.fuzz.harness import Parser

UTT2SPK = b"a-1 a\na-2 a\nb-1 b\n"
LABELS = b"""corpus: toy
release: '1.3'
licence: CC0-1.0
classes: [anger, joy]
attributes:
  arousal: {min: 1, max: 5}
derived: [arousal]
complete: [emo]
expected: {utterances: 3, anger: 2}
partial: true
"""
DIRECTORY = {
    "utt2spk": UTT2SPK,
    "spk2utt": b"a a-1 a-2\nb b-1\n",
    "wav.scp": b"r1 audio/r1.wav\nr2 audio/r2.flac\n",
    "segments": b"a-1 r1 0 1.5\na-2 r1 1.5 2.25\nb-1 r2 0.125 3\n",
    "spk2gender": b"a f\nb m\n",
    "spk2age": b"a 31\nb 40.5\n",
    "utt2emo": b"a-1 anger\na-2 joy\nb-1 anger\n",
    "utt2emodist": b"a-1 1 0\na-2 .25 .75\nb-1 .5 .5\n",
    "utt2arousal": b"a-1 1.5\na-2 5\nb-1 2e0\n",
    "utt2dur": b"a-1 1.5\na-2 0.75\nb-1 2.875\n",
    "utt2dialogue": b"a-1 d\na-2 d\nb-1 d\n",
    "utt2turn": b"a-1 1\na-2 2\nb-1 3\n",
    "utt2fold": b"a-1 1\na-2 1\nb-1 2\n",
    "text": b"a-1 yes no\na-2 what\nb-1 <unk>\n",
    "labels.yaml": LABELS,
}


def check_table(path: Path, table: dict[str, str]) -> None:
    """Written again it is the file, blanks aside; keys rise."""
    assert list(table) == sorted(table) and table
    rewritten = path.with_name("again")
    write_table(rewritten, table)
    assert [line.split() for line in rewritten.read_bytes().splitlines()] == [
        line.split() for line in path.read_bytes().split(b"\n")[:-1]
    ]


def check_scp(path: Path, table: dict[str, str]) -> None:
    """No entry is a command."""
    check_table(path, table)
    assert not [entry for entry in table.values() if "|" in (entry[0], entry[-1])]


def check_segments(path: Path, segments: dict[str, Segment]) -> None:
    """Times are in order."""
    assert all(0 <= segment.start < segment.end < math.inf for segment in segments.values())


def check_labels(path: Path, labels: LabelSchema) -> None:
    """Written and read again it is the same."""
    labels.write(path.with_name("again.yaml"))
    assert LabelSchema.read(path.with_name("again.yaml")) == labels


def directory_with(name: str) -> Parser:
    """The reader of a data directory one of whose files is the user's."""

    def read(path: Path) -> DataDir:
        for other, content in DIRECTORY.items():
            if other != name:
                (path.parent / other).write_bytes(content)
        try:
            data = DataDir.load(path.parent)
            for attribute in data.labels.attributes:
                data.attribute(attribute)
            data.durations(), data.folds(), data.trait("gender"), data.trait("age"), known(data.utt2spk)
        except Exception as error:  # a mistake between two files may be told of the other one
            if f"{path.parent}/" in str(error):
                error.args = (f"{path.name}: {error}",)
            raise
        return data

    def check(path: Path, data: DataDir) -> None:
        data.write(path.parents[1] / "again")
        again = DataDir.load(path.parents[1] / "again")
        assert (again.tables, again.speakers, again.labels) == (data.tables, data.speakers, data.labels)

    return Parser(f"directory/{name}", read, (DIRECTORY[name],), check)


PARSERS = {
    "table": Parser("utt2spk", read_table, (UTT2SPK, DIRECTORY["text"]), check_table),
    "rows in disorder": Parser("utt2spk", read_rows, (UTT2SPK,)),
    "scp": Parser("wav.scp", read_scp, (DIRECTORY["wav.scp"], b"a-1 x.ark:4\na-2 x.ark:99\n"), check_scp),
    "segments": Parser("segments", read_segments, (DIRECTORY["segments"],), check_segments),
    "labels.yaml": Parser("labels.yaml", LabelSchema.read, (LABELS,), check_labels),
} | {f"directory: {name}": directory_with(name) for name in DIRECTORY}
