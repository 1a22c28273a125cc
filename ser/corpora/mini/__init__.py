"""The synthetic corpus "mini": speech of espeak-ng with planted arousal and valence. Nobody speaks in it.

``data/train``, ``data/validation`` and ``data/test`` (disjoint speakers), ``data/dialogues``,
``data/audio`` and ``data/truth``. What is planted, and how: docs/mini_corpus.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.corpora.base import Corpus

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

LOG = get_logger(__name__)
CORPUS = Corpus(
    name="mini",
    title="mini",
    release="1 (synthetic)",
    licence="CC0-1.0",
    links=("'ser prepare mini', which makes it",),
    speech="synthetic English (espeak-ng)",
)
# The options that decide what the corpus is.
SETTINGS = ("seed", "strength", "utterances", "speakers", "families", "shift", "dialogues", "turns")
# Further ones, which are written down where they are not what they were before there were any.
LATER = {"wording": 1.0, "pitch_ambiguity": None, "raters": 0}


def add_arguments(parser: ArgumentParser) -> None:
    """The options of ``ser prepare mini``."""
    options: list[tuple[str, type, Any, str]] = [
        ("out", str, "data", "folder for the data directories, the audio and the truth"),
        ("utterances", int, 600, "utterances outside dialogues"),
        ("speakers", int, 20, "speakers: a quarter for test, three twentieths for validation"),
        ("families", int, 0, "families of voices with label distributions of their own; 0 for none"),
        ("shift", float, 1.0, "how far families' label distributions differ, 0 to 1; no voice depends on it"),
        ("strength", float, 1.0, "how strongly the planted state drives voice and wording, 0 to 1"),
        (
            "wording",
            float,
            1.0,
            "how strongly the planted state drives the wording, 0 to 1; the voice keeps its part",
        ),
        (
            "pitch-ambiguity",
            float,
            None,
            "genders share voices and differ in vocal effort, by 0 to 1 of a step",
        ),
        ("raters", int, 0, "simulated raters, whose votes are written to utt2emodist; 0 for none"),
        ("seed", int, 0, "seed of everything"),
        ("dialogues", int, 40, "dialogues; 0 for none"),
        ("turns", int, 12, "turns of a dialogue"),
        ("nj", int, 2, "processes"),
    ]
    for name, kind, default, meaning in options:
        parser.add_argument(f"--{name}", type=kind, default=default, help=meaning)


def prepare(args: Namespace) -> None:
    """Make the corpus; audio that is there and right is kept.

    Raises:
        UserError: for an option out of range, or when espeakng-loader is not installed.
    """
    from ser.corpora.mini import audio, design, dialogues, gender, speakers, votes, write

    _check(args)
    out = Path(args.out)
    if args.families:
        people = speakers.draw_families(args.speakers, args.families, args.shift, args.seed)
    else:
        people = speakers.draw_speakers(args.speakers, args.seed)
    baselines = {}
    if args.pitch_ambiguity is not None:
        people = gender.share_voices(people, args.seed)
        baselines = {person.name: gender.baseline(person, args.pitch_ambiguity) for person in people}
    planned = {
        "utterances": design.plan_utterances(
            people, args.utterances, args.strength, args.seed, args.wording, baselines
        )
    }
    rated = args.raters > 0
    labels = write.schema(design.CENTRES, ["arousal", "valence"], rated)
    parts = [
        (name, [u for u in planned["utterances"] if u.speaker.set == name], labels) for name in speakers.SETS
    ]
    if args.dialogues:
        turns = dialogues.plan_dialogues(people, args.dialogues, args.turns, args.strength, args.seed)
        planned["dialogues"] = turns
        parts.append(("dialogues", turns, write.schema(dialogues.CENTRES, ["arousal"], rated)))
    everything = [utterance for part in planned.values() for utterance in part]
    heard = {}
    if rated:
        for part, centres in (("utterances", design.CENTRES), ("dialogues", dialogues.CENTRES)):
            heard |= votes.shares(planned.get(part, []), centres, args.raters, args.seed)

    LOG.info("mini: %d utterances of %d synthetic speakers", len(everything), len(people))
    lengths = audio.kept_audio(everything, out / "audio")
    if missing := [utterance for utterance in everything if utterance.name not in lengths]:
        # Until all is made, older directories must not pass for the labels of newer audio.
        for name, _, _ in parts:
            (out / name / "wav.scp").unlink(missing_ok=True)
        lengths |= audio.make_audio(missing, out / "audio", args.nj, kept=len(lengths))
    settings = {name: getattr(args, name) for name in SETTINGS}
    settings |= {name: getattr(args, name) for name, usual in LATER.items() if getattr(args, name) != usual}
    write.write_truth(out / "truth", planned, people, settings)
    for name, utterances, schema in parts:
        write.data_dir(out / name, utterances, lengths, out / "audio", schema, heard).write(out / name)
        seconds = sum(lengths[utterance.name] for utterance in utterances) / audio.RATE
        LOG.info("%s: %d utterances, %.1f minutes", out / name, len(utterances), seconds / 60)


def _check(args: Namespace) -> None:
    """Raise for an option that is out of range."""
    for name in ("strength", "shift", "wording", "pitch_ambiguity"):
        value = getattr(args, name)
        if value is not None and not 0 <= value <= 1:
            raise UserError(f"--{name.replace('_', '-')} is not between 0 and 1", value=value)
    if args.families and args.pitch_ambiguity is not None:
        raise UserError("--pitch-ambiguity gives voices to genders, and --families gives them to families")
    if args.utterances < args.speakers:
        raise UserError("--utterances: fewer than speakers", value=args.utterances)
    for name, least in (
        *(("seed", 0), ("families", 0), ("dialogues", 0), ("raters", 0)),
        *(("turns", 2), ("nj", 1)),
    ):
        if getattr(args, name) < least:
            raise UserError(f"--{name} is less than {least}", value=getattr(args, name))
