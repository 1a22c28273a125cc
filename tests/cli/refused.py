"""A call of ``ser`` that is refused, as its user sees it."""

import sys

import pytest

from ser.cli.main import main


def said(capsys, *words) -> str:
    """The one line of a refused call."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["ser", *map(str, words)])
        main()
    assert end.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    [line] = [line for line in text.splitlines() if line.startswith("ser: error: ")]
    assert text.splitlines()[-1] == line
    return line
