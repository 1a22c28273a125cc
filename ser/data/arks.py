"""Kaldi archives of float matrices, float vectors and int32 vectors, through kaldiio.

An archive is a pair ``<stem>.ark`` and ``<stem>.scp``; a line of the scp is ``<utterance>
<ark>:<offset>`` with the path of the ark as its writer gave it (as in Kaldi, relative to the
working directory of the recipe).
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import kaldiio
import numpy as np
from kaldiio.matio import read_kaldi, write_array

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.data.table import line_of, read_table, write_table
from ser.data.wording import counted

MAX_OPEN_ARKS = 64
MOST_DIGITS = 19  # of an offset that a file can have
# What kaldiio and numpy raise, whatever bytes they get.
DAMAGE = (
    OSError, ValueError, TypeError, AssertionError, RuntimeError, LookupError, ArithmeticError, MemoryError,
    EOFError, struct.error,
)  # fmt: skip
# An int32 vector as Kaldi stores it: every element behind a byte that holds its size.
INT32_ELEMENT = np.dtype([("size", "u1"), ("value", "<i4")])


class ArkWriter:
    """Writes ``<stem>.ark`` and ``<stem>.scp``, both or none, when the ``with`` block ends well.

    The ark holds the arrays in the order in which they were written; the scp is in C order. The
    same arrays in the same order give the same bytes.

    Args:
        stem: path without suffix; the scp names the ark by it as given, not made absolute.
        compression: None, or kaldiio's method for matrices: 3 is two bytes a value, with an error of
            about (max - min) / 131070 at most; vectors are never compressed.
    """

    def __init__(self, stem: str | os.PathLike[str], compression: int | None = None) -> None:
        self.ark, self.scp = (Path(os.fspath(stem) + suffix) for suffix in (".ark", ".scp"))
        self.compression = compression
        self._places: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> ArkWriter:
        """Open the temporary file."""
        self._stream = self._stack.enter_context(whole_file(self.ark, "wb"))
        return self

    def write(self, utterance: str, array: np.ndarray) -> None:
        """Append one array.

        Args:
            utterance: its key, one word, not yet written.
            array: float ``(rows, columns)`` or ``(dim,)``, stored as float32; or integers ``(n,)``,
                stored as int32. Not empty.

        Raises:
            UserError: for a duplicate key, a value that is not finite or not representable.
            ValueError: for an array of another shape or kind, which is a mistake of the caller.
        """
        if self._stream is None:
            raise ValueError("ArkWriter.write outside its with block")
        if utterance in self._places:
            raise UserError("utterance written twice", file=self.ark, value=utterance)
        if utterance.encode().split() != [utterance.encode()]:
            raise UserError("an utterance must be one word", file=self.ark, value=utterance)
        array = self._checked(utterance, np.asarray(array))
        self._stream.write(utterance.encode() + b" ")
        self._places[utterance] = f"{self.ark}:{self._stream.tell()}"
        if array.dtype == np.int32:
            elements = np.empty(len(array), INT32_ELEMENT)
            elements["size"], elements["value"] = 4, array
            self._stream.write(b"\0B" + struct.pack("<bi", 4, len(array)) + elements.tobytes())
        else:
            write_array(self._stream, array, compression_method=self.compression if array.ndim == 2 else None)

    def _checked(self, utterance: str, array: np.ndarray) -> np.ndarray:
        """``array`` as contiguous float32 or int32."""
        floating, integral = (np.issubdtype(array.dtype, kind) for kind in (np.floating, np.integer))
        if not (floating and array.ndim in (1, 2)) and not (integral and array.ndim == 1):
            raise ValueError(f"{utterance}: {array.dtype} of shape {array.shape} is no Kaldi array")
        if not array.size:
            raise UserError(f"array of utterance {utterance!r} is empty", file=self.ark, value=array.shape)
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(array, dtype=np.float32 if floating else np.int32)
        if floating and not np.isfinite(stored).all():
            worst = array[~np.isfinite(stored)][0]
            raise UserError(f"values of utterance {utterance!r} are not finite", file=self.ark, value=worst)
        if integral and not np.array_equal(stored, array):
            raise UserError(f"integers of utterance {utterance!r} do not fit 32 bits", file=self.ark)
        return stored

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put both files in place, or drop what was written when the block failed."""
        self._stream = None
        if kind is None and not self._places:
            error = UserError("no utterance was written", file=self.ark)
            self._stack.__exit__(type(error), error, None)
            raise error
        if kind is None:
            # An old scp must never point into the new ark, should the process die in between.
            self.scp.unlink(missing_ok=True)
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            write_table(self.scp, self._places)


def read_scp(path: str | os.PathLike[str], allow_unsafe: bool = False) -> dict[str, str]:
    """Read an scp: utterance -> ``ark:offset``, in C order.

    Raises:
        UserError: as ``read_table``, and for a ``cmd |`` unless ``allow_unsafe``.
    """
    entries = read_table(path)
    for utterance, entry in entries.items():
        if "|" in (entry[0], entry[-1]) and not allow_unsafe:
            raise UserError(
                f"the entry of {utterance!r} is a command, which is not run",
                file=path, line=line_of(entries, utterance), value=entry,
            )  # fmt: skip
    return entries


class ArkReader(Mapping[str, np.ndarray]):
    """The arrays of an scp, read when asked for.

    Arks are mapped into memory, so that reading many small matrices opens each ark once, and a
    forked process shares no file position with its parent.

    Args:
        scp: path of the scp.
        allow_unsafe: run ``cmd |`` and unpickle, as kaldiio does by itself; for trusted files only.

    Raises:
        UserError: as ``read_scp``; on access also for an ark that is missing or damaged, and for an
            entry that is no matrix or vector (pickled entries among them).
    """

    def __init__(self, scp: str | os.PathLike[str], allow_unsafe: bool = False) -> None:
        self.scp, self.allow_unsafe = Path(scp), allow_unsafe
        self.entries = read_scp(scp, allow_unsafe)
        self._maps: OrderedDict[str, mmap.mmap] = OrderedDict()

    def __len__(self) -> int:
        """Number of utterances."""
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        """Utterances in C order."""
        return iter(self.entries)

    def __contains__(self, utterance: object) -> bool:
        """Whether the scp has the utterance; nothing is read."""
        return utterance in self.entries

    def __getitem__(self, utterance: str) -> np.ndarray:
        """An utterance's array: writable float32 ``(rows, columns)`` or ``(dim,)``, or int32 ``(n,)``."""
        if utterance not in self.entries:
            raise UserError("no such utterance", file=self.scp, value=utterance)
        entry = self.entries[utterance]
        try:
            array = kaldiio.load_mat(entry) if self.allow_unsafe else self._read(*_place(entry))
        except UserError as error:
            raise self._error(utterance, error.what) from None
        except FileNotFoundError:
            raise self._error(utterance, "no such ark") from None
        except DAMAGE as error:
            raise self._error(
                utterance, f"damaged or truncated ark ({error or type(error).__name__})"
            ) from None
        if not isinstance(array, np.ndarray):
            raise self._error(utterance, "neither a matrix nor a vector")
        return np.array(array, dtype=np.int32 if np.issubdtype(array.dtype, np.integer) else np.float32)

    def load(self, utterances: Iterable[str]) -> list[np.ndarray]:
        """The arrays of ``utterances``, in their order; read in the order of the arks."""
        wanted = list(utterances)
        missing = [utterance for utterance in wanted if utterance not in self.entries]
        if missing:
            raise UserError(
                f"{counted(len(missing), 'utterance')} missing, the first", file=self.scp, value=missing[0]
            )
        order = sorted(set(wanted), key=lambda utterance: _sort_key(self.entries[utterance]))
        arrays = {utterance: self[utterance] for utterance in order}
        return [arrays[utterance] for utterance in wanted]

    def __getstate__(self) -> dict[str, object]:
        """Everything but the memory maps, which another process makes itself."""
        return {**self.__dict__, "_maps": OrderedDict()}

    def _read(self, ark: str, offset: int) -> np.ndarray:
        """One array, after a look at what its bytes say they are."""
        if ark not in self._maps:
            if os.path.exists(ark) and not os.path.isfile(ark):
                raise UserError("no regular file")  # a pipe would keep us waiting
            with open(ark, "rb") as stream:
                self._maps[ark] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            if len(self._maps) > MAX_OPEN_ARKS:
                self._maps.popitem(last=False)[1].close()
        data = self._maps[ark]
        self._maps.move_to_end(ark)
        head = data[offset : offset + 15]
        if head[:3] == b"\0B\4":
            (length,) = struct.unpack("<I", head[3:7])
            elements = np.frombuffer(data[offset + 7 : offset + 7 + 5 * length], INT32_ELEMENT, length)
            if not (elements["size"] == 4).all():
                raise ValueError("integers of another size")
            return elements["value"]
        if head[:2] != b"\0B" and not head.lstrip().startswith(b"["):
            kind = (
                "a pickled object, which is not loaded" if head[:3] == b"PKL" else "no Kaldi matrix or vector"
            )
            raise UserError(f"{ark}:{offset} is {kind}")
        data.seek(offset)
        return read_kaldi(_Peekable(data))

    def _error(self, utterance: str, what: str) -> UserError:
        """A ``UserError`` that names the scp, the line, the utterance and its entry."""
        return UserError(
            f"utterance {utterance!r}: {what}", file=self.scp,
            line=line_of(self.entries, utterance), value=self.entries[utterance],
        )  # fmt: skip


class _Peekable:
    """A memory map as the seekable file that kaldiio expects (``mmap.seekable`` is new in 3.13)."""

    def __init__(self, data: mmap.mmap) -> None:
        self.read, self.tell, self._seek = data.read, data.tell, data.seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new position."""
        self._seek(offset, whence)
        return self.tell()

    def seekable(self) -> bool:
        """True."""
        return True


def _place(entry: str) -> tuple[str, int]:
    """Path and offset of an scp entry; an entry without an offset is a file with one array."""
    if entry.endswith("]"):
        raise UserError("ranges in an scp are not supported")
    return _sort_key(entry)


def _sort_key(entry: str) -> tuple[str, int]:
    """Where an entry lies, for reading in order; commands and ranges as they stand."""
    path, colon, offset = entry.rpartition(":")
    is_offset = colon and offset.isdecimal() and len(offset) < MOST_DIGITS
    return (path, int(offset)) if is_offset else (entry, 0)


def combine_scps(scps: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> int:
    """Merge the scps of several jobs into one, in C order; return the number of utterances.

    Raises:
        UserError: when an utterance is in two of them.
    """
    merged: dict[str, str] = {}
    origin: dict[str, str | os.PathLike[str]] = {}
    for scp in scps:
        for utterance, entry in read_scp(scp).items():
            if utterance in merged:
                raise UserError(f"utterance is also in {origin[utterance]}", file=scp, value=utterance)
            merged[utterance], origin[utterance] = entry, scp
    write_table(out, merged)
    return len(merged)
