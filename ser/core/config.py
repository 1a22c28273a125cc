"""Configuration: YAML and ``--a.b value`` onto dataclasses, through jsonargparse.

Types are checked, an unknown key is refused with the nearest known one, and nothing in a YAML
file can name code to run.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse

from ser.core.errors import UserError
from ser.core.files import write_yaml


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose complaints are one-line ``UserError`` with a suggestion."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(exit_on_error=False, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the complaint as a ``UserError``, with the nearest known name."""
        text = re.sub(r"\s+", " ", str(message)).strip()
        raise UserError(text + self._suggestion(text), hint=f"See '{self.prog} --help'")

    def parse_args(self, args: list[str] | None = None, **kwargs: Any) -> jsonargparse.Namespace:  # type: ignore[override]
        """Parse, turning every complaint of jsonargparse into a ``UserError``."""
        try:
            return super().parse_args(args, **kwargs)
        except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
            self.error(str(error))

    def instantiate(self, cfg: jsonargparse.Namespace, **kwargs: Any) -> jsonargparse.Namespace:
        """Build the dataclasses, refusing a single value where a group of options belongs."""
        for name in {action.dest.rpartition(".")[0] for action in self._actions} - {""}:
            value = cfg.get(name, jsonargparse.Namespace())
            if not isinstance(value, jsonargparse.Namespace):
                got = "nothing" if value is None else repr(value)
                self.error(f"'{name}' is a group of options, not a value; got {got}")
        return super().instantiate(cfg, **kwargs)

    def _suggestion(self, text: str) -> str:
        """``; did you mean ...`` for the first unknown key named in ``text``."""
        unknown = re.search(
            r"(?:[Uu]nrecognized arguments?:|[Kk]ey|[Oo]ption|accept(?: nested)? key) '?-*([\w.\-]+)",
            text,
        )
        if unknown is None:
            return ""
        known = [
            name.lstrip("-") for action in self._actions for name in action.option_strings or [action.dest]
        ]
        near = difflib.get_close_matches(unknown.group(1).split("=")[0], known, n=1, cutoff=0.5)
        return f"; the nearest known name is {near[0]!r}" if near else ""


def to_plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as the dicts, strings and lists that YAML and JSON hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def save(path: Path, value: Any) -> None:
    """Write the resolved configuration ``value`` (a dataclass) as plain YAML."""
    write_yaml(path, to_plain(value))
