"""One's own corpus, from a table: path, speaker, emotion, arousal, valence, dominance, split, text, ...

``ser prepare csv my.csv --db-root audio --out data`` writes a data directory for each split, or one,
``all``, with folds by speaker. ``path`` and one label are needed, every other column may be absent:
speaker, emotion, arousal, valence, dominance, split (train, validation, test...), text, dialogue,
turn, gender, age (years), id. docs/new_corpus.md walks through it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.csv_file import plain_text
from ser.corpora.named_files import assemble, write_all
from ser.corpora.own_rows import ATTRIBUTES, Clip, age_of, gender_of, read_clips, set_of, turns_of
from ser.corpora.paths import find_files, word
from ser.data.datadir import DataDir
from ser.data.labels import CLASS_LABEL, TOTAL, Range
from ser.data.speakers import known
from ser.data.splits import assign_folds
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

FOLDS = 5  # where neither the table nor the user says otherwise


class OwnCorpus(Corpus):
    """A corpus that nobody but its owner has."""

    @property
    def where(self) -> str:
        """A hint that tells what paths are relative to."""
        return f"Paths in {self.title} start from {', '.join(self.links)} (--db-root)"


CORPUS = OwnCorpus("csv", "the table", "unknown", "unknown", ("the table's folder",))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare csv``."""
    parser.add_argument("file", type=str, help="the table: CSV with a header")
    corpus_arguments(parser, out="a data directory for each set is")
    parser.add_argument("--corpus", type=str, default=None, help="short name; by default the table's")
    parser.add_argument("--licence", type=str, default="unknown", help="the corpus's, for labels.yaml")
    parser.add_argument("--range", type=str, default="", help="scales: arousal=1:5,valence=-1:1")
    parser.add_argument("--classes", type=str, default="", help="in order: anger,neutral; by default sorted")
    parser.add_argument(
        "--folds",
        type=int,
        default=None,
        help=f"folds by speaker, without a column split; {FOLDS} if so many speak",
    )


def prepare(args: Namespace) -> None:
    """Write ``<out>/<set>`` for every set of the table; none when one of them is wrong.

    Raises:
        UserError: for mistakes in the table or the options, broken audio, and missing files unless
            partial copies are allowed.
    """
    root = CORPUS.find_root(args.db_root or str(Path(args.file).parent))
    name = word(args.corpus or Path(args.file).stem)
    facts = OwnCorpus(name, args.file, "unknown", args.licence, (str(root),))
    clips = read_clips(args.file, root)
    classes = [word(name) for name in args.classes.split(",") if name.strip()]
    whole = read(facts, clips, root, parse_ranges(args.range), classes, args.allow_partial, args.nj)
    sets = divide(whole, clips, args.folds)
    for data in sets.values():
        data.check()
    for name, data in sets.items():
        write_all(data, args.out, name)


def read(
    facts: Corpus,
    clips: Sequence[Clip],
    root: Path,
    ranges: Mapping[str, Range],
    classes: Sequence[str] = (),
    allow_partial: bool = False,
    nj: int = 1,
) -> DataDir:
    """All rows whose audio is there, as one data directory in memory.

    Args:
        facts: name and licence of the corpus.
        clips: the rows.
        root: the folder that paths start from.
        ranges: attribute -> range, for every attribute that the table has.
        classes: all classes in order; empty takes those of the table, sorted.
        allow_partial: accept that files are missing.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    emotions = _emotions(clips, classes)
    attributes = {f"utt2{name}": _attribute(clips, name, ranges) for name in ATTRIBUTES}
    dialogues, turns = turns_of(clips)
    genders, ages = {clip: gender_of(clip) for clip in clips}, {clip: age_of(clip) for clip in clips}
    listed = {clip.utterance: clip.wav for clip in clips}
    present = set(facts.check_files(listed, root, allow_partial))
    facts.report_unlisted(find_files(root), listed.values(), root)
    there = [clip for clip in clips if clip.utterance in present]
    tables: dict[str, Mapping[str, str]] = {
        "utt2spk": {clip.utterance: clip.speaker_id for clip in there},
        "utt2orig": {clip.utterance: clip.original for clip in there},
        "text": _text(there),
        f"utt2{CLASS_LABEL}": emotions,
        **attributes,
        "utt2dialogue": dialogues,
        "utt2turn": turns,
    }
    tables = {name: {key: rows[key] for key in rows if key in present} for name, rows in tables.items()}
    tables = {name: rows for name, rows in tables.items() if rows}
    counts = Counter(emotions.values())
    expected = {name: counts[name] for name in classes or sorted(counts)}
    wavs = {clip.utterance: clip.wav for clip in there}
    data = assemble(facts, root, wavs, tables, expected, len(there) < len(clips), nj)
    data.labels.attributes = {name: ranges[name] for name in ATTRIBUTES if f"utt2{name}" in tables}
    _add_trait(data, "gender", {clip: genders[clip] for clip in there}, all_or_none=True)
    _add_trait(data, "age", {clip: ages[clip] for clip in there})
    return data


def divide(whole: DataDir, clips: Sequence[Clip], folds: int | None = None) -> dict[str, DataDir]:
    """The sets of the column split, or the whole as ``all`` with folds by speaker.

    Args:
        whole: of ``read``.
        clips: the rows.
        folds: number of folds; None is 5, or one a speaker where fewer speak.

    Returns:
        set -> data directory: train, validation, tests.

    Raises:
        UserError: for an unknown split, folds as well as splits, or more folds than speakers.
    """
    listed: dict[str, list[Clip]] = {}
    if "split" in clips[0].row.cells:
        if folds is not None:
            raise UserError(
                "--folds is for tables without a column split", file=clips[0].row.file, value=folds
            )
        for clip in clips:
            listed.setdefault(set_of(clip), []).append(clip)
        _tell_gaps(listed)
    else:
        listed["all"] = list(clips)
        whole.tables |= _folds(whole, folds)
    sets = {}
    for name in sorted(listed, key=lambda name: (name != "train", name != "validation", name)):
        present = [clip.utterance for clip in listed[name] if clip.utterance in whole.utt2spk]
        if not present:
            raise UserError(f"no file of the set {name} is there", file=whole.path)
        data = whole.subset(present)
        classes = Counter(clip.emotion for clip in listed[name])
        data.labels.expected = {TOTAL: len(listed[name])} | {
            emotion: classes[emotion] for emotion in data.labels.classes
        }
        data.labels.partial = len(present) < len(listed[name])
        if len(unlabelled := set(present) - data.classes_of().keys()) and data.classes_of():
            data.labels.complete = []
            logger.warning(
                "%s: no emotion of %s: %s",
                name,
                counted(len(unlabelled), "utterance"),
                first_few(sorted(unlabelled)),
            )
        sets[name] = data
    return sets


def parse_ranges(text: str) -> dict[str, Range]:
    """``arousal=1:5,valence=-1:1`` as attribute -> range.

    Raises:
        UserError: for anything else.

    >>> parse_ranges("arousal=1:7, valence=-1:1")["valence"]
    Range(min=-1.0, max=1.0)
    """
    ranges = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, limits = part.partition("=")
        try:
            low, high = map(float, limits.split(":"))
        except ValueError:
            low = high = 0.0
        if name not in ATTRIBUTES or not -float("inf") < low < high < float("inf"):
            hint = f"Write it as arousal=1:5,valence=1:5 for {', '.join(ATTRIBUTES)}"
            raise UserError("--range is not understood", value=part, hint=hint)
        ranges[name] = Range(low, high)
    return ranges


def _emotions(clips: Sequence[Clip], classes: Sequence[str]) -> dict[str, str]:
    """Utterance -> class, of the rows that have one; two classes may not differ in capitals alone."""
    first: dict[str, Clip] = {}
    for clip in clips:
        if not clip.emotion:
            continue
        if classes and clip.emotion not in classes:
            hint = f"--classes has {', '.join(classes)}"
            raise clip.row.error("emotion is none of --classes", clip.row["emotion"], hint)
        before = first.setdefault(clip.emotion.lower(), clip)
        if before.emotion != clip.emotion:
            what = f"one emotion in two spellings, {before.emotion} on line {before.row.line}"
            raise clip.row.error(what, clip.emotion)
    if classes and not first:
        raise UserError("--classes of a table without emotions", file=clips[0].row.file)
    return {clip.utterance: clip.emotion for clip in clips if clip.emotion}


def _attribute(clips: Sequence[Clip], name: str, ranges: Mapping[str, Range]) -> dict[str, str]:
    """Utterance -> value of an attribute, of the rows that have one."""
    file = clips[0].row.file
    if name not in clips[0].row.cells:
        if name in ranges:
            raise UserError("--range of a column that the table does not have", file=file, value=name)
        return {}
    if name not in ranges:
        hint = f"Say on which scale it was rated, for example --range {name}=1:5"
        raise UserError(f"the range of {name} is not known", file=file, line=1, hint=hint)
    values = {}
    for clip in clips:
        value = clip.row.number(name)
        if value is None:
            continue
        if value not in ranges[name]:
            what = f"{name} is outside {ranges[name].min:g} to {ranges[name].max:g}"
            raise clip.row.error(what, clip.row[name])
        values[clip.utterance] = clip.row[name]
    return values


def _text(clips: Sequence[Clip]) -> dict[str, str]:
    """Transcripts, of all rows or of none: that is Kaldi's rule."""
    text = {clip.utterance: plain_text(clip.row["text"]) for clip in clips}
    empty = [clip for clip in clips if not text[clip.utterance]]
    if empty and len(empty) < len(clips):
        what = f"{empty[0].row.file}:{empty[0].row.line}"
        logger.warning("%s: no text in %s, so all text is left out", what, counted(len(empty), "row"))
    return {} if empty else text


def _add_trait(
    data: DataDir, name: str, values: Mapping[Clip, str | None], all_or_none: bool = False
) -> None:
    """Add spk2<name>; or utt2<name> where a speaker has several, or, with ``all_or_none``, one has none.

    Raises:
        UserError: for a speaker of two genders.
    """
    first: dict[str, Clip] = {}
    several = False
    for clip, value in values.items():
        if value is None:
            continue
        before = first.setdefault(clip.speaker_id, clip)
        if values[before] != value:
            several = True
            if all_or_none:
                what = f"{name} of {clip.row['speaker']} is {values[before]} on line {before.row.line}"
                raise clip.row.error(what, clip.row[name])
    if not first:
        return
    if several:
        data.tables[f"utt2{name}"] = {clip.utterance: value for clip, value in values.items() if value}
        return
    of_speaker = {speaker: values[clip] or "" for speaker, clip in first.items()}
    if all_or_none and of_speaker.keys() != data.spk2utt.keys():
        data.tables[f"utt2{name}"] = {
            utterance: of_speaker[speaker]
            for utterance, speaker in data.utt2spk.items()
            if speaker in of_speaker
        }
    else:
        data.speakers[f"spk2{name}"] = of_speaker


def _folds(data: DataDir, folds: int | None) -> dict[str, dict[str, str]]:
    """utt2fold, or nothing where one speaker says everything."""
    speakers = len(data.spk2utt)
    strangers = len(data.utt2spk) - len(known(data.utt2spk))
    if strangers:
        what = counted(strangers, "utterance")
        logger.warning("%s without a speaker: folds cannot keep the same voice out of the test", what)
    if speakers < 2 and folds is None:
        logger.warning("one speaker: no folds")
        return {}
    return {"utt2fold": assign_folds(data.utt2spk, min(FOLDS, speakers) if folds is None else folds)}


def _tell_gaps(listed: Mapping[str, Sequence[Clip]]) -> None:
    """Warn where a recipe would lack a set."""
    has_test = any(name.startswith("test") for name in listed)
    lacking = [name for name in ("train", "validation") if name not in listed] + (
        [] if has_test else ["test"]
    )
    if lacking:
        what = "recipes want train, validation and a test set, or a table without a column split"
        logger.warning("no %s set: %s", " and no ".join(lacking), what)
