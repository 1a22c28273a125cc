"""Which files are in which data directory: as released, as in a challenge, as in the PAPT paper.

The paper (Tran, Yin, Soleymani, Interspeech 2023, arXiv 2309.02418) uses release 1.6 without unknown
speakers. Its test-a and test-b are the same 50 speakers, test-a about 200 s of each (enrolment), test-b
the rest. Which utterances those are is not published: here they are a reconstruction, drawn at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.msp_podcast.labels import PLAIN_NAME, Label, lines_of
from ser.corpora.msp_podcast.releases import SETS
from ser.data.splits import draw

logger = log.get_logger(__name__)

OFFICIAL, PAPT = "official", "papt"
# Sets of each protocol; the challenges tell participants to train on Train, to choose on Development,
# and to hand in Test3.
PROTOCOLS = {
    OFFICIAL: SETS,
    "odyssey2024": ("train", "validation", "test3"),
    "is2025": ("train", "validation", "test3"),
    PAPT: ("train", "validation", "test-a", "test-b", "test-c"),
}
ENROLMENT_SECONDS = 200.0
PAPT_RELEASE = "1.6"
# Set -> utterances and speakers of the paper.
PAPT_COUNTS = {
    "train": (26470, 987), "validation": (5933, 41),
    "test-a": (1684, 50), "test-b": (8434, 50), "test-c": (7304, 62),
}  # fmt: skip
PAPT_TEST_C_RELEASE = "1.10"


def official_sets(labels: Mapping[str, Label]) -> dict[str, list[str]]:
    """Set -> file names, as released; sets that a release lacks are absent."""
    sets: dict[str, list[str]] = {name: [] for name in SETS}
    for name, label in labels.items():
        sets[label.set].append(name)
    return {name: files for name, files in sets.items() if files}


def papt_sets(
    sets: Mapping[str, Sequence[str]],
    speakers: Mapping[str, str],
    seconds: Mapping[str, float],
    enrolment: frozenset[str] | None = None,
    seed: int = 0,
) -> dict[str, list[str]]:
    """The PAPT paper's sets, from the released ones.

    Args:
        sets: set -> file names, of known speakers only.
        speakers: file name -> speaker.
        seconds: file name -> duration.
        enrolment: the files of test-a where a list of them is at hand; None draws them: utterances of
            a speaker of Test1 in random order until they last 200 s, one being left for test-b.
        seed: of that order.

    Raises:
        UserError: without Test1, or when ``enrolment`` names a file that is not in it.
    """
    test = sets.get("test1", [])
    if not test:
        raise UserError("the PAPT split needs Test1, which this release lacks")
    if enrolment is not None and (strange := sorted(enrolment - set(test))):
        raise UserError("the list of test-a names a file that is not in Test1, or whose speaker is unknown",
                        value=strange[0])  # fmt: skip
    chosen = drawn_enrolment(test, speakers, seconds, seed) if enrolment is None else enrolment
    return {
        "train": list(sets.get("train", [])),
        "validation": list(sets.get("validation", [])),
        "test-a": [name for name in test if name in chosen],
        "test-b": [name for name in test if name not in chosen],
    }


def drawn_enrolment(
    files: Sequence[str], speakers: Mapping[str, str], seconds: Mapping[str, float], seed: int
) -> frozenset[str]:
    """Files of each speaker, in an order that the seed decides, until they last 200 s.

    The last file of a speaker is never taken, so that there is something left to test on.
    """
    left = Counter(speakers[name] for name in files)
    lasting = dict.fromkeys(left, 0.0)
    chosen = []
    for name in sorted(files, key=lambda name: draw(seed, name)):
        speaker = speakers[name]
        if lasting[speaker] < ENROLMENT_SECONDS and left[speaker] > 1:
            chosen.append(name)
            lasting[speaker] += seconds[name]
            left[speaker] -= 1
    return frozenset(chosen)


def read_list(path: Path) -> frozenset[str]:
    """A list of a set's files, one name a line, with or without ``.wav``.

    Raises:
        UserError: with the line that is no file name.
    """
    names = set()
    for line, text in enumerate(lines_of(path), 1):
        if not text.strip():
            continue
        name = f"{text.strip().removesuffix('.wav')}.wav"
        if not PLAIN_NAME.fullmatch(name):
            raise UserError("not a file name", file=path, line=line, value=text.strip())
        names.add(name)
    return frozenset(names)


def say_papt(
    sets: Mapping[str, Sequence[str]], speakers: Mapping[str, str], release: str, drawn: bool
) -> None:
    """Tell how near the sets are to the paper's, and what is a reconstruction.

    Args:
        sets: set -> file names, test-c where it is made.
        speakers: file name -> speaker.
        release: of all but test-c.
        drawn: whether test-a is.
    """
    found = ", ".join(
        f"{name} {len(files)} of {len({speakers[file] for file in files})} ({utterances} of {number})"
        for name, (utterances, number) in PAPT_COUNTS.items()
        if (files := sets.get(name)) is not None
    )
    logger.info("utterances of speakers, and the paper's in brackets: %s", found)
    if release != PAPT_RELEASE:
        logger.warning("the PAPT paper used release %s, and this is %s: its results cannot be compared",
                       PAPT_RELEASE, release)  # fmt: skip
    if drawn:
        logger.warning("test-a and test-b are a reconstruction: the paper's own choice is not published; "
                       "name a list of test-a's files with --test-a where there is one")  # fmt: skip


def say_test_c(release: str, reconstructed: bool) -> None:
    """Tell how near test-c is to the paper's."""
    if release != PAPT_TEST_C_RELEASE:
        logger.warning(
            "the PAPT paper took test-c from release %s, and this is %s", PAPT_TEST_C_RELEASE, release
        )
    if reconstructed:
        logger.warning("test-c is a reconstruction: which speakers the paper took is not published; "
                       "name a list of test-c's files with --test-c where there is one")  # fmt: skip
