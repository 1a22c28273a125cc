"""scores.jsonl: what RESULTS.md was made from, kept beside it, so that tables can be made again and checked.

A line an experiment: its scores.json without the utterances and the learning curves, which no table shows and
which are most of the file. A repository that has RESULTS.md has scores.jsonl too; experiments it has not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser.core.config import to_plain
from ser.core.errors import UserError
from ser.scoring.schema import Scores, Utterances
from ser.scoring.typed import build

FILE = "scores.jsonl"
# The folders of a path, up to its last part.
FOLDERS = re.compile(r"(?<![^:=\s])/(?:[^/\s]+/)*(?=[^/\s])")


def lean(scores: Scores) -> Scores:
    """Without what no table shows, and without the names of a machine's folders."""
    fits = [replace(fit, curve=[]) for fit in scores.fits]
    info = _without_folders(scores.info)
    return replace(scores, info=info, fits=fits, utterances=Utterances([], [], [], [], {}, []))


def _without_folders(value: Any) -> Any:
    """``hf:/home/me/models/encoder`` becomes ``hf:<folder>/encoder``, at any depth.

    >>> _without_folders({"upstream": "hf:/home/me/encoder", "data": "data/train"})
    {'upstream': 'hf:<folder>/encoder', 'data': 'data/train'}
    """
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return FOLDERS.sub("<folder>/", value) if isinstance(value, str) else value


def published_text(experiments: Sequence[Scores]) -> str:
    """The file's content, in the order of sets and names."""
    ordered = sorted(experiments, key=lambda scores: (scores.data.corpus, scores.data.set, scores.experiment))
    lines = (
        json.dumps(to_plain(lean(scores)), ensure_ascii=False, separators=(",", ":")) for scores in ordered
    )
    return "".join(f"{line}\n" for line in lines)


def read_published(path: Path) -> list[Scores]:
    """Read what ``published_text`` made.

    Raises:
        UserError: when the file is missing, or a line is not as it was written.
    """
    if not path.is_file():
        raise UserError(f"no {FILE} beside RESULTS.md", file=path, hint="Run 'ser benchmark table' again")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(build(Scores, json.loads(line)))
        except ValueError as error:
            what = f"not as 'ser benchmark table' writes it: {error}"
            raise UserError(what, file=path, line=number) from None
    if not found:
        raise UserError("no experiments in it", file=path)
    return found
