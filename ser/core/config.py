"""Configuration: YAML and ``--a.b value`` onto dataclasses, through jsonargparse.

Types are checked, an unknown key is refused with the nearest known one, and nothing in a YAML
file can name code to run.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
import typing
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse

from ser.core.errors import UserError
from ser.core.files import read_yaml, write_yaml

# What jsonargparse raises, whatever it gets.
COMPLAINTS = (jsonargparse.ArgumentError, TypeError, ValueError, LookupError, AttributeError, RecursionError)


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose complaints are one-line ``UserError`` with a suggestion."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(exit_on_error=False, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the complaint as a ``UserError``, with the nearest known name."""
        text = re.sub(r"\s+", " ", str(message)).strip()
        raise UserError(text + self._suggestion(text), hint=f"See '{self.prog} --help'")

    def parse_args(self, args: list[str] | None = None, **kwargs: Any) -> jsonargparse.Namespace:  # type: ignore[override]
        """Parse, turning every complaint of jsonargparse into a ``UserError``.

        A mistake in the file of ``--config`` is told with the file's name.
        """
        given = list(sys.argv[1:] if args is None else args)
        file, others = _config_file(given)
        if file is not None and Path(file).exists() and not isinstance(read_yaml(file), dict):
            raise UserError("not a mapping of options to values", file=file)
        try:
            try:
                found = super().parse_args(given, **kwargs)
                self._refuse_misplaced(found)
                return found
            except COMPLAINTS as error:
                self.error(str(error))
        except UserError as complaint:
            if file is None or complaint.file is not None or not self._takes(others, **kwargs):
                raise
            raise UserError(complaint.what, file=file, hint=complaint.hint) from None

    def format_help(self) -> str:
        """The help, without the code marks of the docstrings that it is made of."""
        return super().format_help().replace("``", "")

    def _takes(self, args: list[str], **kwargs: Any) -> bool:
        """Whether there is nothing to complain of in ``args``."""
        try:
            self._refuse_misplaced(super().parse_args(args, **kwargs))
        except (*COMPLAINTS, UserError):
            return False
        return True

    def instantiate(self, cfg: jsonargparse.Namespace, **kwargs: Any) -> jsonargparse.Namespace:
        """Build the dataclasses, refusing a single value where a group of options belongs."""
        self._refuse_misplaced(cfg)
        return super().instantiate(cfg, **kwargs)

    def _refuse_misplaced(self, cfg: jsonargparse.Namespace) -> None:
        """Complain where a value, or nothing, stands for a group of options, or nothing for a value."""
        for name in {action.dest.rpartition(".")[0] for action in self._actions} - {""}:
            value = cfg.get(name, jsonargparse.Namespace())
            if not isinstance(value, jsonargparse.Namespace):
                got = "nothing" if value is None else repr(value)
                self.error(f"'{name}' is a group of options, not a value; got {got}")
        for action in self._actions:
            if _wants_value(action) and action.dest in cfg and cfg[action.dest] is None:
                self.error(f"'{action.dest}' has no value: give it one, or leave the line out")

    def instantiate_saved(self, saved: dict[str, Any], file: Path, hint: str) -> jsonargparse.Namespace:
        """Build the dataclasses of a resolved configuration that was read from ``file``.

        Raises:
            UserError: naming the file and ``hint``, when it is not of this release, or not what was written.
        """
        try:
            return self.instantiate(self.parse_object(saved))
        except (UserError, *COMPLAINTS) as error:
            what = " ".join(str(getattr(error, "what", error)).split())
            raise UserError(what, file=file, hint=hint) from None

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


def _wants_value(action: Any) -> bool:
    """Whether an option cannot be nothing: jsonargparse takes an empty line of a YAML file for any type."""
    kind = getattr(action, "_typehint", action.type)
    return kind is not None and action.default is not None and type(None) not in typing.get_args(kind)


def _config_file(args: list[str]) -> tuple[str | None, list[str]]:
    """The value of ``--config``, and the other arguments."""
    for place, word in enumerate(args):
        if word == "--config" and place + 1 < len(args):
            return args[place + 1], args[:place] + args[place + 2 :]
        if word.startswith("--config="):
            return word.partition("=")[2], args[:place] + args[place + 1 :]
    return None, args


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
