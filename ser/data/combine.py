"""Several data directories as one, and one under other names."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ser.core import log
from ser.core.errors import UserError
from ser.data.datadir import LABELS, DataDir, Segment
from ser.data.labels import LabelSchema
from ser.data.validate import COMPLETE_TABLES

logger = log.get_logger(__name__)


def combine(parts: Sequence[DataDir]) -> DataDir:
    """All utterances of ``parts``.

    A table that must hold every utterance, and spk2gender, is left out with a message when one
    part lacks it. If one part has segments, the others get them too, from 0 to the end.

    Raises:
        UserError: when labels.yaml differ, an utterance is in two parts, or a speaker or a
            recording means two things.
    """
    if not parts:
        raise UserError("nothing to combine")
    for part in parts[1:]:
        _check_labels(parts[0], part)
    segments = None
    if any(part.segments is not None for part in parts):
        segments = _merge([(part, "segments", _segments(part)) for part in parts])
    required = {*COMPLETE_TABLES, "spk2gender", *(f"utt2{label}" for label in parts[0].labels.complete)}

    def merged(
        group: Callable[[DataDir], Mapping[str, dict[str, str]]], shared: bool
    ) -> dict[str, dict[str, str]]:
        """One group of tables of all parts; ``shared`` keys may be in several, with one value."""
        result = {}
        for name in sorted({name for part in parts for name in group(part)}):
            lacking = [str(part.path) for part in parts if name not in group(part)]
            if lacking and (name in required or name.startswith("reco2")):
                logger.warning("%s is left out: %s has none", name, ", ".join(lacking))
            else:
                result[name] = _merge([(part, name, group(part).get(name, {})) for part in parts], shared)
        return result

    return DataDir(
        path=parts[0].path,
        labels=_labels(parts),
        tables=merged(lambda part: part.tables, shared=False),
        recordings=merged(lambda part: part.recordings, shared=True),
        speakers=merged(lambda part: part.speakers, shared=True),
        segments=segments,
    )


def rename(
    data: DataDir, spk_prefix: str = "", spk_suffix: str = "", utt_prefix: str = "", utt_suffix: str = ""
) -> DataDir:
    """The same data under other ids, as Kaldi's copy_data_dir.sh.

    Recordings are renamed with the utterances when there are no segments, and kept otherwise.

    >>> # copies of one speaker at two speeds are two speakers: sp0.9-03, sp0.9-03-03a01Fa
    """
    utterance_of = {name: f"{utt_prefix}{name}{utt_suffix}" for name in data.utt2spk}
    speaker_of = {name: f"{spk_prefix}{name}{spk_suffix}" for name in data.utt2spk.values()}
    segments = data.segments
    recording_of = utterance_of
    if segments is not None:
        recording_of = {name: name for name in data.wav_scp}
        segments = {utterance_of[name]: segment for name, segment in segments.items()}
    tables = _rename_keys(data.tables, utterance_of)
    tables["utt2spk"] = {name: speaker_of[speaker] for name, speaker in tables["utt2spk"].items()}
    return dataclasses.replace(
        data,
        tables=tables,
        recordings=_rename_keys(data.recordings, recording_of),
        speakers=_rename_keys(data.speakers, speaker_of),
        segments=segments,
    )


def _rename_keys(group: Mapping[str, dict[str, str]], new: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Every table of ``group`` under the new keys, in C order."""
    return {
        name: dict(sorted((new[key], value) for key, value in table.items())) for name, table in group.items()
    }


def _labels(parts: Sequence[DataDir]) -> LabelSchema:
    """The labels.yaml of the whole: expected counts add up, where every part has them."""
    expected: Counter[str] = Counter()
    if all(part.labels.expected for part in parts):
        for part in parts:
            expected.update(part.labels.expected)
    partial = any(part.labels.partial for part in parts)
    return dataclasses.replace(parts[0].labels, expected=dict(expected), partial=partial)


def _check_labels(one: DataDir, other: DataDir) -> None:
    """Raise for the first key in which two labels.yaml differ; each has counts of its own."""
    for item in dataclasses.fields(LabelSchema):
        if item.name in ("expected", "partial"):
            continue
        ours, theirs = getattr(one.labels, item.name), getattr(other.labels, item.name)
        if ours != theirs:
            raise UserError(f"{item.name} differ from those of {one.path / LABELS}, {_plain(ours)}",
                            file=other.path / LABELS, value=_plain(theirs))  # fmt: skip


def _plain(value: object) -> str:
    """A value of labels.yaml as a person writes it."""
    if isinstance(value, dict):
        return (
            ", ".join(f"{name} {limits.min:g} to {limits.max:g}" for name, limits in value.items()) or "none"
        )
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


def _segments(part: DataDir) -> dict[str, Segment]:
    """The segments of a part; whole recordings when it has none."""
    if part.segments is not None:
        return part.segments
    return {name: Segment(name, 0.0, seconds) for name, seconds in part.durations().items()}


def _merge(tables: Sequence[tuple[DataDir, str, Mapping[str, object]]], shared: bool = False) -> dict:
    """One table of several, in C order; a key in two of them is a mistake unless it is shared."""
    merged: dict[str, object] = {}
    origin: dict[str, str | os.PathLike[str]] = {}
    for part, name, table in tables:
        for key, value in table.items():
            if key in merged and not (shared and merged[key] == value):
                what = f"has another value in {origin[key]}" if shared else f"is also in {origin[key]}"
                raise UserError(f"{key!r} {what}", file=part.path / name, value=value)
            merged[key], origin[key] = value, part.path / name
    return dict(sorted(merged.items()))
