"""test-c of the PAPT paper: speakers never heard, out of a later release. A reconstruction.

The paper (Tran, Yin, Soleymani, Interspeech 2023, arXiv 2309.02418) has 7,304 utterances of 62 speakers of
release 1.10 as test-c, its other sets being of 1.6. Which speakers these are is not published. Here: those of
Test1 and Test2 of the later release who are in no set of the first, by the speakers' numbers, which both
releases share; a file that the first release has already tells that its speaker was there, whatever he was
called then. Unknown speakers are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.corpora.msp_podcast.labels import Label

TEST_SETS = ("test1", "test2")
NAME = "test-c"


@dataclass(frozen=True)
class TestC:
    """Where test-c is taken from.

    Attributes:
        root: folder of the later release; None is the first release's own, which wants ``files``.
        release: of the later copy, where it cannot be seen, or an older one that comes with it.
        files: test-c's files, where a list is at hand; None takes all that the rule finds.
    """

    __test__ = False  # no test of pytest's

    root: Path | None = None
    release: str | None = None
    files: frozenset[str] | None = None


def new_files(
    labels: Mapping[str, Label], first: Mapping[str, Label], listed: frozenset[str] | None, root: Path
) -> list[str]:
    """test-c's files.

    Args:
        labels: file name -> label in the later release.
        first: the same in the first release, of all its sets.
        listed: of ``TestC``.
        root: of the later release, for messages.

    Returns:
        files of Test1 and Test2, in the order of ``labels``.

    Raises:
        UserError: when no speaker is new, or ``listed`` names a file that is not of a new one.
    """
    heard = {label.speaker for label in first.values() if label.speaker}
    heard |= {label.speaker for name, label in labels.items() if name in first}
    found = [
        name for name, label in labels.items()
        if label.set in TEST_SETS and label.speaker and label.speaker not in heard
    ]  # fmt: skip
    if listed is not None:
        check_listed(listed, found, labels, root)
        return [name for name in found if name in listed]
    if not found:
        what = "no speaker of Test1 and Test2 is new: all are in a set of the first release"
        raise UserError(what, file=root, hint="--test-c-root wants a later release than --db-root")
    return found


def check_listed(
    listed: Collection[str], found: Collection[str], labels: Mapping[str, Label], root: Path
) -> None:
    """Refuse a list of test-c with a file that cannot be in it.

    Raises:
        UserError: with the first such file, and why.
    """
    for name in sorted(set(listed) - set(found)):
        if name not in labels:
            why = "that the release does not have"
        elif labels[name].set not in TEST_SETS:
            why = f"of {labels[name].set}, not of Test1 or Test2"
        elif not labels[name].speaker:
            why = "whose speaker is unknown"
        else:
            why = f"of speaker {labels[name].speaker}, who is in a set of the first release"
        raise UserError(f"the list of test-c names a file {why}", file=root, value=name)


def set_apart(labels: Mapping[str, Label], listed: Collection[str]) -> dict[str, Label]:
    """One release's labels without Test1 and Test2 of the speakers whom a list sets apart as test-c.

    For a single copy that is later than 1.6: the list's speakers are then no speakers of test-a and test-b.
    Test2, which the paper's split does not use, is left out.

    Args:
        labels: file name -> label.
        listed: files of test-c.
    """
    apart = {labels[name].speaker for name in listed if name in labels} - {""}
    return {
        name: label for name, label in labels.items()
        if label.set != "test2" and not (label.set == "test1" and label.speaker in apart)
    }  # fmt: skip
