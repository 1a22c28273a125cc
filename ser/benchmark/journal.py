"""What a recipe's stage engine says of its items of work, told by their marks (utils/stages.sh).

An engine that is called with SER_JOURNAL adds a line to that file for every item that it comes to. This is
all that a benchmark knows of what is done and fresh: it keeps no marks of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SER_JOURNAL"
# Before the work: up to date; to be done; made from something else; another stage is to come first.
DONE, TODO, OUTDATED, WAITING = "done", "todo", "outdated", "waiting"
# The work has ended; it has failed; and a recipe that nobody has told where its corpus is.
FINISHED, FAILED, NO_CORPUS = "finished", "failed", "no-corpus"


@dataclass(frozen=True)
class Fact:
    """A line of a journal.

    Attributes:
        state: one of the above.
        stage: the stage's name.
        item: ``fbank_emotion/seed0``.
        reason: why it is to be done, or has failed.
        log: of what failed.
    """

    state: str
    stage: str
    item: str
    reason: str = ""
    log: str = ""

    def __str__(self) -> str:
        return f"{self.stage} {self.item}: {self.reason}"


def read_journal(path: Path) -> list[Fact]:
    """The facts in their order; none where there is no file. A line that a kill has cut short is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    return [Fact(*row) for row in rows if len(row) == 5]


def last_words(log: Path) -> str:
    """The last line that a command itself wrote to a log; nothing where it wrote none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    own = [line.strip() for line in lines if not line.startswith(("#", "progress "))]
    return next((line for line in reversed(own) if line), "")[:400]
