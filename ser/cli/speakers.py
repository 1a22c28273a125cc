"""``ser speakers``: of which training speakers a personalised encoder makes others."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.core.log import get_logger

log = get_logger(__name__)

EPILOG = """rules for speakers without an embedding: nearest (the training speaker of highest cosine), knn
(mean of the k nearest), mean (of all), zero (e = 0). The result is read by 'ser extract --speakers FILE'."""


def make_parser() -> Parser:
    """The options of ``ser speakers``."""
    parser = Parser(prog="ser speakers", description="Embeddings for unseen speakers.", epilog=EPILOG)
    parser.add_argument("data", help="data directory")
    parser.add_argument("--upstream", required=True, help="papt:<folder>")
    parser.add_argument(
        "--unseen", choices=["nearest", "knn", "mean", "zero"], required=True, help="the rule"
    )
    parser.add_argument("--k", type=int, default=5, help="neighbours of knn")
    parser.add_argument("--out", type=Path, required=True, help="the table to write, spk2papt")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)

    from ser.data.datadir import DataDir
    from ser.features.extract import share_machine
    from ser.papt.speakers import assign
    from ser.upstream import load_upstream
    from ser.upstream.speaker import write_mixtures

    data = DataDir.load(options.data)
    share_machine(1)
    upstream = load_upstream(options.upstream, options.device)
    mixtures = assign(data, upstream, options.unseen, options.k)
    write_mixtures(options.out, mixtures)
    known = sum(parts == {speaker: 1.0} for speaker, parts in mixtures.items())
    log.info("%s: %d speakers, %d of them trained", options.out, len(mixtures), known)
