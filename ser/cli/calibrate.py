"""``ser calibrate``: predictions -> predictions with the label distribution of similar training speakers."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.downstream.experiment import Experiment
from ser.personalise.analysis import write_shifts
from ser.personalise.by_utterances import parse_counts, write_by_utterances
from ser.personalise.experiment import CalibrationConfig, calibrate_experiment
from ser.personalise.shift import COMPONENTS
from ser.scoring.personalisation import analyse_shifts, draw_by_utterances


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser calibrate",
        description="PLDC (Tran et al. 2023): each test speaker's predictions get the standard deviation, or"
        " mean, of the training labels of the speakers whose voices are nearest. Wants the predictions of"
        " 'ser predict EXP --parts [train,validation,test]'.",
    )
    parser.add_argument("experiment", type=Path, help="exp/<experiment>, trained and predicted")
    parser.add_argument(
        "--out",
        type=Path,
        help="the new experiment; by default <experiment>_pldc_<shift>, of --k all <...>_all",
    )
    parser.add_class_arguments(CalibrationConfig)
    more = parser.add_argument_group("more tables and pictures, which look at the test speakers' labels")
    more.add_argument(
        "--by-utterances",
        help="such as 1,2,5,10,20,all: CCC where so many utterances of each speaker have been heard",
    )
    more.add_argument("--draws", type=int, default=100, help="draws of these utterances")
    more.add_argument(
        "--analyse",
        action="store_true",
        help="feature shift, label shift and CCC of each test speaker, and their correlations",
    )
    more.add_argument(
        "--components",
        type=float,
        default=COMPONENTS,
        help="principal components of which feature shift is told: a share of variance, or their number",
    )
    more.add_argument("--seed", type=int, default=0, help="of draws and of the bootstrap over speakers")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    names = CalibrationConfig.__dataclass_fields__
    config = CalibrationConfig(**{name: getattr(options, name) for name in names})
    counts = None if options.by_utterances is None else parse_counts(options.by_utterances)
    source = Experiment(options.experiment)
    out = Experiment(options.out or config.path_beside(source.path))
    calibrate_experiment(source, out, config)
    files = [out.path]
    if counts is not None:
        files.append(write_by_utterances(source, out, config, counts, options.draws, options.seed))
        table, pictures = draw_by_utterances(out.path)
        print(table)
        files += pictures
    if options.analyse:
        files.append(write_shifts(source, out, options.components))
        table, pictures = analyse_shifts(out.path, seed=options.seed)
        print(table)
        files += pictures
    for path in files:
        print(path)
