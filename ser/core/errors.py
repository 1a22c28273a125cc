"""The one exception for a user's mistake: it names the file, the line, the value and the remedy."""

from __future__ import annotations

import os


class UserError(Exception):
    """Something the user can mend; the command line prints it without a traceback and exits with 2.

    Args:
        what: the mistake, as one sentence without a full stop.
        file: the file in which it was found.
        line: its line, counted from 1.
        value: the offending value, shown in quotes.
        hint: what to do about it, as an imperative sentence.

    >>> print(UserError("duplicate utterance", file="data/utt2spk", line=3, value="a-1", hint="Remove one"))
    data/utt2spk:3: duplicate utterance: 'a-1'. Remove one.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        what = " ".join(map(str.strip, what.splitlines()))  # a library's message may have several lines
        self.what, self.file, self.line, self.value, self.hint = what, file, line, value, hint
        where = ""
        if file is not None:
            where = f"{os.fspath(file)}:{line}: " if line is not None else f"{os.fspath(file)}: "
        shown = "" if value is None else f": {str(value)[:200]!r}"
        remedy = "" if hint is None else f" {hint.rstrip('.')}."
        super().__init__(f"{where}{what.rstrip('.')}{shown}.{remedy}")
