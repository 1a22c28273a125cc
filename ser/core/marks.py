"""Stage marks: what a finished stage was made from, so that the next run knows whether to do it again.

A mark holds the configuration of one item of work and a digest of every input file, taken before
the work began. The item is up to date when configuration and digests are the same and the files it
promised are still there. Modification times are never asked: a copied or freshly cloned tree keeps
its marks, a touched file costs nothing.

The stage engine runs this file by its path before anything is installed, hence: standard library
only, nothing else of this package.

    marks.py check MARK [--begin] [--force] [--config NAME=VALUE ...] [--input PATH ...]
             [--input-as NAME PATH]
    marks.py finish MARK [--output PATH ...]
    marks.py digest [--audio WAV_SCP] [PATH ...]

``check`` exits with 0 when the item is up to date; 10 when it is to be done; 11 when what is there
of it was made from something else; 3 when inputs are missing; 2 on any other mistake. The reason, or
the paths, are on standard output.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

VERSION = 1
WHOLE = 1 << 20  # bytes: files up to twice this are read whole, of longer ones the first and the last
AUDIO = 1 << 12  # the same for audio, of which a corpus has 100,000 files
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".sph", ".aif", ".aiff", ".mp4", ".avi"}

UP_TO_DATE, MISTAKE, NO_INPUT, TO_DO, OUTDATED = 0, 2, 3, 10, 11


class MissingInput(Exception):
    """Inputs that are not there; ``args`` are their paths."""


class Inputs(NamedTuple):
    """What an item of work is made from.

    Args:
        config: name -> value of every option that changes the result.
        files: path (or the name it goes by) -> digest.
    """

    config: dict[str, str]
    files: dict[str, str]


class Mark:
    """The mark of one item of work, a small JSON file.

    Args:
        path: where the mark is; while the work goes on, ``<path>.begun`` is there instead.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.begun = self.path.with_name(self.path.name + ".begun")

    def state(self, now: Inputs) -> tuple[int, str]:
        """``UP_TO_DATE``, ``TO_DO`` or ``OUTDATED``, and why."""
        begun = self.begun.exists()
        try:
            found = json.loads((self.begun if begun else self.path).read_text(encoding="utf-8"))
            then, outputs = Inputs(**found["inputs"]), list(found.get("outputs", ()))
            if found["version"] != VERSION:
                return OUTDATED, "its mark is of another release"
        except FileNotFoundError:
            return TO_DO, "not done yet"
        except (OSError, ValueError, KeyError, TypeError):
            return OUTDATED, f"its mark {self.path} cannot be read"
        changes = [*_changed_options(then.config, now.config), *_changed_files(then.files, now.files)]
        if changes:
            return OUTDATED, _at_most(changes, 3)
        if begun:
            return TO_DO, "it was begun and not finished"
        if absent := [f"{output} is missing" for output in outputs if not is_there(output)]:
            return TO_DO, _at_most(absent, 3)
        return UP_TO_DATE, "up to date"

    def begin(self, now: Inputs) -> None:
        """Note what the work is about to be made from; from here on the old mark is void."""
        _write_whole(self.begun, {"version": VERSION, "inputs": now._asdict()})
        self.path.unlink(missing_ok=True)

    def finish(self, outputs: Iterable[str]) -> None:
        """Turn the note of ``begin`` into the mark.

        Raises:
            MissingInput: when a promised output is missing or empty; the work stays unfinished.
        """
        outputs = sorted(outputs)
        if absent := [output for output in outputs if not is_there(output)]:
            raise MissingInput(*absent)
        note = json.loads(self.begun.read_text(encoding="utf-8"))
        _write_whole(self.path, {**note, "outputs": outputs})
        self.begun.unlink()


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a file with something in it or a folder with something in it."""
    try:
        return any(os.scandir(path)) if os.path.isdir(path) else os.path.getsize(path) > 0
    except OSError:
        return False


def digest_file(path: str | os.PathLike[str]) -> str:
    """Digest of size and content; of long files, of the first and the last MiB (audio: 4 KiB)."""
    edge = AUDIO if os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES else WHOLE
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha256(b"%d\n" % size)
        if size <= 2 * edge:
            digest.update(stream.read())
        else:
            digest.update(stream.read(edge))
            stream.seek(size - edge)
            digest.update(stream.read(edge))
    return digest.hexdigest()[:32]


def digest_inputs(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Digest files, and every file below folders but hidden ones.

    Args:
        named: (name to record, path) pairs.

    Raises:
        MissingInput: naming all the paths that are not there.
    """
    files: dict[str, str] = {}
    absent = []
    for name, path in named:
        if os.path.isdir(path):
            files.update((os.path.join(name, below), os.path.join(path, below)) for below in _below(path))
        elif os.path.isfile(path):
            files[name] = path
        else:
            absent.append(path)
    if absent:
        raise MissingInput(*absent)
    return dict(zip(files, _digest_all(files.values()), strict=True))


def digest_audio(wav_scp: str | os.PathLike[str]) -> str:
    """One digest over the audio files that a wav.scp names; missing files and pipes count by their name."""
    entries = [line.rstrip().split(maxsplit=1) for line in _lines(wav_scp)]
    paths = [entry[1] for entry in entries if len(entry) == 2]
    present = [path for path in paths if os.path.isfile(path)]
    digests = dict(zip(present, _digest_all(present), strict=True))
    return hashlib.sha256(
        "\n".join(digests.get(path, path) for path in paths).encode(errors="surrogateescape")
    ).hexdigest()[:32]


def _lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a table; one in another encoding is the validator's to complain of, not ours."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        raise MissingInput(os.fspath(path)) from None


def _digest_all(paths: Iterable[str]) -> list[str]:
    """Digests in the order of ``paths``; on threads, since a corpus on a network disk is all waiting."""
    paths = list(paths)
    if len(paths) < 32:
        return [digest_file(path) for path in paths]
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and most items have few files

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(digest_file, paths))


def _below(folder: str) -> list[str]:
    """Relative paths of all files below ``folder`` but hidden ones, in order."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names if name[0] != "."]
    return sorted(found)


def _changed_options(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """``epochs was '3', is now '5'`` for each option that differs."""
    names = sorted(then.keys() | now.keys())
    return [
        f"{name} was {_show(then.get(name))}, is now {_show(now.get(name))}"
        for name in names
        if then.get(name) != now.get(name)
    ]


def _changed_files(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """``conf/a.yaml changed``, ``... is new`` and ``... is no longer an input``."""
    changed = [f"{name} changed" for name in sorted(then.keys() & now.keys()) if then[name] != now[name]]
    new = [f"{name} is new" for name in sorted(now.keys() - then.keys())]
    gone = [f"{name} is no longer an input" for name in sorted(then.keys() - now.keys())]
    return changed + new + gone


def _show(value: str | None) -> str:
    return "not given" if value is None else repr(value)


def _at_most(reasons: list[str], most: int) -> str:
    """The reasons as one line, the rest of many as a count."""
    rest = len(reasons) - most
    return "; ".join(reasons[:most]) + (f"; and {rest} more" if rest > 0 else "")


def _write_whole(path: Path, value: object) -> None:
    """As ``ser.core.files.write_json``, which needs packages that may not be installed yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="marks.py", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("check", help="is the item up to date?")
    check.add_argument("mark")
    check.add_argument("--begin", action="store_true", help="if it is not, note that the work begins")
    check.add_argument("--force", action="store_true", help="do it whatever the mark says")
    check.add_argument("--config", type=_option, nargs="*", action="extend", default=[])
    check.add_argument("--input", nargs="*", action="extend", default=[])
    check.add_argument("--input-as", nargs=2, action="append", default=[], metavar=("NAME", "PATH"))
    finish = verbs.add_parser("finish", help="the work is done")
    finish.add_argument("mark")
    finish.add_argument("--output", nargs="*", action="extend", default=[])
    digest = verbs.add_parser("digest", help="one digest over files, folders and the audio of a wav.scp")
    digest.add_argument("--audio", metavar="WAV_SCP")
    digest.add_argument("path", nargs="*")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code that the module's docstring tells."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.verb == "digest":
            parts = [*digest_inputs(zip(arguments.path, arguments.path, strict=True)).values()]
            parts += [digest_audio(arguments.audio)] if arguments.audio else []
            print(parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32])
            return UP_TO_DATE
        mark = Mark(arguments.mark)
        if arguments.verb == "finish":
            mark.finish(arguments.output)
            return UP_TO_DATE
        named = [(path, path) for path in arguments.input] + [tuple(pair) for pair in arguments.input_as]
        now = Inputs(dict(arguments.config), digest_inputs(named))
        code, reason = (OUTDATED, "forced") if arguments.force else mark.state(now)
        if code != UP_TO_DATE:
            print(reason)
            if arguments.begin:
                mark.begin(now)
        return code
    except MissingInput as missing:
        print("\n".join(missing.args))
        return NO_INPUT
    except OSError as error:
        print(f"marks.py: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return MISTAKE


if __name__ == "__main__":
    sys.exit(main())
