"""The releases, how many files each has, and which of them a copy is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.csv_file import read_text

logger = log.get_logger(__name__)

SETS = ("train", "validation", "test1", "test2", "test3")
CHALLENGE = "challenge"
# Files of each set. Where only the whole is known it stands under TOTAL; where nothing is, counts are
# not checked. "challenge" is the package of the challenges from 2024 on, without Test1 and Test2.
TOTAL = "total"
RELEASES: dict[str, dict[str, int]] = {
    **{f"1.{minor}": {} for minor in range(3, 11)},
    "1.11": {"train": 84030, "validation": 19815, "test1": 30647, "test2": 14815, "test3": 2347},
    "1.12": {TOTAL: 207136},
    "2.0": {"train": 169190, "validation": 34399, "test1": 46294, "test2": 14822, "test3": 3200},
    CHALLENGE: {"train": 84260, "validation": 31961, "test3": 3200},
}
UNKNOWN = "unknown"
NAMED = re.compile(r"(?:MSP-PODCAST-Publish-|Release\s+|(?<![a-z])v)(\d\.\d+)(?![\d.]\d)", re.IGNORECASE)


def which_release(root: Path, counts: Mapping[str, int], asked: str | None) -> str:
    """The release of a copy.

    Args:
        root: the corpus's folder.
        counts: set -> files that the label files list.
        asked: ``--release``, which wins.

    Returns:
        a key of ``RELEASES``, from the counts, else readme.txt, else the folder's name; or
        ``unknown``, with a warning.

    Raises:
        UserError: when ``asked`` is no release.
    """
    if asked:
        if asked not in RELEASES:
            raise UserError("no such release", value=asked, hint=f"Known are {', '.join(RELEASES)}")
        return asked
    for name, expected in RELEASES.items():
        if expected and not differences(expected, counts):
            return name
    if named := _readme_release(root) or _find_release(root.resolve().name):
        return named
    found = ", ".join(f"{counts[name]} {name}" for name in SETS if name in counts)
    logger.warning("%s: the release is not known (%s), so it is not known whether files are missing; "
                   "name it with --release", root, found)  # fmt: skip
    return UNKNOWN


def differences(expected: Mapping[str, int], counts: Mapping[str, int]) -> list[str]:
    """Where the files listed are not as many as the release has: ``3 of 5 test1``."""
    if not expected:
        return []
    if TOTAL in expected:
        total = sum(counts.values())
        return [f"{total} of {expected[TOTAL]} files"] if total != expected[TOTAL] else []
    names = [name for name in SETS if name in expected or name in counts]
    pairs = [(counts.get(name, 0), expected.get(name, 0), name) for name in names]
    return [f"{found} of {number} {name}" for found, number, name in pairs if found != number]


def too_many(expected: Mapping[str, int], counts: Mapping[str, int]) -> bool:
    """Whether more files are listed than the release has."""
    if TOTAL in expected:
        return sum(counts.values()) > expected[TOTAL]
    return any(number > expected.get(name, 0) for name, number in counts.items()) if expected else False


def _readme_release(root: Path) -> str | None:
    """The release that readme.txt names."""
    path = next((entry for entry in root.iterdir() if entry.name.lower() == "readme.txt"), None)
    return _find_release(read_text(path)) if path else None


def _find_release(text: str) -> str | None:
    """The first known release named in a text."""
    return next((name for name in NAMED.findall(text) if name in RELEASES), None)
