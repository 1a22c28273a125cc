"""Safetensors files: opened, or a message that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ser.core.errors import UserError


@contextmanager
def open_tensors(
    path: str | os.PathLike[str],
    missing: str = "no such file",
    hint: str | None = None,
    framework: str = "pt",
) -> Iterator[Any]:
    """The open file; what it holds is read when asked for, and no code of it is run.

    Args:
        path: a ``.safetensors`` file.
        missing: what to say when there is none.
        hint: what to do then.
        framework: whose tensors to make, "pt" or "numpy".

    Raises:
        UserError: no such file, or another kind of file, which may show only when a tensor is read.
        OSError: it may not be read.
    """
    if not Path(path).is_file():
        raise UserError(missing, file=path, hint=hint)
    with open(path, "rb"):  # safetensors says "no such file" of one that it may not read
        pass
    try:
        with safe_open(os.fspath(path), framework=framework) as stored:
            yield stored
    except SafetensorError as error:
        raise UserError("not a safetensors file", file=path, value=error) from None
