"""MSP-Podcast: natural English speech from podcasts, 8 classes and arousal, valence, dominance (1..7).

Lotfian and Busso: "Building naturalistic emotionally balanced speech corpus by retrieving emotional
speech from existing podcast recordings", IEEE TAFFC 2019; Busso et al.: "The MSP-Podcast Corpus",
arXiv 2509.09791. Releases 1.3 to 2.0 and the challenges' packages: docs/msp_podcast.md.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Mapping
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import corpus_arguments
from ser.corpora.durations import durations
from ser.corpora.msp_podcast import protocols, releases
from ser.corpora.msp_podcast.about import CORPUS
from ser.corpora.msp_podcast.labels import CLASSES, Label
from ser.corpora.msp_podcast.reading import Copy, check_audio, check_counts, read_copy
from ser.corpora.msp_podcast.speakers import DROP, RECORDING, UNKNOWN_SPEAKERS, speaker_ids, width_of
from ser.corpora.msp_podcast.tables import Release, data_dir
from ser.corpora.msp_podcast.unheard import NAME, TestC, new_files, set_apart
from ser.data.datadir import DataDir

logger = log.get_logger(__name__)

__all__ = ["CORPUS", "add_arguments", "check_counts", "prepare", "read"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare msp_podcast``."""
    corpus_arguments(parser, out="train, validation, test1 ... are")
    parser.add_argument(
        "--release", type=str, default=None, help="1.3 to 2.0, or challenge, where it is not seen"
    )
    parser.add_argument("--protocol", type=str, default=protocols.OFFICIAL, choices=list(protocols.PROTOCOLS),
                        help="which sets: as released, as in a challenge, as in the PAPT paper")  # fmt: skip
    parser.add_argument(
        "--sets", type=str, default=None, help="sets to write, with commas; an absent one is an error"
    )
    parser.add_argument("--classes", type=str, default=",".join(CLASSES),
                        help="letters or names of the classes, with commas, in their order")  # fmt: skip
    parser.add_argument("--unknown-speakers", type=str, default=None, choices=list(UNKNOWN_SPEAKERS),
                        help="one id a podcast (recording, the default), one an utterance, or leave them out "
                        "(drop, the default of papt)")  # fmt: skip
    parser.add_argument("--test-c-root", type=str, default=None,
                        help="papt: folder of a later release, where test-c's speakers are")  # fmt: skip
    parser.add_argument(
        "--test-c-release", type=str, default=None, help="papt: as --release, of test-c's folder"
    )
    parser.add_argument("--test-c", type=str, default=None, help="papt: a list of test-c's files, one a line")
    parser.add_argument("--test-a", type=str, default=None, help="papt: a list of test-a's files, one a line")
    parser.add_argument("--seed", type=int, default=0, help="papt: of the choice of test-a")


def prepare(args: Namespace) -> None:
    """Write ``<out>/<set>`` for every set of the protocol.

    Raises:
        UserError: when the corpus is not there, is not whole, or a file of it is not as it must be.
    """
    found = read(
        CORPUS.find_root(args.db_root), args.release, args.protocol, wanted_sets(args.sets), args.classes,
        args.unknown_speakers, args.test_a, args.seed, args.allow_partial, args.nj, wanted_test_c(args),
    )  # fmt: skip
    for name, data in found.items():
        data.write(Path(args.out) / name)
        logger.info(
            "%s: %d utterances, %d speakers, %d with a class, %.1f hours",
            data.path,
            len(data.utterances),
            len(data.spk2utt),
            len(data.classes_of()),
            sum(data.durations().values()) / 3600,
        )


def read(
    db_root: Path,
    release: str | None = None,
    protocol: str = protocols.OFFICIAL,
    wanted: list[str] | None = None,
    classes: str = ",".join(CLASSES),
    unknown: str | None = None,
    enrolment: str | None = None,
    seed: int = 0,
    allow_partial: bool = False,
    nj: int = 1,
    test_c: TestC | None = None,
) -> dict[str, DataDir]:
    """The sets of a protocol as data directories in memory.

    Args:
        db_root: the folder that holds Audios and Labels.
        release: where it cannot be seen, or an older one out of Previous_releases_information.
        protocol: one of ``protocols.PROTOCOLS``.
        wanted: the sets; None is all that the protocol has and the release holds.
        classes: letters or names, with commas.
        unknown: one of ``UNKNOWN_SPEAKERS``; None is ``recording``, for papt ``drop``.
        enrolment: papt: a file that lists test-a.
        seed: papt: of the choice of test-a.
        allow_partial: accept a copy that lacks files.
        nj: processes that read the audio's headers.
        test_c: papt: where test-c comes from; None makes none.

    Raises:
        UserError: as ``prepare``.
    """
    papt = protocol == protocols.PAPT
    if test_c is not None and not papt:
        raise UserError(
            "--test-c-root, --test-c-release and --test-c are for --protocol papt", value=protocol
        )
    letters = class_letters(classes)
    listed = protocols.read_list(Path(enrolment)) if enrolment else None
    copy = read_copy(db_root, release, allow_partial)
    later = None
    if test_c is not None:
        later = copy if test_c.root is None else read_copy(test_c.root, test_c.release, allow_partial)
    chosen = choose_sets(copy.counts, wanted, protocol, copy.layout.root, test_c is not None)
    labels = copy.labels
    if later is copy:
        labels = set_apart(labels, test_c.files)
    audio = check_audio(copy.layout, copy.found, copy.labels, allow_partial)
    audio = {name: path for name, path in audio.items() if name in labels}
    unknown = unknown or (DROP if papt else RECORDING)
    width = width_of([*copy.labels.values(), *(later.labels.values() if later else ())])
    speakers = speaker_ids({name: labels[name] for name in audio}, unknown, width)
    seconds = durations(audio, nj)
    sets = protocols.official_sets({name: labels[name] for name in speakers})
    expected = releases.RELEASES.get(copy.release, {}) if unknown != DROP and not papt else {}
    named = copy.release
    if papt:
        sets = protocols.papt_sets(sets, speakers, seconds, listed, seed)
        named += f", PAPT split{'' if listed else f', test-a reconstructed with seed {seed}'}"
    lacks = copy.partial or len(audio) < len(labels)
    of_set = dict.fromkeys(sets, copy.release_of(named, labels, speakers, audio, seconds, letters, lacks))
    if test_c is not None and later is not None:
        sets[NAME], of_set[NAME] = read_test_c(later, labels, test_c, letters, width, allow_partial, nj)
    if papt:
        everyone = {name: speaker for found in of_set.values() for name, speaker in found.speakers.items()}
        protocols.say_papt(sets, everyone, copy.release, listed is None)
    if empty := [name for name in chosen if not sets.get(name)]:
        raise UserError("no utterance is left in the set", file=copy.layout.root, value=empty[0])
    return {name: data_dir(name, sets[name], of_set[name], expected.get(name)) for name in chosen}


def read_test_c(
    later: Copy,
    first: Mapping[str, Label],
    test_c: TestC,
    letters: list[str],
    width: int,
    allow_partial: bool,
    nj: int,
) -> tuple[list[str], Release]:
    """test-c's files, and what is known of them.

    Args:
        later: the copy that they are in.
        first: labels of the first release, of whose speakers none may be in test-c.
        test_c: the options.
        letters: the classes.
        width: digits of a speaker's number, the same in all sets.
        allow_partial: as ``read``.
        nj: as ``read``.

    Raises:
        UserError: as ``new_files``, and for missing audio.
    """
    names = new_files(later.labels, first, test_c.files, later.layout.root)
    labels = {name: later.labels[name] for name in names}
    home = later.layout.audio[0].resolve()
    listed = {name: later.found.get(name, home / name) for name in names}
    present = CORPUS.check_files(listed, later.layout.root.resolve(), allow_partial, "test-c lists")
    audio = {name: listed[name] for name in present}
    protocols.say_test_c(later.release, reconstructed=test_c.files is None)
    named = f"{later.release}, PAPT split, test-c{' reconstructed' if test_c.files is None else ''}"
    release = later.release_of(
        named, labels, speaker_ids(labels, DROP, width), audio, durations(audio, nj), letters,
        later.partial or len(audio) < len(labels),
    )  # fmt: skip
    return present, release


def choose_sets(
    released: Collection[str], wanted: list[str] | None, protocol: str, root: Path, test_c: bool = False
) -> list[str]:
    """The sets to write, of those that the release and the protocol have; test-c where it can be made.

    Raises:
        UserError: when one that was asked for is not among them.
    """
    there = set(released) | ({"test-a", "test-b"} if "test1" in released else set())
    there |= {NAME} if test_c else set()
    known = [name for name in protocols.PROTOCOLS[protocol] if name in there]
    if wanted is None:
        return known
    if absent := [name for name in wanted if name not in known]:
        hint = f'It has {" ".join(known)}: name these, in a recipe with --data-sets "{" ".join(known)}"'
        if absent[0] == NAME and protocol == protocols.PAPT:
            hint = "test-c comes out of a later release: give its folder with --test-c-root"
        raise UserError(
            f"protocol {protocol} of this release has no set", file=root, value=absent[0], hint=hint
        )
    return wanted


def wanted_test_c(args: Namespace) -> TestC | None:
    """The options of test-c; None where there are none.

    Raises:
        UserError: for a folder that is none, a list that cannot be read, or a release without a folder.
    """
    if args.test_c_root is None and args.test_c is None:
        if args.test_c_release is not None:
            raise UserError("--test-c-release without --test-c-root", value=args.test_c_release)
        return None
    files = protocols.read_list(Path(args.test_c)) if args.test_c else None
    if args.test_c_root is not None and not Path(args.test_c_root).is_dir():
        raise UserError("--test-c-root is no folder", value=args.test_c_root)
    root = Path(args.test_c_root) if args.test_c_root is not None else None
    return TestC(root, args.test_c_release, files)


def wanted_sets(text: str | None) -> list[str] | None:
    """The sets named in ``--sets``."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def class_letters(text: str) -> list[str]:
    """The classes of ``--classes``, as letters.

    Raises:
        UserError: for a class that there is not, fewer than two, or one named twice.

    >>> class_letters("A, sadness,H,N")
    ['A', 'S', 'H', 'N']
    """
    by_name = {name: letter for letter, name in CLASSES.items()} | {letter: letter for letter in CLASSES}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in by_name:
            known = ", ".join(f"{letter} {name}" for letter, name in CLASSES.items())
            raise UserError("--classes names no such class", value=name, hint=f"Known are {known}")
    letters = [by_name[name] for name in names]
    if len(letters) < 2 or len(set(letters)) < len(letters):
        raise UserError("--classes needs two classes or more, each once", value=text)
    return letters
