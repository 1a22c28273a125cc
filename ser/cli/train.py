"""``ser train``: features -> trained experiment."""

from __future__ import annotations

from pathlib import Path

from ser.cli.share import add_set_arguments, add_share_arguments, share_of
from ser.cli.text import add_text_arguments, text_arguments
from ser.core.config import Parser
from ser.downstream.config import TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.train import train_experiment


def make_parser() -> Parser:
    """Options of the verb: conf/*.yaml through ``--config``, anything in it by ``--a.b value``."""
    parser = Parser(prog="ser train", description="Train every fold of an experiment on features.")
    parser.add_argument("--config", action="config", help="YAML with the options below")
    parser.add_class_arguments(TrainConfig)
    where = parser.add_argument_group("data, features and experiment")
    where.add_argument("--data", type=Path, required=True, help="training data directory (or the only one)")
    where.add_argument("--feats", type=Path, required=True, help="its features")
    add_set_arguments(where, features=True)
    add_text_arguments(where)
    add_share_arguments(parser)
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))
    share = share_of(options)
    names = ("name", "task", "model", "speaker", "gender", "text", "optimizer", "validation", "search")
    train_experiment(
        TrainConfig(**{name: options[name] for name in names}),
        Sources(
            options.data,
            options.feats,
            options.validation_data,
            options.validation_feats,
            options.test_data,
            options.test_feats,
            **text_arguments(options),
        ),
        Experiment(options.exp),
        **share,
    )
