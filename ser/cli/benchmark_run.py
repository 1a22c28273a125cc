"""``ser benchmark run FILE.yaml``, ``ser benchmark table FILE.yaml``: a grid of experiments, its tables."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ser.benchmark.config import Grid, read_grid
from ser.benchmark.journal import DONE
from ser.benchmark.plan import Cell, Plan, make_plan
from ser.benchmark.run import SKIPPED, Outcome, run_plan
from ser.benchmark.summary import failed_cells, show_outcome, show_plan, show_summary, shown_command
from ser.benchmark.table import write_tables
from ser.core.config import Parser
from ser.core.errors import UserError

USAGE = "ser benchmark run FILE.yaml"
ADD_HELP = "NAME=SCORES_JSON: a row by a colleague's file, of the same utterances"


def make_parser(kind: str) -> Parser:
    """Options of ``ser benchmark run`` and of ``ser benchmark table FILE.yaml``."""
    what = (
        "Run the recipes that a YAML file names, for all its upstreams, configurations and seeds. What their"
    )
    what += " own marks say is up to date is not done again; what fails does not keep the rest from running."
    if kind == "table":
        what = "Print the tables of a benchmark's cells that are up to date: upstreams by corpora. Writes"
        what += " grid.md, grid.csv, grid.tex (booktabs) and grid.html."
    parser = Parser(prog=f"ser benchmark {kind}", description=what)
    parser.add_argument("file", type=Path, help="YAML: recipes, upstreams, seeds (docs/benchmark.md)")
    parser.add_argument("--only", type=str, nargs="*", default=[], help="cells: 'emodb/*', '*/fbank_emotion'")
    parser.add_argument(
        "--db-root", type=str, nargs="*", default=[], help="CORPUS=FOLDER: where a corpus lies"
    )
    if kind == "run":
        parser.add_argument("--dry-run", action="store_true", help="show what is done, stale or missing, why")
        parser.add_argument("--jobs", type=int, help="parts of the grid that run at once, over the file's")
        parser.add_argument("--nj", type=int, help="jobs of each of them, over the file's")
    else:
        parser.add_argument("--out", type=Path, help="folder to write to, instead of the file's")
        parser.add_argument("--add", type=str, nargs="*", default=[], help=ADD_HELP)
        parser.add_argument(
            "--quoted", type=Path, nargs="*", default=[], help="further YAML of published figures"
        )
        parser.add_argument("--command", type=str, help="what grid.md names as the command that makes it")
    return parser


def main(argv: list[str]) -> None:
    """``ser benchmark run``; exits with 1 when a cell has failed.

    Raises:
        UserError: for a file that is no benchmark, or recipes that refuse their options.
    """
    options = make_parser("run").parse_args(argv)
    grid = read_grid(options.file, options.jobs, options.nj, pairs(options.db_root, "--db-root"))
    plan = make_plan(grid, options.only)
    print(show_plan(plan), flush=True)
    if options.dry_run:
        return
    print(flush=True)
    try:
        outcomes = run_plan(plan, tell)
    except (SystemExit, KeyboardInterrupt):
        print(f"ser: stopped; the same command goes on: {shown_command(['run', *argv])}", file=sys.stderr)
        raise
    done = {each.task.cell for each in outcomes if each.task.cell and each.state in (DONE, SKIPPED)}
    try:
        if done:
            show(grid, plan, done, shown_command(["run", *argv]))
    finally:  # tables that cannot be made do not hide what has failed
        print(f"\n{show_summary(outcomes)}")
    if failed_cells(outcomes):
        sys.exit(1)


def table(argv: list[str]) -> None:
    """``ser benchmark table FILE.yaml``.

    Raises:
        UserError: as above, and when no cell is done.
    """
    options = make_parser("table").parse_args(argv)
    grid = read_grid(options.file, db_roots=pairs(options.db_root, "--db-root"))
    plan = make_plan(grid, options.only)
    done = {each.cell for each in plan.cells if each.state == DONE}
    command = options.command or shown_command(["table", *argv])
    show(grid, plan, done, command, options.out, pairs(options.add, "--add"), options.quoted)


def show(
    grid: Grid,
    plan: Plan,
    done: Collection[Cell],
    command: str,
    out: Path | None = None,
    added: Mapping[str, Path] | None = None,
    quoted: Sequence[Path] = (),
) -> None:
    """Write the tables, print them and where they are."""
    text, files = write_tables(grid, [each.cell for each in plan.cells], done, command, out, added, quoted)
    print("", text, "", *files, sep="\n", flush=True)


def tell(outcome: Outcome) -> None:
    """Print a task that has ended."""
    if line := show_outcome(outcome):
        print(line, flush=True)


def pairs(words: list[str], option: str) -> dict[str, Path]:
    """NAME=PATH words as a mapping.

    Raises:
        UserError: for a word that is none.
    """
    found = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UserError(f"{option} takes NAME=PATH", value=word)
        found[name] = Path(path)
    return found
