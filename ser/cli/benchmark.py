"""``ser benchmark run``: a grid of experiments (``ser.cli.benchmark_run``).

``ser benchmark table|matrix``: scored experiments -> RESULTS.md, results.csv,
results.tex, report.html.

``ser benchmark compare``: paired tests of systems against a reference, on the same utterances.
``ser benchmark check``: whether RESULTS.md and the tables of other pages show what was scored.
``ser benchmark speakers``: speaker-dependent against speaker-independent training, a curve.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from ser.cli import benchmark_run
from ser.core.config import Parser
from ser.core.errors import UserError
from ser.scoring.clusters import SPEAKER
from ser.scoring.comparison.compare import compare
from ser.scoring.comparison.pages import write_comparison
from ser.scoring.intervals import LEVEL
from ser.scoring.report.report import write_results
from ser.scoring.schema import Bootstrap
from ser.scoring.tables.drift import RESULTS, check_page, check_run, write_page
from ser.scoring.tables.matrix import write_matrix
from ser.scoring.tables.rows import Source

USAGES = {
    "run": benchmark_run.USAGE,
    "table": "ser benchmark table EXPERIMENT ... --out DIR\n       ser benchmark table FILE.yaml",
    "matrix": "ser benchmark matrix SCORES_JSON ... --out DIR",
    "compare": "ser benchmark compare REFERENCE EXPERIMENT ... --data DATA --out DIR",
    "check": "ser benchmark check PAGE ... [--write] [--run EXPERIMENT ...]",
    "speakers": "ser benchmark speakers --config CONF --data [A, B] --feats [A, B] --speakers 4,8 --out DIR",
}


def make_parser(kind: str) -> Parser:
    """Options of ``ser benchmark <kind>``."""
    if kind == "table":
        what = "Print the table of scored experiments; write RESULTS.md, results.csv, .tex, report.html."
        given, given_help = "experiments", "folders with scores.json: exp/*"
    else:
        what = "Print the matrix of training by test corpora; write RESULTS.md and results.csv."
        given, given_help = (
            "scores",
            "scores.json files, of one experiment a corpus: exp/*/cross/*/*/scores.json",
        )
    parser = Parser(prog=f"ser benchmark {kind}", description=what)
    parser.add_argument(given, type=Path, nargs="+", help=given_help)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--title", type=str, default="Results", help="heading")
    if kind == "table":
        parser.add_argument(
            "--quoted", type=Path, nargs="*", default=[], help="YAML of published figures to stand under ours"
        )
        parser.add_argument(
            "--comparisons",
            type=Path,
            nargs="*",
            default=[],
            help="folders of 'ser benchmark compare', for the report's gains by position in the dialogue",
        )
        parser.add_argument("--add", type=str, nargs="*", default=[], help=benchmark_run.ADD_HELP)
    parser.add_argument("--command", type=str, help="what RESULTS.md names as the command that makes it")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb.

    Raises:
        UserError: for another kind, and whatever the user can mend inside it.
    """
    if not argv or argv[0] in ("-h", "--help"):
        kinds = "\n       ".join(USAGES.values())
        print(f"usage: {kinds}\n\n'ser benchmark table --help' tells its options.")
        return
    if argv[0] not in USAGES:
        hint = "There are '" + "' and '".join(USAGES.values()) + "'"
        raise UserError("no such kind of benchmark", value=argv[0], hint=hint)
    if argv[0] == "run":
        benchmark_run.main(argv[1:])
        return
    if argv[0] == "table" and argv[1:2] and argv[1].endswith((".yaml", ".yml")):
        benchmark_run.table(argv[1:])
        return
    if argv[0] == "speakers":
        _speakers(argv[1:])
        return
    if argv[0] == "compare":
        _compare(argv)
        return
    if argv[0] == "check":
        _check(argv[1:])
        return
    options = make_parser(argv[0]).parse_args(argv[1:])
    command = options.command or shlex.join(["ser", "benchmark", *argv])
    if argv[0] == "table":
        added = benchmark_run.pairs(options.add, "--add")
        sources = [*options.experiments, *(Source(path, name, added=True) for name, path in added.items())]
        text, files = write_results(
            sources, options.out, options.title, command, options.quoted, options.comparisons
        )
    else:
        text, files = write_matrix(options.scores, options.out, options.title, command)
    print(text)
    for path in files:
        print(path)


def _compare(argv: list[str]) -> None:
    """Paired tests against a reference."""
    parser = Parser(
        prog="ser benchmark compare",
        description="Compare experiments with a reference on the same utterances: differences with intervals,"
        " p by Holm, ranks with ties, tests over folds, and the metric by position in the dialogue. Writes"
        " comparison.md and comparison.csv, and where the data has utt2turn positions.csv and positions.svg.",
    )
    parser.add_argument("reference", type=Path, help="exp/<experiment> that the others are compared with")
    parser.add_argument("experiments", type=Path, nargs="+", help="predicted on the same data directory")
    parser.add_argument("--data", type=Path, required=True, help="data directory that was predicted")
    parser.add_argument("--set", type=str, help="folder of the predictions, as in 'ser score'")
    parser.add_argument("--cluster", default=SPEAKER, help="bootstrap over speaker, dialogue or session")
    parser.add_argument(
        "--where",
        type=str,
        nargs="*",
        default=[],
        help="TABLE=VALUE: only utterances whose utt2TABLE is that",
    )
    parser.add_argument(
        "--metric", type=str, nargs="*", default=[], help="UAR, WA, O-CCC ...; by default each label's first"
    )
    parser.add_argument("--draws", type=int, default=0, help="of the bootstrap; 0: 1000, or as many as"
                        " the tests between so many systems want")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--command", type=str, help="what comparison.md names as the command that makes it")
    options = parser.parse_args(argv[1:])
    found = compare(
        [options.reference, *options.experiments], options.data, options.set,
        Bootstrap(options.draws, options.seed, LEVEL, options.cluster), options.where, options.metric,
    )  # fmt: skip
    text, files = write_comparison(
        found, options.out, options.command or shlex.join(["ser", "benchmark", *argv])
    )
    print(text)
    for path in files:
        print(path)


def _check(argv: list[str]) -> None:
    """Pages against what they are made from.

    Raises:
        UserError: when a page differs and is not mended, or a run scored otherwise.
    """
    parser = Parser(
        prog="ser benchmark check",
        description="Make RESULTS.md again from scores.jsonl beside it, and tables between"
        " '<!-- table ... -->' and '<!-- end -->' in other pages from the RESULTS.md they"
        " name; fail where they differ.",
    )
    parser.add_argument("pages", type=Path, nargs="+", help="RESULTS.md of recipes, README.md, docs/*.md")
    parser.add_argument("--root", type=Path, default=Path(), help="where pages name RESULTS.md from")
    parser.add_argument("--write", action="store_true", help="mend the pages")
    parser.add_argument(
        "--run",
        type=Path,
        nargs="*",
        default=[],
        help="experiments of another run of the recipe: they must have scored what RESULTS.md (one) says",
    )
    options = parser.parse_args(argv)
    if options.run:
        if len(options.pages) != 1 or options.pages[0].name != RESULTS:
            raise UserError("--run wants one page, a RESULTS.md")
        if differing := check_run(options.pages[0], options.run):
            print("\n".join(differing))
            raise UserError(f"this run scored otherwise, {len(differing)} times", file=options.pages[0])
    drifts = [drift for page in options.pages if (drift := check_page(page, options.root)) is not None]
    for drift in drifts:
        print(f"{drift.page}:", *drift.difference, sep="\n")
        if options.write:
            write_page(drift)
    if drifts and not options.write:
        hint = "If the scores are right, mend the pages with --write"
        raise UserError(
            "pages differ from the scores", value=", ".join(str(d.page) for d in drifts), hint=hint
        )


def _speakers(argv: list[str]) -> None:
    """The curve over numbers of training speakers; what trains is imported only here."""
    from ser.downstream.config import TrainConfig
    from ser.downstream.dependence import parse_counts, write_dependence
    from ser.scoring.dependence import summarise_dependence

    parser = Parser(
        prog="ser benchmark speakers",
        description="Train on growing numbers of speakers, and test on other utterances of the same speakers"
        " (dependent) and, as many others having been trained on, of unheard ones (independent).",
    )
    parser.add_argument("--config", action="config", help="YAML of 'ser train'")
    parser.add_class_arguments(TrainConfig)
    parser.add_argument(
        "--data", type=list[Path], required=True, help="data directories, put together: [a, b]"
    )
    parser.add_argument("--feats", type=list[Path], required=True, help="their features")
    parser.add_argument(
        "--speakers", type=str, required=True, help="numbers of training speakers: 4,8,16,32 or 4,8,most"
    )
    parser.add_argument("--draws", type=int, default=3, help="divisions of speakers and utterances")
    parser.add_argument("--share", type=float, default=0.3, help="of a speaker's utterances to test on")
    parser.add_argument("--seed", type=int, default=0, help="of divisions, training and bootstrap")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.instantiate(parser.parse_args(argv))
    if len(options.data) != len(options.feats):
        raise UserError("--data and --feats want the same number of folders")
    names = TrainConfig.__dataclass_fields__
    write_dependence(
        TrainConfig(**{name: options[name] for name in names}),
        list(zip(options.data, options.feats, strict=True)),
        parse_counts(options.speakers), options.out, options.draws, options.share, options.seed,
    )  # fmt: skip
    text, files = summarise_dependence(options.out)
    print(text)
    for path in files:
        print(path)
