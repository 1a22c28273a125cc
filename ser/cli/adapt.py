"""``ser adapt``: trained experiment -> the same, its models adapted to the test speakers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ser.core.config import Parser
from ser.downstream.experiment import Experiment
from ser.personalise.adaptation import AdaptationConfig
from ser.personalise.adapted import adapt_experiment

EPILOG = """The features of --functionals lie in a folder a set, named as its data directory:
'ser extract data/train feats/compare/train --upstream compare', and so for the test sets."""


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser adapt",
        description="Adaptation to test speakers (Sridhar & Busso 2022): training goes on, on training"
        " speakers who sound like them. Their audio is used, and no label of theirs.",
        epilog=EPILOG,
    )
    parser.add_argument("experiment", type=Path, help="exp/<experiment>, trained by 'ser train'")
    parser.add_argument("--functionals", type=Path, required=True,
                        help="feats/<tag>: features by which speakers are compared")  # fmt: skip
    parser.add_argument("--out", type=Path, help="the new experiment; default <experiment>_adapt_<strategy>")
    parser.add_argument("--test-sets", type=list[str], default=[],
                        help="adapt to these test sets and predict them: [a, b]; default all")  # fmt: skip
    parser.add_argument("--per-speaker", action="store_true",
                        help="one adapted model for each test speaker, in place of one for all")  # fmt: skip
    parser.add_class_arguments(AdaptationConfig, skip={"per_speaker"})
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))
    config = AdaptationConfig(
        **{each.name: options[each.name] for each in dataclasses.fields(AdaptationConfig)}
    )
    name = f"{options.experiment.name}_adapt_{config.strategy}" + ("_speaker" if config.per_speaker else "")
    out = options.out or options.experiment.with_name(name)
    adapt_experiment(
        Experiment(options.experiment), Experiment(out), options.functionals, config, options.test_sets
    )
    print(out)
