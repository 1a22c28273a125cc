"""``ser fuse``: predictions of several experiments -> one experiment."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.core.log import get_logger
from ser.downstream.experiment import Experiment
from ser.fusion.experiment import FusionConfig, fuse_experiments
from ser.fusion.report import summary

logger = get_logger(__name__)


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser fuse",
        description="Fuse systems that were trained on the same data, with the same seeds and folds:"
        " posteriors and values averaged with weights that are best on each fold's validation part, or by a"
        " rule without weights. The result is an experiment like any other, for 'ser score' and the table.",
    )
    parser.add_argument(
        "experiments", type=Path, nargs="+", help="exp/<a> exp/<b> ..., trained and predicted"
    )
    parser.add_argument("--out", type=Path, required=True, help="the new experiment")
    parser.add_class_arguments(FusionConfig)
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    config = FusionConfig(**{name: options[name] for name in FusionConfig.__dataclass_fields__})
    out = Experiment(options.out)
    warnings = fuse_experiments(options.experiments, out, config)
    table = out.path / "weights.tsv"
    if table.is_file():
        print(summary(table))
        print(table)
    for warning in warnings:
        logger.warning("%s", warning)
    print(out.path)
