"""The sentences of the corpus, with the valence of their wording."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class Sentence:
    """A sentence and the valence of its words alone, in -1..1."""

    text: str
    valence: float


@lru_cache(maxsize=1)
def sentences() -> tuple[Sentence, ...]:
    """All sentences of sentences.txt, in the order of the file."""
    lines = resources.files(__package__).joinpath("sentences.txt").read_text(encoding="utf-8").splitlines()
    split = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return tuple(Sentence(text, float(valence)) for valence, text in split)
