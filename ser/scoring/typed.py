"""Plain JSON to typed dataclasses, checked, and back to JSON that a person can read."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def build(kind: type[T], value: Any, where: str = "") -> T:
    """``value`` as ``kind``: a dataclass, list, dict, union or plain type, checked all the way down.

    Args:
        kind: a type, as an annotation may name it.
        value: what ``json.loads`` gave.
        where: path of the value inside the file, for messages.

    Raises:
        ValueError: naming the place, for a missing or unknown key or another type.
    """
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is list and isinstance(value, list):
        (item,) = arguments
        if item in (str, int, float) and set(map(type, value)) == {item}:
            return value  # type: ignore[return-value]
        return [build(item, entry, f"{where}[{i}]") for i, entry in enumerate(value)]  # type: ignore[return-value]
    if origin is dict and isinstance(value, dict):
        return {key: build(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}  # type: ignore[return-value]
    if origin is types.UnionType:
        if value is None and types.NoneType in arguments:
            return None  # type: ignore[return-value]
        (item,) = (argument for argument in arguments if argument is not types.NoneType)
        return build(item, value, where)
    if kind is float and type(value) is int:
        return float(value)  # type: ignore[return-value]
    if isinstance(kind, type) and type(value) is kind:
        return value
    name = kind.__name__ if isinstance(kind, type) else str(kind)
    raise ValueError(f"{where or 'the file'} is {value!r:.40}, not {name}")


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    """A dataclass from a mapping with exactly its fields; those with a default may be absent."""
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the file'} is no mapping")
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    names = [field.name for field in fields]
    for field in fields:
        if field.name not in value and not _has_default(field):
            raise ValueError(f"{where or 'the file'} has no key {field.name!r}")
    for key in value:
        if key not in names:
            raise ValueError(f"{where or 'the file'} has an unknown key {key!r}")
    given = [name for name in names if name in value]
    return kind(**{name: build(hints[name], value[name], f"{where}.{name}".lstrip(".")) for name in given})


def _has_default(field: dataclasses.Field) -> bool:
    """Whether a key may be absent."""
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def compact_json(value: Any, indent: int = 0) -> str:
    """JSON with one key a line, and lists of plain values on one line however long.

    >>> print(compact_json({"a": [1, 2], "b": {"c": None}}))
    {
     "a": [1, 2],
     "b": {
      "c": null
     }
    }

    Raises:
        ValueError: for NaN and infinity, which JSON does not have.
    """
    pad = "\n" + " " * (indent + 1)
    if isinstance(value, dict) and value:
        rows = [f"{json.dumps(key)}: {compact_json(entry, indent + 1)}" for key, entry in value.items()]
        return "{" + pad + ("," + pad).join(rows) + "\n" + " " * indent + "}"
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        rows = [json.dumps(entry, allow_nan=False, ensure_ascii=False) for entry in value]
        return "[" + pad + ("," + pad).join(rows) + "\n" + " " * indent + "]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
