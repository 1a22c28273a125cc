"""``ser benchmark table|matrix``: scored experiments -> RESULTS.md, results.csv, report.html."""

from __future__ import annotations

import shlex
from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.scoring.matrix import write_matrix
from ser.scoring.report import write_results

USAGES = {
    "table": "ser benchmark table EXPERIMENT ... --out DIR",
    "matrix": "ser benchmark matrix SCORES_JSON ... --out DIR",
}


def make_parser(kind: str) -> Parser:
    """Options of ``ser benchmark <kind>``."""
    if kind == "table":
        what = "Print the table of scored experiments; write RESULTS.md, results.csv and report.html."
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
    options = make_parser(argv[0]).parse_args(argv[1:])
    command = options.command or shlex.join(["ser", "benchmark", *argv])
    if argv[0] == "table":
        text, files = write_results(options.experiments, options.out, options.title, command)
    else:
        text, files = write_matrix(options.scores, options.out, options.title, command)
    print(text)
    for path in files:
        print(path)
