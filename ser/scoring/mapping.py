"""Names of classes and attributes across corpora: which mean the same, and what two corpora share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.labels import Range

DEFAULT = Path(__file__).with_name("mapping.yaml")
KINDS = ("classes", "attributes")


@dataclass(frozen=True)
class Mapping:
    """Common names of classes and attributes.

    Args:
        classes: name, in small letters -> common name.
        attributes: the same for attributes.
    """

    classes: dict[str, str]
    attributes: dict[str, str]

    @classmethod
    def read(cls, path: str | os.PathLike[str] | None = None) -> Mapping:
        """Read a mapping file; by default this package's mapping.yaml.

        Raises:
            UserError: when it is not ``classes`` and ``attributes``, each common name: [names], or a
                name stands for two.
        """
        path = DEFAULT if path is None else path
        content = read_yaml(path)
        if not isinstance(content, dict) or not content or set(content) - set(KINDS):
            unknown = sorted(map(str, set(content) - set(KINDS))) if isinstance(content, dict) else content
            raise UserError("a mapping has the keys classes and attributes", file=path, value=unknown)
        return cls(*(_inverted(content.get(kind) or {}, kind, path) for kind in KINDS))

    def class_of(self, name: str) -> str:
        """The common name of a class.

        >>> Mapping.read().class_of("Angry"), Mapping.read().class_of("pride")
        ('anger', 'pride')
        """
        return self.classes.get(name.casefold(), name)

    def attribute_of(self, name: str) -> str:
        """The common name of an attribute."""
        return self.attributes.get(name.casefold(), name)


@dataclass(frozen=True)
class SharedClasses:
    """The classes that a model and test data share.

    Args:
        names: common names, in the model's order.
        of_model: common name -> the model's names for it.
        of_data: common name -> the data's names for it.
        model_only: the model's names that the data has nothing for.
        data_only: the data's names that the model has nothing for.
    """

    names: list[str]
    of_model: dict[str, list[str]]
    of_data: dict[str, list[str]]
    model_only: list[str]
    data_only: list[str]

    @classmethod
    def between(cls, model: Sequence[str], data: Sequence[str], mapping: Mapping) -> SharedClasses:
        """What two lists of classes have in common."""
        ours, theirs = _grouped(model, mapping), _grouped(data, mapping)
        names = [name for name in ours if name in theirs]
        return cls(
            names,
            {name: ours[name] for name in names},
            {name: theirs[name] for name in names},
            [each for name, group in ours.items() if name not in theirs for each in group],
            [each for name, group in theirs.items() if name not in ours for each in group],
        )

    def project(self, probabilities: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Probabilities given that the class is a shared one.

        Args:
            probabilities: ``(N, K)`` of the model's classes.
            classes: their K names.

        Returns:
            ``(N, len(names))``, rows summing to 1: p(c) / sum of p over shared classes. A row that has
            none of its probability there is uniform.
        """
        columns = [[classes.index(own) for own in self.of_model[name]] for name in self.names]
        summed = np.stack([probabilities[:, column].sum(1) for column in columns], axis=1)
        total = summed.sum(1, keepdims=True)
        uniform = np.full_like(summed, 1 / len(self.names))
        return np.divide(summed, total, out=uniform, where=total > 0)


def rescale(values: np.ndarray, of_model: Range, of_data: Range) -> np.ndarray:
    """Values on the model's range moved linearly to the data's.

    >>> rescale(np.array([1.0, 3.0, 5.0]), Range(1, 5), Range(-1, 1)).tolist()
    [-1.0, 0.0, 1.0]
    """
    factor = (of_data.max - of_data.min) / (of_model.max - of_model.min)
    return of_data.min + (values - of_model.min) * factor


def shared_attributes(
    model: Sequence[str], data: Sequence[str], mapping: Mapping
) -> dict[str, tuple[str, str]]:
    """Common name -> (the model's name, the data's name), in the model's order.

    Raises:
        UserError: when one side has two attributes of one common name.
    """
    ours, theirs = (_one_each(names, mapping) for names in (model, data))
    return {name: (ours[name], theirs[name]) for name in ours if name in theirs}


def _grouped(names: Sequence[str], mapping: Mapping) -> dict[str, list[str]]:
    """Common name -> names, in order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(mapping.class_of(name), []).append(name)
    return groups


def _one_each(names: Sequence[str], mapping: Mapping) -> dict[str, str]:
    """Common name -> the name."""
    found: dict[str, str] = {}
    for name in names:
        common = mapping.attribute_of(name)
        if common in found:
            raise UserError(
                f"the attributes {found[common]} and {name} are both {common} in the mapping",
                hint="Take one out of it, with --mapping FILE",
            )
        found[common] = name
    return found


def _inverted(groups: Any, kind: str, path: str | os.PathLike[str]) -> dict[str, str]:
    """Common name -> [names] as name in small letters -> common name."""
    if not isinstance(groups, dict):
        raise UserError(f"{kind} must map a common name to a list of names", file=path, value=groups)
    found: dict[str, str] = {}
    for common, names in groups.items():
        if not isinstance(common, str) or common.split() != [common]:
            raise UserError(f"a common name in {kind} must be one word", file=path, value=common)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            hint = "Quote names that YAML takes for something else, as no, off, N and Y"
            raise UserError(f"{kind}: {common} must be a list of names", file=path, value=names, hint=hint)
        for name in (common, *names):
            if found.setdefault(name.casefold(), common) != common:
                raise UserError(
                    f"{name} stands for two {kind}, {found[name.casefold()]} and {common}", file=path
                )
    return found
