"""The single workers' votes, and what they become: the share of each class, a soft label.

Four layouts are read: labels_detailed.csv with a column for the class (releases 1.6 and 2.0) or with
the whole vote in one column EmoDetail (1.7 to 1.12), labels_detailed.json, and the raw labels.txt::

    MSP-PODCAST_0001_0139.wav; N; A:2.400000; V:4.000000; D:2.800000;
    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.csv_file import iter_csv
from ser.corpora.msp_podcast.labels import CLASSES, Label, Place, lines_of, read_json_object
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

OTHER = "O"
VOTES = {
    "angry": "A", "sad": "S", "happy": "H", "surprise": "U", "fear": "F", "disgust": "D",
    "contempt": "C", "neutral": "N",
} | {name: letter for letter, name in CLASSES.items()}  # fmt: skip
HEADER = re.compile(
    r"\s*(?P<name>[^;]+?)\s*;\s*(?P<emotion>\w)\s*;\s*A:\s*(?P<arousal>[^;]+?)\s*;"
    r"\s*V:\s*(?P<valence>[^;]+?)\s*;\s*D:\s*(?P<dominance>[^;]+?)\s*;?\s*"
)


@dataclass
class Votes:
    """File name -> letter -> votes for the primary class; ``O`` is a vote for something else."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    strange: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, vote: str) -> None:
        """Count a vote by its name, like ``Happy`` or ``Other-confused``; an empty one counts nothing."""
        vote = vote.strip()
        letter = VOTES.get(vote.lower(), OTHER)
        if letter == OTHER and not vote.lower().startswith("other"):
            if not vote:
                return
            self.strange[vote] += 1
        self.counts.setdefault(name, Counter())[letter] += 1

    def shares(self, name: str, classes: Sequence[str]) -> str | None:
        """Each class's share of the votes that went to one of them; None where none did.

        Args:
            name: the audio file.
            classes: letters, in the order of labels.yaml.
        """
        counts = self.counts.get(name, {})
        total = sum(counts.get(letter, 0) for letter in classes)
        return " ".join(f"{counts.get(letter, 0) / total:.6g}" for letter in classes) if total else None


def read_votes(csv: Path | None, json: Path | None) -> Votes | None:
    """The votes of labels_detailed, from the csv where there is one; None where there is neither.

    Raises:
        UserError: with file and line, for a row that is no vote.
    """
    if not csv and not json:
        return None
    votes = Votes()
    for name, vote in _csv_votes(csv) if csv else _json_votes(json):  # type: ignore[arg-type]
        votes.add(name, vote)
    warn_of_strange(votes, csv or json)  # type: ignore[arg-type]
    return votes


def read_labels_txt(path: Path, count: bool = True) -> tuple[dict[str, Label], Votes]:
    """labels.txt: the consensus that its headers tell, and the votes below them.

    Args:
        path: the file.
        count: count the votes; without, they are passed over, for another file tells them.

    Raises:
        UserError: with the line.
    """
    labels: dict[str, Label] = {}
    votes = Votes()
    current = None
    for line, text in enumerate(lines_of(path), 1):
        if text.startswith("WORKER"):
            if current is None:
                raise UserError("a vote before any file's header", file=path, line=line, value=text)
            if count:
                votes.add(current, _primary(Place(path, line, current), text))
        elif text.strip():
            current = _header(path, line, text, labels)
    if not labels:
        raise UserError("no file's header", file=path)
    warn_of_strange(votes, path)
    return labels, votes


def warn_of_strange(votes: Votes, path: Path) -> None:
    """Tell votes for names that are no class, which count as other."""
    if votes.strange:
        number, names = sum(votes.strange.values()), sorted(votes.strange)
        logger.warning(
            "%s: %s for no class, counted as other: %s", path, counted(number, "vote"), first_few(names)
        )


def _header(path: Path, line: int, text: str, labels: dict[str, Label]) -> str:
    """Add a header's label and return its file name."""
    match = HEADER.fullmatch(text)
    if not match:
        what = "neither a vote nor a header like 'MSP-PODCAST_0001_0139.wav; N; A:2.4; V:4.0; D:2.8;'"
        raise UserError(what, file=path, line=line, value=text.strip()[:80])
    place = Place(path, line, match["name"])
    label = Label(emotion=place.emotion(match["emotion"]), line=line)
    for attribute in ("arousal", "valence", "dominance"):
        setattr(label, attribute, place.number(attribute, match[attribute]))
    place.add(labels, label)
    return match["name"]


def _csv_votes(path: Path) -> Iterator[tuple[str, str]]:
    """File name and primary class of each row of labels_detailed.csv."""
    rows = iter_csv(path, ("FileName",), ("EmoClass_Major", "EmoDetail"))
    for row in rows:
        if "EmoClass_Major" in row.cells:
            yield row["FileName"], row["EmoClass_Major"]
        elif "EmoDetail" in row.cells:
            yield row["FileName"], _primary(Place(path, row.line, row["FileName"]), row["EmoDetail"])
        else:
            raise UserError("lacks the column EmoClass_Major, or EmoDetail", file=path, line=1)


def _json_votes(path: Path) -> Iterator[tuple[str, str]]:
    """The same of labels_detailed.json: {file: {worker: {EmoClass_Major: ...}}}."""
    for name, workers in read_json_object(path).items():
        for worker, vote in workers.items() if isinstance(workers, dict) else ():
            if not isinstance(vote, dict) or "EmoClass_Major" not in vote:
                raise UserError(f"the vote of {worker} for {name} lacks EmoClass_Major", file=path)
            yield name, str(vote["EmoClass_Major"])


def _primary(place: Place, text: str) -> str:
    """The primary class of ``WORKER...; Happy; Happy,Excited; A:5; V:6; D:4;``."""
    fields = text.split(";", 2)
    if len(fields) < 3 or not fields[0].strip().startswith("WORKER"):
        raise place.error("not a vote like 'WORKER00000001; Happy; Happy; A:3; V:3; D:4;'", text[:80])
    return fields[1]
