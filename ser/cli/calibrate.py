"""``ser calibrate``: predictions -> predictions with the label distribution of similar training speakers."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.downstream.experiment import Experiment
from ser.personalise.experiment import CalibrationConfig, calibrate_experiment


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser calibrate",
        description="PLDC (Tran et al. 2023): each test speaker's predictions get the standard deviation, or"
        " mean, of the training labels of the speakers whose voices are nearest. Wants the predictions of"
        " 'ser predict EXP --parts [train,validation,test]'.",
    )
    parser.add_argument("experiment", type=Path, help="exp/<experiment>, trained and predicted")
    parser.add_argument("--out", type=Path, help="the new experiment; by default <experiment>_pldc_<shift>")
    parser.add_class_arguments(CalibrationConfig)
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    names = CalibrationConfig.__dataclass_fields__
    config = CalibrationConfig(**{name: getattr(options, name) for name in names})
    out = options.out or options.experiment.with_name(f"{options.experiment.name}_pldc_{config.shift}")
    calibrate_experiment(Experiment(options.experiment), Experiment(out), config)
    print(out)
