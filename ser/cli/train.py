"""``ser train``: features -> trained experiment."""

from __future__ import annotations

from pathlib import Path

from ser.cli.text import add_text_arguments, text_arguments
from ser.core.config import Parser
from ser.core.errors import UserError
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
    where.add_argument("--validation-data", type=Path, help="the corpus's validation set")
    where.add_argument("--validation-feats", type=Path)
    where.add_argument("--test-data", type=list[Path], default=[], help="the corpus's test sets: [a, b]")
    where.add_argument("--test-feats", type=list[Path], default=[])
    add_text_arguments(where)
    where.add_argument("--exp", type=Path, required=True, help="folder of the experiment")
    work = parser.add_argument_group("this call's share of the work")
    work.add_argument("--seed", type=int, default=0)
    work.add_argument("--fold", type=str, help="train this fold alone")
    work.add_argument("--nj", type=int, default=1, help="calls that share the folds")
    work.add_argument("--job", type=int, default=1, help="this call's number, from 1")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))
    if not 1 <= options.job <= options.nj:
        raise UserError("--job counts from 1 to --nj", value=f"{options.job} of {options.nj}")
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
        seed=options.seed,
        only_fold=options.fold,
        job=options.job,
        jobs=options.nj,
    )
