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
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.durations import durations
from ser.corpora.msp_podcast import protocols, releases
from ser.corpora.msp_podcast.labels import (
    CLASSES,
    Label,
    merge,
    read_consensus,
    read_partitions,
    read_speakers,
)
from ser.corpora.msp_podcast.layout import Layout, find_layout
from ser.corpora.msp_podcast.speakers import DROP, RECORDING, UNKNOWN_SPEAKERS, speaker_ids
from ser.corpora.msp_podcast.tables import Release, data_dir
from ser.corpora.msp_podcast.votes import Votes, read_labels_txt, read_votes
from ser.corpora.paths import find_files
from ser.data.datadir import DataDir
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

CORPUS = Corpus(
    name="msp_podcast",
    title="MSP-Podcast",
    release="2.0",
    licence="academic licence of UT Dallas, by request",
    links=("https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",),
    speech="natural English, podcasts",
)


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
    parser.add_argument("--test-a", type=str, default=None, help="papt: a list of test-a's files, one a line")
    parser.add_argument("--seed", type=int, default=0, help="papt: of the choice of test-a")


def prepare(args: Namespace) -> None:
    """Write ``<out>/<set>`` for every set of the protocol.

    Raises:
        UserError: when the corpus is not there, is not whole, or a file of it is not as it must be.
    """
    found = read(
        CORPUS.find_root(args.db_root), args.release, args.protocol, wanted_sets(args.sets), args.classes,
        args.unknown_speakers, args.test_a, args.seed, args.allow_partial, args.nj,
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

    Raises:
        UserError: as ``prepare``.
    """
    papt = protocol == protocols.PAPT
    letters = class_letters(classes)
    listed = protocols.read_enrolment(Path(enrolment)) if enrolment else None
    layout = find_layout(db_root, release, CORPUS.where)
    labels, votes = read_labels(layout, allow_partial)
    found = find_audio(layout, labels)
    counts = {name: len(files) for name, files in protocols.official_sets(labels).items()}
    release = releases.which_release(layout.root, counts, release)
    partial = check_counts(release, counts, layout.root, allow_partial)
    chosen = choose_sets(counts, wanted, protocol, layout.root)
    audio = check_audio(layout, found, labels, allow_partial)
    seconds = durations(audio, nj)
    unknown = unknown or (DROP if papt else RECORDING)
    speakers = speaker_ids({name: labels[name] for name in audio}, unknown)
    sets = protocols.official_sets({name: labels[name] for name in speakers})
    expected = releases.RELEASES.get(release, {}) if unknown != DROP and not papt else {}
    if papt:
        sets = protocols.papt_sets(sets, speakers, seconds, listed, seed)
        protocols.say_papt(sets, release, drawn=listed is None)
        release = f"{release}, PAPT split{'' if listed else f', test-a reconstructed with seed {seed}'}"
    read = Release(
        layout.root, CORPUS.licence, release, labels, speakers, audio, seconds, letters, votes,
        transcripts_of(layout), partial or len(audio) < len(labels),
    )  # fmt: skip
    if empty := [name for name in chosen if not sets.get(name)]:
        raise UserError("no utterance is left in the set", file=layout.root, value=empty[0])
    return {name: data_dir(name, sets[name], read, expected.get(name)) for name in chosen}


def read_labels(layout: Layout, allow_partial: bool = False) -> tuple[dict[str, Label], Votes | None]:
    """What all files of a release say together, and the workers' votes.

    Raises:
        UserError: for a malformed file, files that contradict each other, audio without a set.
    """
    votes = read_votes(layout.detailed_csv, layout.detailed_json)
    raw = None
    if layout.labels_txt:
        raw, raw_votes = read_labels_txt(layout.labels_txt, count=votes is None)
        votes = votes or raw_votes
    first = layout.labels
    labels = raw if first == layout.labels_txt and raw else read_consensus(first)
    if raw and raw is not labels:
        merge(labels, raw, first, layout.labels_txt)  # type: ignore[arg-type]
    if layout.consensus_json and first != layout.consensus_json:
        merge(labels, read_consensus(layout.consensus_json), first, layout.consensus_json)
    if layout.speakers:
        merge(labels, read_speakers(layout.speakers), first, layout.speakers)
    if layout.partitions:
        partitions = read_partitions(layout.partitions)
        merge(labels, partitions, first, layout.partitions)
        bare = [name for name, label in partitions.items() if name not in labels and label.set != "test3"]
        if bare:
            what = (
                f"{counted(len(bare), 'file')} of {layout.partitions.name} without labels: {first_few(bare)}"
            )
            CORPUS.refuse_partial(what, layout.root, allow_partial)
        labels |= {
            name: label for name, label in partitions.items() if label.set == "test3" and name not in labels
        }
    if homeless := [name for name, label in labels.items() if not label.set]:
        where = layout.partitions.name if layout.partitions else "Partitions.txt, which is not there"
        raise UserError(f"in no set: {first_few(homeless)}", file=first, line=labels[homeless[0]].line,
                        hint=f"The set stands in the column Split_Set or in {where}")  # fmt: skip
    return labels, votes


def check_counts(release: str, counts: Mapping[str, int], root: Path, allow_partial: bool) -> bool:
    """Compare what the label files list with the whole release; return whether some is lacking.

    Raises:
        UserError: for fewer files, unless that is allowed, or more.
    """
    expected = releases.RELEASES.get(release, {})
    if not (wrong := releases.differences(expected, counts)):
        return False
    what = f"release {release} by its labels: {', '.join(wrong)}"
    if releases.too_many(expected, counts):
        hint = "Name the release that it is with --release"
        raise UserError(f"more than the release has, {what}", file=root, hint=hint)
    CORPUS.refuse_partial(what, root, allow_partial)
    return True


def find_audio(layout: Layout, labels: dict[str, Label]) -> dict[str, Path]:
    """File name -> path of all audio that is there.

    Audio of Test3 that no file lists is known by its name, and gets a label without content.
    """
    folders = [folder.resolve() for folder in reversed(layout.audio)]
    found = {path.name: path for folder in folders for path in find_files(folder, (".wav",))}
    if not layout.older and not any(label.set == "test3" for label in labels.values()):
        test3 = [name for name in found if name.startswith("MSP-PODCAST_test3_") and name not in labels]
        labels |= {name: Label(set="test3") for name in test3}
    return found


def check_audio(
    layout: Layout, found: Mapping[str, Path], labels: Mapping[str, Label], allow_partial: bool
) -> dict[str, Path]:
    """File name -> path of the audio that the labels list, in their order.

    Raises:
        UserError: when files are missing and that is not allowed.
    """
    root, home = layout.root.resolve(), layout.audio[0].resolve()
    listed = {name: found.get(name, home / name) for name in labels}
    present = CORPUS.check_files(listed, root, allow_partial)
    CORPUS.report_unlisted(found.values(), listed.values(), root)
    return {name: listed[name] for name in present}


def transcripts_of(layout: Layout) -> dict[str, Path]:
    """File name of the audio -> its transcript."""
    if layout.transcripts is None:
        return {}
    return {f"{path.stem}.wav": path for path in find_files(layout.transcripts, (".txt",))}


def choose_sets(released: Collection[str], wanted: list[str] | None, protocol: str, root: Path) -> list[str]:
    """The sets to write, of those that the release and the protocol have.

    Raises:
        UserError: when one that was asked for is not among them.
    """
    there = set(released) | ({"test-a", "test-b"} if "test1" in released else set())
    known = [name for name in protocols.PROTOCOLS[protocol] if name in there]
    if wanted is None:
        return known
    if absent := [name for name in wanted if name not in known]:
        hint = f'It has {" ".join(known)}: name these, in a recipe with --data-sets "{" ".join(known)}"'
        raise UserError(
            f"protocol {protocol} of this release has no set", file=root, value=absent[0], hint=hint
        )
    return wanted


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
