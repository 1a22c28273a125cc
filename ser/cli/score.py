"""``ser score``: predictions -> scores.json, or a submission where there are no labels."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.scoring.score import score_experiment
from ser.scoring.summary import summary


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser score",
        description="Score an experiment's predictions against a data directory, with 95 % intervals over"
        " speakers. A set without labels becomes a challenge's submission csv.",
    )
    parser.add_argument("experiment", type=Path, help="exp/<experiment>, predicted by 'ser predict'")
    parser.add_argument("--data", type=Path, required=True, help="data directory that was predicted")
    parser.add_argument(
        "--set",
        type=str,
        help="folder of the predictions in each fold; by default 'test' for cross-validation, else the data"
        " directory's name",
    )
    parser.add_argument("--draws", type=int, default=1000, help="draws of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    outcome = score_experiment(options.experiment, options.data, options.set, options.draws, options.seed)
    if outcome.scores is None:
        print(f"{options.data} has no labels: not scored, written as the challenge's submission")
    else:
        print(summary(outcome.scores))
    for path in outcome.files:
        print(path)
