"""What the release of IEMOCAP holds: its dialogues, codes and counts, and who speaks in a turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ser.core.errors import UserError

SESSIONS = (1, 2, 3, 4, 5)
SCRIPTS = ("script01_1", "script01_2", "script01_3", "script02_1", "script02_2", "script03_1", "script03_2")
# A turn: dialogue (session, who wore the motion-capture markers, scene), speaker's letter, number.
TURN = re.compile(r"(Ses0([1-5])[FM]_(?:impro|script)\w+)_([FM])\d{3}")
SCENARIOS = {"improvised": "impro", "scripted": "script"}

# The two codes without a class, oth (other) and xxx (the raters do not agree), stand for no label.
CLASSES = {
    "neu": "neutral", "hap": "happiness", "exc": "excitement", "ang": "anger", "sad": "sadness",
    "fru": "frustration", "sur": "surprise", "fea": "fear", "dis": "disgust",
}  # fmt: skip
NO_CLASS = ("oth", "xxx")
UNLABELLED = "without a class"
# Turns by code: all of them, and the improvised ones as far as they are published.
COUNTS = {
    "neu": 1708, "hap": 595, "exc": 1041, "ang": 1103, "sad": 1084, "fru": 1849, "sur": 107, "fea": 40,
    "dis": 2, "oth": 3, "xxx": 2507,
}  # fmt: skip
TURNS = sum(COUNTS.values())
IMPROVISED_COUNTS = {"neu": 1099, "hap": 284, "exc": 663, "ang": 289, "sad": 608}
IMPROVISED_TURNS = 4784

# --classes -> codes in the order of the classes, and whether excitement counts as happiness.
SELECTIONS = {
    "4": (("neu", "hap", "ang", "sad"), True),
    "5": (("neu", "hap", "ang", "sad", "fru"), True),
    "6": (("hap", "sad", "neu", "ang", "exc", "fru"), False),
    "all": (tuple(CLASSES), False),
}


def _dialogues() -> tuple[str, ...]:
    """The names of the 151 dialogues."""
    names = []
    for session in SESSIONS:
        improvised = [f"impro{number:02d}" for number in range(1, 8 if session == 1 else 9)]
        for wearer in "FM":
            scenes = [*improvised, *SCRIPTS]
            # Three recordings were begun anew.
            for place, scene, parts in ((3, "impro05", "ab"), (3, "impro08", "ab"), (5, "script01_1", " b")):
                if (session, wearer) == (place, "M"):
                    at = scenes.index(scene)
                    scenes[at : at + 1] = [scene + part.strip() for part in parts]
            names += [f"Ses0{session}{wearer}_{scene}" for scene in scenes]
    return tuple(names)


DIALOGUES = _dialogues()


def dialogues(scenario: str) -> list[str]:
    """The names of the dialogues of ``improvised``, ``scripted`` or ``all``."""
    part = SCENARIOS.get(scenario, "")
    return [name for name in DIALOGUES if f"_{part}" in name]


def speaker_of(original: str) -> str | None:
    """Who speaks in a turn: the session, and the letter of the last token; None for what is no turn.

    The letter at the front says who wore the markers in that dialogue.

    >>> speaker_of("Ses01F_impro05_M012"), speaker_of("Ses01F_impro05")
    ('Ses01M', None)
    """
    match = TURN.fullmatch(original)
    return f"Ses0{match[2]}{match[3]}" if match else None


@dataclass(frozen=True)
class Selection:
    """The classes that are learnt, and which codes count as them.

    Attributes:
        classes: names in order.
        class_of: code -> class; codes that are not chosen are absent.
        everything: turns without a class are kept, since conversations want all of their turns.
    """

    classes: tuple[str, ...]
    class_of: Mapping[str, str]
    everything: bool

    @classmethod
    def of(cls, classes: str = "4", merge: bool | None = None) -> Selection:
        """A selection by name.

        Args:
            classes: ``4``, ``5``, ``6`` or ``all``.
            merge: whether excitement counts as happiness; None is what is usual for ``classes``.

        Raises:
            UserError: for six classes with two of them merged.
        """
        codes, usual = SELECTIONS[classes]
        merge = usual if merge is None else merge
        if classes == "6" and merge:
            hint = "Six classes with excitement in happiness are --classes 5"
            raise UserError("--classes 6 keeps excitement apart", value="--merge-excitement true", hint=hint)
        class_of = {code: CLASSES[code] for code in codes}
        if merge:
            class_of["exc"] = CLASSES["hap"]
        return cls(tuple(dict.fromkeys(class_of.values())), class_of, classes == "all")

    def name(self, code: str) -> str:
        """The class that a code counts as, or that it has none."""
        return self.class_of.get(code, UNLABELLED)

    def expected(self, scenario: str) -> dict[str, int]:
        """Class -> turns in the release; where a count is not published the class is absent."""
        counts: dict[str, int] = {}
        codes = COUNTS if self.everything else self.class_of
        known = {code: _count(code, scenario) for code in codes}
        for name in dict.fromkeys(map(self.name, codes)):
            parts = [number for code, number in known.items() if self.name(code) == name]
            if all(number is not None for number in parts):
                counts[name] = sum(filter(None, parts))
        return counts

    def total(self, scenario: str) -> int | None:
        """Turns in the release; None where that is not published."""
        if self.everything:
            return {"improvised": IMPROVISED_TURNS, "scripted": TURNS - IMPROVISED_TURNS}.get(scenario, TURNS)
        counts = self.expected(scenario)
        return sum(counts.values()) if len(counts) == len(self.classes) else None


def _count(code: str, scenario: str) -> int | None:
    """Turns with a code in a scenario, where that is published."""
    improvised = IMPROVISED_COUNTS.get(code)
    if scenario == "all":
        return COUNTS[code]
    if improvised is None:
        return None
    return improvised if scenario == "improvised" else COUNTS[code] - improvised
