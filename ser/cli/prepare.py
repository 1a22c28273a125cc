"""``ser prepare CORPUS`` and ``ser prepare validate|fix|subset|split|combine|copy|noise|pseudo``."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace

from ser.core import log
from ser.core.config import Parser
from ser.core.errors import UserError
from ser.corpora.base import CORPORA

logger = log.get_logger(__name__)


def main(argv: list[str]) -> None:
    """Run one action or one corpus's preparation."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return
    name, rest = argv[0], argv[1:]
    if name not in CORPORA and name not in ACTIONS:
        raise UserError("no such corpus or action", value=name, hint="See 'ser prepare --help'")
    if name in CORPORA:
        corpus = importlib.import_module(CORPORA[name])
        parser = Parser(prog=f"ser prepare {name}", description=(corpus.__doc__ or "").split("\n\n")[0])
        corpus.add_arguments(parser)
        corpus.prepare(parser.parse_args(rest))
        return
    add_arguments, run = ACTIONS[name]
    parser = Parser(prog=f"ser prepare {name}", description=run.__doc__)
    add_arguments(parser)
    run(parser.parse_args(rest))


def usage() -> str:
    """The overview that ``ser prepare --help`` prints."""
    lines = ["usage: ser prepare CORPUS --out DATA [options]", "       ser prepare ACTION ... [options]", ""]
    facts = {name: importlib.import_module(module).CORPUS for name, module in CORPORA.items()}
    width = max(map(len, facts))
    lines += ["corpora:"]
    known = {name: f"{one.title}: {one.speech}; {one.licence}" for name, one in facts.items()}
    known["csv"] = "a table of one's own: path, speaker, emotion, arousal, ... (docs/new_corpus.md)"
    lines += [f"  {name:<{width}}  {text}" for name, text in known.items()]
    lines += ["", "actions on data directories:"]
    lines += [f"  {name:<9} {run.__doc__}" for name, (_, run) in ACTIONS.items()]
    return "\n".join([*lines, "", "'ser prepare NAME --help' tells the options."])


def _validate_arguments(parser: Parser) -> None:
    parser.add_argument("dir", type=str, help="data directory")
    parser.add_argument("--no-wav", action="store_true", help="do not look at the audio files")


def _validate(args: Namespace) -> None:
    """Check every rule of a data directory, and the audio files' headers."""
    from ser.data.report import summary, validate

    problems = validate(args.dir, wav=not args.no_wav)
    if len(problems) == 1:
        raise problems[0]
    for problem in problems:
        print(f"ser: error: {problem}", file=sys.stderr)
    if problems:
        raise UserError(f"{len(problems)} mistakes, listed above", file=args.dir)
    print(summary(args.dir))


def _fix_arguments(parser: Parser) -> None:
    parser.add_argument("dir", type=str, help="data directory")
    parser.add_argument("--durations", action="store_true", help="write utt2dur from the audio's headers")


def _fix(args: Namespace) -> None:
    """Sort the tables and drop what does not fit; say what was dropped."""
    from ser.data.fix import fix

    notes = fix(args.dir, durations=args.durations)
    print("\n".join(f"{args.dir}: {note}" for note in notes) or f"{args.dir}: nothing to mend")


def _subset_arguments(parser: Parser) -> None:
    parser.add_argument("src", type=str, help="data directory")
    parser.add_argument("dest", type=str, help="data directory to write")
    parser.add_argument("--utt-list", type=str, default=None, help="file of utterances, one a line")
    parser.add_argument("--spk-list", type=str, default=None, help="file of speakers, one a line")
    parser.add_argument("--speakers", type=str, default=None, help="speakers, separated by commas")
    parser.add_argument("--first", type=int, default=None, help="the first N utterances")
    parser.add_argument("--per-class", type=int, default=None, help="N utterances of each class")
    parser.add_argument("--seed", type=int, default=0, help="for --per-class")


def _subset(args: Namespace) -> None:
    """Write some utterances of a data directory as another."""
    from ser.data.datadir import DataDir
    from ser.data.select import choose

    part = choose(
        DataDir.load(args.src),
        args.utt_list,
        args.spk_list,
        args.speakers,
        args.first,
        args.per_class,
        args.seed,
    )
    part.write(args.dest)
    print(f"{args.dest}: {len(part.utterances)} utterances")


def _split_arguments(parser: Parser) -> None:
    parser.add_argument("dir", type=str, help="data directory")
    parser.add_argument("n", type=int, help="number of parts")
    parser.add_argument("--per-spk", action="store_true", help="keep each speaker in one part")


def _split(args: Namespace) -> None:
    """Write the parts of a data directory for N jobs, DIR/sdata/N/1 and on."""
    from ser.data.datadir import DataDir
    from ser.data.select import write_split

    print(write_split(DataDir.load(args.dir), args.n, by_speaker=args.per_spk))


def _combine_arguments(parser: Parser) -> None:
    parser.add_argument("dest", type=str, help="data directory to write")
    parser.add_argument("src", type=str, nargs="+", help="data directories with the same labels.yaml")


def _combine(args: Namespace) -> None:
    """Write several data directories as one."""
    from ser.data.combine import combine
    from ser.data.datadir import DataDir

    whole = combine([DataDir.load(src) for src in args.src])
    whole.write(args.dest)
    print(f"{args.dest}: {len(whole.utterances)} utterances")


def _copy_arguments(parser: Parser) -> None:
    parser.add_argument("src", type=str, help="data directory")
    parser.add_argument("dest", type=str, help="data directory to write")
    for what in ("spk", "utt"):
        for place in ("prefix", "suffix"):
            parser.add_argument(
                f"--{what}-{place}", type=str, default="", help=f"{place} for every {what} id"
            )


def _copy(args: Namespace) -> None:
    """Write a data directory as another, with prefixes or suffixes for its ids."""
    from ser.data.combine import rename
    from ser.data.datadir import DataDir

    copy = rename(DataDir.load(args.src), args.spk_prefix, args.spk_suffix, args.utt_prefix, args.utt_suffix)
    copy.write(args.dest)
    print(f"{args.dest}: {len(copy.utterances)} utterances")


def _noise_arguments(parser: Parser) -> None:
    parser.add_argument("src", type=str, help="data directory")
    parser.add_argument("dest", type=str, help="data directory to write")
    parser.add_argument("--flip-gender", type=float, default=0.0, help="share of utterances")
    parser.add_argument("--drop-words", type=float, default=0.0, help="probability of each word")
    parser.add_argument("--replace-words", type=float, default=0.0, help="by other words of the transcripts")
    parser.add_argument("--seed", type=int, default=0, help="of what is made wrong")


def _noise(args: Namespace) -> None:
    """Write a data directory with wrong genders and words, to see what a model makes of them."""
    from ser.data.datadir import DataDir
    from ser.data.noise import flip_gender, spoil_words

    data = noisy = DataDir.load(args.src)
    if not args.flip_gender and not args.drop_words and not args.replace_words:
        hint = "Give --flip-gender, --drop-words or --replace-words"
        raise UserError("nothing to make wrong", hint=hint)
    if args.flip_gender:
        noisy = flip_gender(noisy, args.flip_gender, args.seed)
    if args.drop_words or args.replace_words:
        noisy = spoil_words(noisy, args.drop_words, args.replace_words, args.seed)
    noisy.write(args.dest)
    pairs = {
        "genders": (data.trait("gender"), noisy.trait("gender")),
        "transcripts": (data.tables.get("text", {}), noisy.tables.get("text", {})),
    }
    wrong = [
        f"{sum(before[u] != after[u] for u in before)} of {len(before)} {what}"
        for what, (before, after) in pairs.items()
    ]
    print(f"{args.dest}: wrong are {', '.join(wrong)}")


def _pseudo_arguments(parser: Parser) -> None:
    parser.add_argument("src", type=str, help="data directory of single utterances")
    parser.add_argument("dest", type=str, help="data directory to write")
    parser.add_argument("--turns", type=int, default=12, help="the most utterances of a dialogue")
    parser.add_argument("--seed", type=int, default=0, help="of the order of a speaker's utterances")


def _pseudo(args: Namespace) -> None:
    """Write a data directory with pseudo-dialogues: each speaker's utterances strung together."""
    from ser.data.datadir import DataDir
    from ser.data.pseudo import pseudo_dialogues

    made = pseudo_dialogues(DataDir.load(args.src), args.turns, args.seed)
    made.write(args.dest)
    print(f"{args.dest}: {len(set(made.tables['utt2dialogue'].values()))} pseudo-dialogues")


ACTIONS = {
    "validate": (_validate_arguments, _validate),
    "fix": (_fix_arguments, _fix),
    "subset": (_subset_arguments, _subset),
    "split": (_split_arguments, _split),
    "combine": (_combine_arguments, _combine),
    "copy": (_copy_arguments, _copy),
    "noise": (_noise_arguments, _noise),
    "pseudo": (_pseudo_arguments, _pseudo),
}
