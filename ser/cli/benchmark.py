"""``ser benchmark table``: scored experiments -> RESULTS.md, results.csv, report.html."""

from __future__ import annotations

import shlex
from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.scoring.report import write_results

USAGE = "ser benchmark table EXPERIMENT ... --out DIR"


def make_parser() -> Parser:
    """Options of ``ser benchmark table``."""
    parser = Parser(
        prog="ser benchmark table",
        description="Print the table of scored experiments; write RESULTS.md, results.csv and report.html.",
    )
    parser.add_argument("experiments", type=Path, nargs="+", help="folders with scores.json: exp/*")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--title", type=str, default="Results", help="heading")
    parser.add_argument("--command", type=str, help="what RESULTS.md names as the command that makes it")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb.

    Raises:
        UserError: for anything but ``table``, and whatever the user can mend inside it.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: {USAGE}\n\n'ser benchmark table --help' tells its options.")
        return
    if argv[0] != "table":
        raise UserError("no such kind of benchmark", value=argv[0], hint=f"There is '{USAGE}'")
    options = make_parser().parse_args(argv[1:])
    command = options.command or shlex.join(["ser", "benchmark", *argv])
    text, files = write_results(options.experiments, options.out, options.title, command)
    print(text)
    for path in files:
        print(path)
