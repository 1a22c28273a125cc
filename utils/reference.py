#!/usr/bin/env python3
"""Writes docs/reference/: every verb and option, out of the commands' own parsers and the scripts' own help.

    python utils/reference.py            # write the pages
    python utils/reference.py --check    # exit code 1, and the names of the pages, where one is out of date

A page says what ``--help`` says, so a help text that is wrong is mended in the code. ``tests/docs`` checks
that the pages are those of the code.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from jsonargparse import ActionConfigFile

from ser.cli.benchmark import USAGES
from ser.cli.main import VERBS
from ser.cli.prepare import ACTIONS
from ser.core.config import Parser
from ser.corpora.base import CORPORA

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- made by `python utils/reference.py`; mend the help text in the code, then run it -->"
# Verbs that have further words before their options.
KINDS = {"prepare": [*CORPORA, *ACTIONS], "benchmark": list(USAGES)}
# Scripts with options: title -> file. What a recipe links to stands once, where it lies.
SCRIPTS = {
    "run.sh of the recipes ser1, papt1 and finetune1": "egs/TEMPLATE/ser1/ser.sh",
    "run.sh of the recipes mal1": "egs/TEMPLATE/mal1/mal.sh",
    "run.sh of cross_corpus": "egs/cross_corpus/ser1/run.sh",
    "local/ablation.sh of ser1": "egs/TEMPLATE/ser1/local/ablation.sh",
    "local/odyssey.sh of msp_podcast": "egs/msp_podcast/ser1/local/odyssey.sh",
    "local/speakers.sh of papt1": "egs/TEMPLATE/papt1/local/speakers.sh",
    "local/grid.sh of papt1": "egs/TEMPLATE/papt1/local/grid.sh",
    "local/unseen.sh of papt1": "egs/TEMPLATE/papt1/local/unseen.sh",
    "utils/new_recipe.sh": "utils/new_recipe.sh",
    "utils/run.sh": "utils/run.sh",
    "utils/slurm.sh": "utils/slurm.sh",
    "tools/install.sh": "tools/install.sh",
}


class _Found(Exception):
    """Carries a parser out of a verb."""


def parser_of(verb: str, *words: str) -> Parser:
    """The parser with which ``ser VERB WORDS`` would read its options."""

    def stop(parser: Parser, *_: object, **__: object) -> None:
        raise _Found(parser)

    with mock.patch.object(Parser, "parse_args", stop):
        try:
            importlib.import_module(f"ser.cli.{verb.replace('-', '_')}").main(list(words))
        except _Found as found:
            return found.args[0]
    raise RuntimeError(f"ser {verb} {' '.join(words)} read no options")


def options_of(parser: Parser) -> Iterator[tuple[str, list[argparse.Action]]]:
    """(title, its options) of each group that has any; what every parser has is left out."""
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            # --help, --print_config, and --task FILE beside --task.emotion
            if action.default != argparse.SUPPRESS and action.help != argparse.SUPPRESS
        ]
        if actions:
            title = {"positional arguments": "arguments"}.get(group.title or "", group.title or "")
            yield title[:1].upper() + title[1:], actions


def prose(text: str) -> str:
    """Help as Markdown of one line: ``a`` to `a`, and nothing that a browser would take for a tag."""
    parts = re.split(r"(``.+?``)", re.sub(r"\s+", " ", text).strip())
    for place, part in enumerate(parts):
        if part.startswith("``"):
            parts[place] = f"`{part[2:-2]}`"
        else:
            part = part.replace("&", "&amp;").replace("<", "&lt;").replace("*", r"\*").replace("`", r"\`")
            parts[place] = re.sub(r"(?<!\w)_|_(?!\w)", r"\_", part)
    return "".join(parts).replace("|", r"\|")


def code(text: str) -> str:
    """A value as code in a table's cell."""
    return "`" + text.replace("|", r"\|") + "`"


def kind_of(action: argparse.Action) -> str:
    """What a value must be: its choices, or its type."""
    if action.nargs == 0:
        return "switch"
    if action.choices:
        return " ".join(code(str(choice)) for choice in action.choices)
    if isinstance(action, ActionConfigFile):
        return code("Path")
    told = type_name(getattr(action, "_typehint", None) or action.type or str)
    return told + (" ..." if action.nargs in ("*", "+") else "")


def type_name(hint: Any) -> str:
    """A type as a reader writes its values, the same in every Python: ``int`` or ``weighted``."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " ".join(code(str(choice)) for choice in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(part) for part in parts if part is not type(None))
    if hint is bool:
        return "`true` `false`"
    if parts:
        inner = ", ".join(type_name(part).replace("`", "") for part in parts)
        return code(f"{origin.__name__}[{inner}]")
    return code(getattr(hint, "__name__", str(hint)))


def default_of(action: argparse.Action) -> str:
    """What holds where the option is not given."""
    if getattr(action, "required", False):
        return "**required**"
    value = action.default
    if value is None or value == "" or action.nargs == 0:
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(str(value))


def table(actions: list[argparse.Action]) -> list[str]:
    """Rows of a group's options."""
    rows = ["| option | value | default | |", "|---|---|---|---|"]
    for action in actions:
        names = [name for name in action.option_strings if not name.endswith("+")] or [action.dest]
        shown = ", ".join(code(name) for name in names)
        said = prose(action.help or "").removesuffix(".")
        rows.append(f"| {shown} | {kind_of(action)} | {default_of(action)} | {said} |")
    return rows


def command(level: str, parser: Parser) -> list[str]:
    """One command: what it does and its options, under a heading of a level (``#``)."""
    lines = [f"{level} {parser.prog}", "", prose(parser.description or ""), ""]
    for title, actions in options_of(parser):
        lines += [f"{level}# {prose(title)}", "", *table(actions), ""]
    if parser.epilog:
        lines += [prose(parser.epilog), ""]
    return lines


def verb_page(verb: str) -> str:
    """docs/reference/<verb>.md."""
    if verb not in KINDS:
        lines = command("#", parser_of(verb))
    else:
        lines = [f"# ser {verb}", "", prose(VERBS[verb]), ""]
        for kind in KINDS[verb]:
            lines += command("##", parser_of(verb, kind))
    return "\n".join([MADE, "", *lines[:-1], ""])


def help_of(path: Path) -> tuple[str, dict[str, str]]:
    """A script's help, and its options with their defaults, as utils/parse_options.sh reads them."""
    text = path.read_text(encoding="utf-8")
    head = re.split(r"^(?:\.|source) .*parse_options\.sh", text, maxsplit=1, flags=re.MULTILINE)[0]
    message = re.search(r'^help_message="((?:[^"\\]|\\.)*)"', head, flags=re.MULTILINE | re.DOTALL)
    assert message, f"{path} has no help_message"
    said = re.sub(r'\\(["$`\\])', r"\1", message[1].replace("$PROGRAM", f"local/{path.name}"))
    before = head.replace(message[0], "")
    found = re.findall(r"^([a-z][a-z0-9_]*)=(.*)$", before, flags=re.MULTILINE)
    defaults = {name.replace("_", "-"): re.sub(r"\s+#.*", "", value).strip("\"'") for name, value in found}
    return said, {name: value for name, value in defaults.items() if f"--{name}" in said}


def scripts_page() -> str:
    """docs/reference/scripts.md."""
    lines = [MADE, "", "# Scripts", "", "Their options, as `--help` tells them. In a value that is a list,"]
    lines += ["words are separated by spaces; `--config FILE` reads options from `name=value` lines.", ""]
    for title, name in SCRIPTS.items():
        said, defaults = help_of(ROOT / name)
        lines += [f"## {title}", "", f"[{name}](../../{name})", "", "```text", said, "```", ""]
        set_ones = {option: value for option, value in defaults.items() if value}
        if set_ones:
            lines += ["| option | where it is not given |", "|---|---|"]
            lines += [*(f"| `--{option}` | {code(value)} |" for option, value in set_ones.items()), ""]
    return "\n".join([*lines[:-1], ""])


def index_page() -> str:
    """docs/reference/README.md."""
    lines = [MADE, "", "# Reference", "", "Every verb of `ser` and every option, as the code has them."]
    lines += ["`ser VERB --help` tells the same.", ""]
    lines += ["| verb | from what to what |", "|---|---|"]
    lines += [f"| [{verb}]({verb}.md) | {prose(summary)} |" for verb, summary in VERBS.items()]
    lines += ["", "Scripts (`run.sh`, `utils/`, `tools/`): [scripts](scripts.md).", ""]
    lines += [
        "A verb with `--config FILE` takes its options from YAML, too: `--task.emotion false` is",
        "`task: {emotion: false}`. The command line counts over the file, an unknown option is refused with",
        "the nearest known name, and `--print_config` prints what holds.",
        "",
        "| exit code | what has happened |",
        "|---|---|",
        "| 0 | all is done |",
        "| 1 | the system's failure (full disk, no permission); batches that are not exact (`--probe`) |",
        "| 2 | a mistake that the caller can mend, in one line; nothing is half written |",
        "| 130 | interrupted |",
        "",
    ]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """File name -> text of all pages."""
    found = {f"{verb}.md": verb_page(verb) for verb in VERBS}
    return {"README.md": index_page(), "scripts.md": scripts_page(), **found}


def stale(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Pages of ``folder`` that differ from what they should be, are missing, or are too many."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))


def main() -> None:
    """Write, or check."""
    options = argparse.ArgumentParser(description="Makes docs/reference/ of the code.")
    options.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a page would change"
    )
    check = options.parse_args().check
    if importlib.util.find_spec("docstring_parser") is None:
        sys.exit(
            "reference.py: error: no docstring_parser, which reads the options' help. Run tools/install.sh."
        )
    wanted = pages()
    changed = stale(FOLDER, wanted)
    print("\n".join(f"docs/reference/{name}" for name in changed) or "docs/reference: up to date")
    if check:
        sys.exit(1 if changed else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()


if __name__ == "__main__":
    main()
