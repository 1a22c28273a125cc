"""``ser lint``: checks of all data directories of an experiment, as a text and as a page."""

from __future__ import annotations

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.core.files import write_text

EPILOG = """Name all sets of an experiment at once: what they share is looked for. Names tell roles (train,
validation or dev, test); one set with utt2fold is checked fold against fold. Errors end with exit code 2."""


def parser() -> Parser:
    """The options of ``ser lint``."""
    parser = Parser(prog="ser lint", description="Check data directories.", epilog=EPILOG)
    parser.add_argument("data", nargs="*", help="data directories: all sets of an experiment")
    parser.add_argument("--allow", nargs="+", action="extend", default=[], metavar="CHECK",
                        help="checks whose errors are warnings, for what a corpus has by design")  # fmt: skip
    parser.add_argument("--html", type=str, help="also write the report as a page")
    parser.add_argument("--no-audio", action="store_true", help="look at tables only")
    parser.add_argument("--nj", type=int, default=2, help="processes that listen to audio")
    parser.add_argument(
        "--work", type=str, help="folder that keeps what was heard (.lint beside the first set)"
    )
    parser.add_argument("--min-seconds", type=float, default=0.3, help="shorter utterances are told")
    parser.add_argument("--max-seconds", type=float, default=30.0, help="longer utterances are told")
    parser.add_argument("--silence-db", type=float, default=-60.0,
                        help="silent is what has no 25 ms above this, in dB of full scale")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the checks")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb.

    Raises:
        UserError: when a check found an error; the report has been printed and written.
    """
    options = parser().parse_args(argv)
    from ser.lint.registry import overview

    if options.list:
        print(overview())
        return

    from ser.lint.finding import Level
    from ser.lint.page import page
    from ser.lint.report import text, verdict
    from ser.lint.run import lint
    from ser.lint.subject import Settings

    settings = Settings(options.min_seconds, options.max_seconds, options.silence_db)

    result = lint(options.data, settings, options.allow, not options.no_audio, options.nj, options.work)
    print(text(result))
    if options.html:
        write_text(options.html, page(result))
    if result.of(Level.ERROR):
        hint = f"The report is {options.html}" if options.html else None
        raise UserError(f"{verdict(result)}, listed above", hint=hint)
