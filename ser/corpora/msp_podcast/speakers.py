"""Who speaks: ids of one width, speakers that nobody has named, genders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ser.core import log
from ser.corpora.msp_podcast.labels import Label
from ser.data.speakers import UNKNOWN, is_known
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

RECORDING, UTTERANCE, DROP = "recording", "utterance", "drop"
UNKNOWN_SPEAKERS = (RECORDING, UTTERANCE, DROP)
NAME = re.compile(r"MSP-PODCAST_(?P<recording>\d+)_.+")
WIDTH = 4


def width_of(labels: Iterable[Label]) -> int:
    """Digits of the longest number, at least four."""
    return max([WIDTH, *(len(label.speaker) for label in labels)])


def speaker_ids(
    labels: Mapping[str, Label], unknown: str = RECORDING, width: int | None = None
) -> dict[str, str]:
    """The speaker of each file, as ``spk0127``: all numbers have one width, so that they sort.

    Args:
        labels: file name -> label.
        unknown: what stands for a speaker whom nobody has named. ``recording``: one id a podcast,
            ``unknown_0153``, so that intervals clustered by speaker are not too narrow where a podcast
            has few voices; ``utterance``: one id an utterance; ``drop``: none, the file is left out.
            Test3, where all are unknown, is never dropped, and its names tell no podcast.
        width: digits of a number; None is what these labels need.

    Returns:
        file name -> speaker, of the files that stay.
    """
    width = width or width_of(labels.values())
    speakers = {}
    for name, label in labels.items():
        if label.speaker:
            speakers[name] = f"spk{int(label.speaker):0{width}d}"
        elif unknown != DROP or label.set == "test3":
            speakers[name] = _unknown(name, unknown)
    return speakers


def gender_tables(
    utt2spk: Mapping[str, str], genders: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """What is known of genders, as tables of a data directory.

    Args:
        utt2spk: utterance -> speaker.
        genders: utterance -> ``m`` or ``f``, of the utterances where it is known.

    Returns:
        tables by speaker and tables by utterance: spk2gender where every speaker has exactly one
        gender, else utt2gender.
    """
    of_speaker: dict[str, set[str]] = {speaker: set() for speaker in utt2spk.values()}
    for utterance, gender in genders.items():
        of_speaker[utt2spk[utterance]].add(gender)
    if both := sorted(
        speaker for speaker, found in of_speaker.items() if len(found) > 1 and is_known(speaker)
    ):
        logger.warning("%s of two genders: %s", counted(len(both), "speaker"), first_few(both))
    if all(len(found) == 1 for found in of_speaker.values()):
        return {"spk2gender": {speaker: found.pop() for speaker, found in of_speaker.items()}}, {}
    return {}, {"utt2gender": dict(genders)} if genders else {}


def _unknown(name: str, unknown: str) -> str:
    """The id that stands for a file's unknown speaker."""
    stem = name.removesuffix(".wav")
    match = NAME.fullmatch(stem)
    if match and unknown != UTTERANCE:
        return f"{UNKNOWN}_{match['recording']}"
    return f"{UNKNOWN}_{stem.removeprefix('MSP-PODCAST_').replace('-', '_')}"
