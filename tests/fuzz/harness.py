"""What every parser of a user's file must hold to, whatever the bytes: a right result, or a line naming it.

A file is arbitrary bytes, or a valid file with edits: cut, doubled, bits flipped, tokens put in that have
hurt parsers before. Examples are drawn without a random seed, so that a failure comes again.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ser.core.errors import UserError

HANG = 30  # seconds: no parser takes one for the small files here
CANARY = "canary"  # a file in the working directory that code in a file would make
MOST = 60_000  # bytes

TOKENS = [
    b"", b"\n", b"\r\n", b"\r", b"\t", b" ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x85", b"\x1c",
    b"\xe2\x80\xa8", "é".encode(), "٣".encode(), "²".encode(), b"nan", b"inf", b"-inf", b"1e999", b"-1",
    b"0", b"1_0", b"9" * 400, b"9" * 5000, b"true", b"null", b"~", b"[", b"]", b"{", b"}", b"[" * 3000,
    b'{"a":' * 3000, b"- " * 2000, b": ", b"- ", b",", b";", b"'", b'"', b'"""', b"#", b"%", b"|",
    b"\\", b"&a", b"*a", b"<<: *a", b"&a [*a]", b"? ", b"---\n",
    b"!!python/object/apply:os.system ['touch canary']", b"!!python/name:os.system ", b"!!int x",
    b"!!bool x", b"!!float x", b"!!timestamp x", b"!!set x", b"!!binary x", b"!!pairs [1]",
    b"2020-99-99", b"0b_", b"1:99", b".", b"=", b"touch canary |", b"| touch canary",
    b"$(touch canary)", b"`touch canary`", b"; touch canary", b"../../x", b"/dev/zero", b"/", b"~",
    b":5", b":99999999999999999999", b"[0:1]",
]  # fmt: skip


class Hang(BaseException):
    """A parser that does not come to an end; no ``except`` of its own may take this for damage."""


@dataclass(frozen=True)
class Parser:
    """A reader of one kind of file.

    Args:
        file: the file's name, which some readers look at.
        read: takes its path.
        valid: contents that it takes.
        check: takes its path and the result: raises when the result is not right.
    """

    file: str
    read: Callable[[Path], Any]
    valid: tuple[bytes, ...]
    check: Callable[[Path, Any], None] = lambda path, result: None

    def hold(self, folder: Path, content: bytes) -> None:
        """Read ``content``; any other exception than a ``UserError`` that names the file is raised."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        with _stopped():
            try:
                result = self.read(path)
            except UserError as error:
                assert path.name in str(error), f"the message does not name {path.name}: {error}"
                assert "\n" not in str(error), f"more than one line: {error}"
            else:
                self.check(path, result)
        assert not (folder / CANARY).exists(), "code in the file was run"


def search(parser: Parser, folder: Path, contents: st.SearchStrategy[bytes], examples: int) -> None:
    """Hold the parser to its promise over ``examples`` contents."""

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(contents)
    def holds(content: bytes) -> None:
        parser.hold(folder, content)

    holds()


def arbitrary() -> st.SearchStrategy[bytes]:
    """Bytes, text, and tokens in a row."""
    tokens = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=6), max_size=12).map(b"".join)
    return st.binary(max_size=300) | st.text(max_size=200).map(_encoded) | tokens


def _encoded(text: str) -> bytes:
    """UTF-8; what it cannot hold becomes bytes that are none."""
    return text.encode(errors="surrogatepass")


@st.composite
def mutated(draw: st.DrawFn, valid: tuple[bytes, ...]) -> bytes:
    """A valid file after one to four edits."""
    content = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.sampled_from(EDITS))(draw, content)[:MOST]
    return content


def _span(draw: st.DrawFn, content: bytes) -> tuple[int, int]:
    """Two places in order, often near each other."""
    start = draw(st.integers(0, len(content)))
    return start, min(len(content), start + draw(st.integers(0, 12) | st.integers(0, len(content))))


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return content[:start] + content[end:]


def _double(draw: st.DrawFn, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return content[:end] + content[start:]


def _truncate(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    if not content:
        return content
    place = draw(st.integers(0, len(content) - 1))
    return content[:place] + bytes([content[place] ^ 1 << draw(st.integers(0, 7))]) + content[place + 1 :]


def _overwrite(draw: st.DrawFn, content: bytes) -> bytes:
    """Other bytes of the same number: what sizes and offsets stand on stays."""
    new = draw(
        st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f", b"\x80", b"\xff" * 8]) | st.binary(max_size=8)
    )
    place = draw(st.integers(0, len(content)))
    return content[:place] + new + content[place + len(new) :]


def _put(draw: st.DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.sampled_from(TOKENS)) + content[place:]


def _replace_word(draw: st.DrawFn, content: bytes) -> bytes:
    """A token in the place of what stands between two separators."""
    words = [word for word in content.replace(b",", b" ").replace(b";", b" ").split() if len(word) < 60]
    if not words:
        return content
    return content.replace(draw(st.sampled_from(words)), draw(st.sampled_from(TOKENS)), 1)


def _swap_lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


EDITS = [_cut, _double, _truncate, _flip, _overwrite, _put, _replace_word, _replace_word, _swap_lines]


@contextlib.contextmanager
def _stopped() -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(*_: object) -> None:
        raise Hang(f"still reading after {HANG} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
