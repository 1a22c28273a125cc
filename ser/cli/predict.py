"""``ser predict``: trained experiment -> predictions and utterance vectors."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.downstream.experiment import Experiment
from ser.downstream.predict import predict_experiment


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser predict",
        description="Predict with every trained fold; data and features are those it was trained with.",
    )
    parser.add_argument("exp", type=Path, help="folder of the experiment")
    parser.add_argument(
        "--parts",
        type=list[str],
        default=["test"],
        help="of [train, validation, test]; vectors of all serve PLDC",
    )
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    predict_experiment(Experiment(options.exp), options.parts)
