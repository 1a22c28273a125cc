"""labels.yaml: what the labels of a data directory are, by name."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ser.core.errors import UserError
from ser.core.files import read_yaml, write_yaml

CLASS_LABEL = "emo"
VOTES = "emodist"  # shares of raters' votes, in the order of the classes
TOTAL = "utterances"  # the key of labels.yaml's expected counts that is no class


@dataclass(frozen=True)
class Range:
    """The closed interval of an attribute's values, in the label's own units."""

    min: float
    max: float

    def __contains__(self, value: float) -> bool:
        """Whether ``value`` lies inside; NaN lies in no range."""
        return self.min <= value <= self.max


@dataclass
class LabelSchema:
    """The content of labels.yaml.

    Attributes:
        corpus: the corpus's short name.
        release: its release, as a string.
        licence: its licence, SPDX where there is one.
        classes: the emotion classes of utt2emo, in order; empty when there are none.
        attributes: range of each attribute that has a table ``utt2<attribute>``.
        derived: names of the labels (``emo`` or an attribute) that are derived, not annotated.
        complete: labels whose table, where there is one, must hold every utterance.
        expected: how many the full release has for this directory: ``utterances``, or a class's name
            -> number. Empty where that is not known.
        partial: the copy was known to lack some of these when it was prepared.
    """

    corpus: str
    release: str = "unknown"
    licence: str = "unknown"
    classes: list[str] = field(default_factory=list)
    attributes: dict[str, Range] = field(default_factory=dict)
    derived: list[str] = field(default_factory=list)
    complete: list[str] = field(default_factory=lambda: [CLASS_LABEL])
    expected: dict[str, int] = field(default_factory=dict)
    partial: bool = False

    def __post_init__(self) -> None:
        """Check; ranges may be given as mappings or pairs."""
        self.attributes = {name: _range(name, value) for name, value in self.attributes.items()}
        for name in ("corpus", "release", "licence"):
            _check_text(name, getattr(self, name))
        for name in ("classes", "derived", "complete"):
            _check_names(name, getattr(self, name))
        _check_expected(self.expected, self.classes)
        if not isinstance(self.partial, bool):
            raise UserError("partial must be true or false", value=self.partial)
        known = [CLASS_LABEL, VOTES, *self.attributes]
        for name in ("derived", "complete"):
            for label in getattr(self, name):
                if label not in known:
                    raise UserError(f"{name}: no such label among {', '.join(known)}", value=label)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> LabelSchema:
        """Read labels.yaml.

        Raises:
            UserError: when it is missing, is no YAML, has an unknown key or a value of a wrong type.
        """
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise UserError("not a mapping of keys to values", file=path, value=content)
        known = [item.name for item in fields(cls)]
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known keys are {', '.join(known)}"
                raise UserError("unknown key", file=path, line=_line(path, key), value=key, hint=hint)
        if "corpus" not in content:
            raise UserError("the key 'corpus' is missing", file=path)
        given = {key: value for key, value in content.items() if value is not None}
        try:
            return cls(**given)
        except UserError as error:
            raise UserError(error.what, file=path, value=error.value, hint=error.hint) from None
        except (TypeError, AttributeError):
            raise UserError("attributes must map a name to {min: ..., max: ...}", file=path) from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write labels.yaml; what ``read`` returns of it equals this."""
        content: dict[str, Any] = {"corpus": self.corpus, "release": self.release, "licence": self.licence}
        content["classes"] = list(self.classes)
        content["attributes"] = {
            name: {"min": limits.min, "max": limits.max} for name, limits in self.attributes.items()
        }
        content["derived"] = list(self.derived)
        if self.complete != [CLASS_LABEL]:
            content["complete"] = list(self.complete)
        if self.expected:
            content["expected"] = dict(self.expected)
        if self.partial:
            content["partial"] = True
        write_yaml(path, content)


def _range(name: str, value: Any) -> Range:
    """A ``Range`` from a ``Range``, ``{min, max}`` or ``[min, max]``."""
    if isinstance(value, Range):
        low, high = value.min, value.max
    elif isinstance(value, Mapping) and set(value) == {"min", "max"}:
        low, high = value["min"], value["max"]
    elif isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
    else:
        raise UserError(f"the range of attribute {name!r} must be {{min: ..., max: ...}}", value=value)
    numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high))
    if not numbers or not all(map(math.isfinite, (low, high))) or not low < high:
        raise UserError(f"the range of attribute {name!r} needs two numbers, min below max", value=value)
    _check_names("attributes", [name])
    return Range(low, high)


def _check_expected(expected: Any, classes: Sequence[str]) -> None:
    """``expected`` maps ``utterances`` and classes to numbers."""
    if not isinstance(expected, Mapping):
        raise UserError("expected must map 'utterances' or a class to a number", value=expected)
    for name, number in expected.items():
        if name != TOTAL and name not in classes:
            raise UserError(f"expected: neither '{TOTAL}' nor a class", value=name)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UserError(f"expected: the number of {name!r} must be a whole number", value=number)


def _check_text(key: str, value: Any) -> None:
    """``value`` is a string: YAML reads an unquoted 1.3 as a number."""
    if not isinstance(value, str):
        raise UserError(f"{key} must be a string", value=value, hint=f'Quote it: {key}: "{value}"')


def _check_names(key: str, values: Any) -> None:
    """``values`` is a list of distinct words."""
    if not isinstance(values, list | tuple):
        raise UserError(f"{key} must be a list", value=values)
    for value in values:
        if not isinstance(value, str):
            raise UserError(f"{key} must hold strings", value=value, hint="Quote it: YAML reads no as false")
        if value.split() != [value]:
            raise UserError(f"a name in {key} must be one word", value=value)
        if list(values).count(value) > 1:
            raise UserError(f"{key} names one thing twice", value=value)


def _line(path: str | os.PathLike[str], key: Any) -> int | None:
    """The line on which a top-level key stands."""
    with open(path, encoding="utf-8") as stream:
        return next((n for n, line in enumerate(stream, 1) if line.startswith(f"{key}:")), None)
