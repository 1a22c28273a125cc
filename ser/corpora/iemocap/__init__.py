"""IEMOCAP: 10,039 turns of ten actors in 151 English dialogues, improvised and scripted, five sessions.

Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: "IEMOCAP: interactive emotional
dyadic motion capture database", Language Resources and Evaluation 42, 2008. Layout, options and
traps: docs/iemocap.md.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.durations import durations, table
from ser.corpora.iemocap.evaluation import ATTRIBUTES, SCALE, Turn, read_evaluation, soft_label
from ser.corpora.iemocap.release import (
    DIALOGUES,
    SCENARIOS,
    SELECTIONS,
    SESSIONS,
    Selection,
    dialogues,
    speaker_of,
)
from ser.corpora.iemocap.transcripts import read_transcripts
from ser.corpora.paths import find_files
from ser.data.datadir import DataDir
from ser.data.labels import CLASS_LABEL, TOTAL, LabelSchema
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    release="2008",
    licence="by request, for research",
    links=("https://sail.usc.edu/iemocap/iemocap_release.htm",),
    speech="acted English dialogues",
    expected=Selection.of().expected("all"),
    speaker_of=speaker_of,
)
FOLDERS = ("IEMOCAP_full_release", "IEMOCAP")  # what the archive unpacks to


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare iemocap``."""
    corpus_arguments(parser)
    parser.add_argument("--classes", type=str, default="4", choices=list(SELECTIONS),
                        help="4: neutral happiness anger sadness; 5: and frustration; 6: and excitement "
                             "apart from happiness; all: nine classes, and all turns")  # fmt: skip
    parser.add_argument("--merge-excitement", type=str, default=None, choices=["true", "false"],
                        help="whether excitement counts as happiness (4 and 5: true)")  # fmt: skip
    parser.add_argument("--scenario", type=str, default="all", choices=["all", *SCENARIOS],
                        help="dialogues to take")  # fmt: skip


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, folds by session.

    Raises:
        UserError: when the corpus is not there, is not whole, or contradicts itself.
    """
    merge = None if args.merge_excitement is None else args.merge_excitement == "true"
    selection = Selection.of(args.classes, merge)
    root = find_release(CORPUS.find_root(args.db_root))
    data = read(root, selection, args.scenario, args.allow_partial, args.nj)
    data.write(Path(args.out) / "all")
    logger.info(
        "%s: %d turns of %d dialogues, %d speakers, %d classes, %.1f minutes",
        data.path, len(data.utterances), len(set(data.tables["utt2dialogue"].values())), len(data.spk2utt),
        len(data.labels.classes), sum(data.durations().values()) / 60,
    )  # fmt: skip


def find_release(db_root: Path) -> Path:
    """The folder that holds Session1 and so on: ``db_root``, or what the archive makes below it.

    Raises:
        UserError: when there is none.
    """
    for folder in (db_root, *(db_root / name for name in FOLDERS)):
        if any((folder / f"Session{session}").is_dir() for session in SESSIONS):
            return folder
    raise UserError("no Session1 to Session5", file=db_root, hint=CORPUS.where)


def read(
    root: Path,
    selection: Selection,
    scenario: str = "all",
    allow_partial: bool = False,
    nj: int = 1,
) -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        root: the folder that holds Session1 and so on.
        selection: the classes.
        scenario: ``improvised``, ``scripted`` or ``all``.
        allow_partial: accept a copy that lacks dialogues, transcripts or audio.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    names = dialogues(scenario)
    by_dialogue = _evaluations(root, names, allow_partial)
    text = _transcripts(root, by_dialogue, allow_partial)
    number = {turn.name: place for turns in by_dialogue.values() for place, turn in enumerate(turns, 1)}
    every = {turn.utterance: turn for turns in by_dialogue.values() for turn in turns}
    chosen = {
        utterance: turn
        for utterance, turn in every.items()
        if selection.everything or turn.code in selection.class_of
    }
    expected = selection.expected(scenario)
    counts = {u: selection.name(turn.code) for u, turn in chosen.items()}
    known = {utterance: name for utterance, name in counts.items() if name in expected}
    partial = CORPUS.check_counts(known, root, allow_partial, expected)
    wavs = {utterance: _wav(root, turn) for utterance, turn in chosen.items()}
    _report_unlisted(root, names, {_wav(root, turn) for turn in every.values()})
    present = CORPUS.check_files(wavs, root, allow_partial)
    partial |= len(present) < len(wavs) or len(by_dialogue) < len(names)
    wavs = {utterance: wavs[utterance].resolve() for utterance in present}
    turns = {utterance: chosen[utterance] for utterance in present}

    tables = _labels(turns, selection)
    tables |= {
        "utt2spk": {utterance: turn.speaker for utterance, turn in turns.items()},
        "utt2orig": {utterance: turn.name for utterance, turn in turns.items()},
        "utt2dialogue": {utterance: turn.dialogue for utterance, turn in turns.items()},
        "utt2turn": {utterance: str(number[turn.name]) for utterance, turn in turns.items()},
        "utt2fold": {utterance: turn.name[4] for utterance, turn in turns.items()},
        "utt2dur": table(durations(wavs, nj)),
    }
    if all(turn.name in text for turn in turns.values()):
        tables["text"] = {utterance: text[turn.name] for utterance, turn in turns.items()}
    else:
        logger.warning("transcripts are missing, so there is no text")
    total = selection.total(scenario)
    return DataDir(
        path=root,
        labels=LabelSchema(
            corpus=CORPUS.name,
            release=CORPUS.release,
            licence=CORPUS.licence,
            classes=list(selection.classes),
            attributes=dict.fromkeys(ATTRIBUTES, SCALE),
            complete=[] if selection.everything else [CLASS_LABEL],
            expected=({} if total is None else {TOTAL: total})
            | {name: count for name, count in expected.items() if name in selection.classes},
            partial=partial,
        ),
        tables=tables,
        recordings={"wav.scp": {utterance: str(wav) for utterance, wav in wavs.items()}},
        speakers={"spk2gender": {turn.speaker: turn.speaker[-1].lower() for turn in turns.values()}},
    )


def _evaluations(root: Path, names: Sequence[str], allow_partial: bool) -> dict[str, list[Turn]]:
    """Dialogue -> its turns in order; other text files in the folder are told and left out."""
    paths = {name: _session(root, name) / "dialog" / "EmoEvaluation" / f"{name}.txt" for name in names}
    present = _present(paths, "evaluation", root, allow_partial)
    others = [
        path.name
        for folder in sorted({path.parent for path in paths.values()})
        for path in sorted(folder.glob("*.txt"))
        if path.stem not in DIALOGUES and not path.name.startswith("._")
    ]
    if others:
        logger.warning("%s of no dialogue, left out: %s", counted(len(others), "file"), first_few(others))
    return {name: read_evaluation(paths[name]) for name in present}


def _present(paths: Mapping[str, Path], what: str, root: Path, allow_partial: bool) -> list[str]:
    """The dialogues whose file is there.

    Raises:
        UserError: when one is missing, unless a partial copy is allowed, or when all evaluations are.
    """
    missing = [name for name, path in paths.items() if not path.is_file()]
    for name in missing:
        logger.info("missing: %s", paths[name])
    if missing:
        some = len(missing) < len(paths) or what != "evaluation"
        shown = first_few([str(paths[name].relative_to(root)) for name in missing])
        text = f"the {what} of {len(missing)} of {counted(len(paths), 'dialogue')} is missing: {shown}"
        CORPUS.refuse_partial(text, root, allow_partial and some)
    return [name for name in paths if name not in missing]


def _transcripts(root: Path, by_dialogue: Mapping[str, list[Turn]], allow_partial: bool) -> dict[str, str]:
    """Turn -> words, as far as they are there; the evaluation and the transcripts have the same turns.

    Raises:
        UserError: where they do not, unless a partial copy is allowed.
    """
    paths = {name: _session(root, name) / "dialog" / "transcriptions" / f"{name}.txt" for name in by_dialogue}
    text: dict[str, str] = {}
    extra, contradictions = 0, list[UserError]()
    for name in _present(paths, "transcript", root, allow_partial):
        turns = by_dialogue[name]
        found = read_transcripts(paths[name], {turn.name for turn in turns})
        text |= found.text
        extra += found.extra
        contradictions += [
            UserError(
                "a transcript of a turn that the evaluation lacks", file=paths[name], line=line, value=turn
            )
            for line, turn in found.unrated
        ]
        contradictions += [
            UserError("a turn that the transcripts lack", file=turn.file, line=turn.line, value=turn.name)
            for turn in turns
            if turn.name not in found.text
        ]
    if extra:
        logger.info("%s of transcripts are about no numbered turn, left out", counted(extra, "line"))
    if contradictions and not allow_partial:
        raise contradictions[0]
    for contradiction in contradictions:
        logger.warning("%s", contradiction)
    return text


def _labels(turns: Mapping[str, Turn], selection: Selection) -> dict[str, dict[str, str]]:
    """utt2emo, utt2emodist and one table an attribute; a table without an entry is left out."""
    soft = {utterance: soft_label(turn, selection) for utterance, turn in turns.items()}
    tables = {
        f"utt2{CLASS_LABEL}": {
            utterance: selection.class_of[turn.code]
            for utterance, turn in turns.items()
            if turn.code in selection.class_of
        },
        "utt2emodist": {
            utterance: " ".join(f"{share:.6g}" for share in shares)
            for utterance, shares in soft.items()
            if shares
        },
    }
    for name in ATTRIBUTES:
        values = {utterance: turn.attributes[name] for utterance, turn in turns.items()}
        tables[f"utt2{name}"] = {key: f"{value:.6g}" for key, value in values.items() if value in SCALE}
    if off := [(turn, name) for turn in turns.values() for name in turn.off_the_scale]:
        shown = [f"{name} {turn.attributes[name]:g} ({turn.file.name}:{turn.line})" for turn, name in off]
        what = f"{counted(len(off), 'value')} just off the scale of {SCALE.min:g} to {SCALE.max:g}"
        logger.warning("%s, left out: %s", what, first_few(shown))
    return {name: entries for name, entries in tables.items() if entries}


def _report_unlisted(root: Path, names: Sequence[str], listed: set[Path]) -> None:
    """Warn of audio that no evaluation lists; macOS's ``._`` files are none."""
    left_out = set(DIALOGUES) - set(names)
    for session in SESSIONS:
        folder = root / f"Session{session}" / "sentences" / "wav"
        if folder.is_dir():
            wavs = [wav for wav in find_files(folder, (".wav",)) if not wav.name.startswith("._")]
            CORPUS.report_unlisted((wav for wav in wavs if wav.parent.name not in left_out), listed, root)


def _session(root: Path, dialogue: str) -> Path:
    """The folder of a dialogue's session."""
    return root / f"Session{dialogue[4]}"


def _wav(root: Path, turn: Turn) -> Path:
    """A turn's audio."""
    return _session(root, turn.dialogue) / "sentences" / "wav" / turn.dialogue / f"{turn.name}.wav"
