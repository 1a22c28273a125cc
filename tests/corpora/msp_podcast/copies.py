"""What tests of MSP-Podcast do with copies of its fixture: prepare them, find a clip, damage a file."""

from pathlib import Path

from ser.core.config import Parser
from ser.corpora import msp_podcast
from ser.data.datadir import DataDir
from tests.fixtures import msp_podcast as fixture

LABELLED = ["train", "validation", "test1", "test2"]


def prepare(root: Path, out: Path, *options: object, partial: bool = True) -> dict[str, DataDir]:
    """As ``ser prepare msp_podcast`` does it, on a copy that is known to be ``partial``: sets by name."""
    parser = Parser(prog="prepare")
    msp_podcast.add_arguments(parser)
    words = ["--db-root", root, "--out", out, *(["--allow-partial"] if partial else []), *options]
    msp_podcast.prepare(parser.parse_args([str(word) for word in words]))
    return {path.name: DataDir.load(path) for path in sorted(Path(out).iterdir())}


def edit(path: Path, old: str, new: str, count: int = 1) -> None:
    """Replace text in a file that has it."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, count).encode())


def clip(letter: str | None = None, set: str = "Train", known: bool = True) -> fixture.Clip:
    """The first clip of the fixture with these traits."""
    return next(
        c for c in fixture.clips() if c.set == set and letter in (None, c.letter) and bool(c.speaker) == known
    )
