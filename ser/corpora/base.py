"""What every corpus says about itself, and the registry behind ``ser prepare <corpus>``.

A corpus is a module with two functions: ``add_arguments(parser)`` declares its options and
``prepare(args)`` writes its data directories under ``args.out``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError

logger = log.get_logger(__name__)

# Name -> module, imported only when asked for.
CORPORA = {
    "emodb": "ser.corpora.emodb",
    "mini": "ser.corpora.mini",
}


@dataclass(frozen=True)
class Corpus:
    """The facts of a corpus.

    Attributes:
        name: short name, as in labels.yaml.
        title: full name.
        release: the release that the reader was written for.
        licence: SPDX where there is one.
        links: where it is to be had.
        expected: utterances of each class in the full release.
    """

    name: str
    title: str
    release: str
    licence: str
    links: tuple[str, ...]
    expected: Mapping[str, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """A hint that tells where to get it."""
        return f"{self.title} ({self.licence}) is to be had at {' or '.join(self.links)}"

    def find_root(self, db_root: str | None) -> Path:
        """The folder that the user has given.

        Raises:
            UserError: when none was given, or it is none; the message says where the corpus is.
        """
        if not db_root:
            raise UserError(f"--db-root, the folder of {self.title}, is missing", hint=self.where)
        if not Path(db_root).is_dir():
            raise UserError("--db-root is no folder", value=db_root, hint=self.where)
        return Path(db_root)

    def check_counts(self, classes: Mapping[str, str], root: Path, allow_partial: bool) -> None:
        """Compare the utterances found with the full release.

        Args:
            classes: utterance -> class.
            root: the folder they were found in.
            allow_partial: warn of missing utterances instead of refusing.

        Raises:
            UserError: for a partial copy, with what is missing, or for more than the release has.
        """
        found = Counter(classes.values())
        total = sum(self.expected.values())
        differences = [
            f"{found[name]} of {number} {name}"
            for name, number in self.expected.items()
            if found[name] != number
        ]
        if not differences:
            return
        what = f"{len(classes)} of {total} utterances: {', '.join(differences)}"
        if any(found[name] > number for name, number in self.expected.items()):
            raise UserError(f"more than the release has, {what}", file=root, hint=self.where)
        if not allow_partial:
            hint = f"Complete the copy, or pass --allow-partial. {self.where}"
            raise UserError(f"partial copy, {what}", file=root, hint=hint)
        logger.warning("partial copy: %s", what)
