"""``ser memory-predict``: trained experiment on conversations -> predictions, turn by turn."""

from __future__ import annotations

import sys
from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.memory.experiment import ConversationExperiment
from ser.memory.interventions import NAMES
from ser.memory.predict import leak_checks, predict_conversations


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser memory-predict",
        description="Predict the dialogues of an experiment, each from a fresh memory, in order.",
    )
    parser.add_argument("exp", type=Path, help="folder of the experiment")
    parser.add_argument(
        "--parts", type=list[str], default=["test"], help="of [train, validation, test]; default [test]"
    )
    parser.add_argument("--ablate", choices=NAMES, help="the same models, changed at test time")
    parser.add_argument("--into", type=Path, help="the experiment to write, with --ablate")
    parser.add_argument(
        "--generate", action="store_true", help="also write what a language model says: generated.txt"
    )
    parser.add_argument(
        "--check-leaks", action="store_true", help="instead: does anything but the past reach a prediction?"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb; exits with 2 when a leak check fails."""
    options = make_parser().parse_args(argv)
    experiment = ConversationExperiment(options.exp)
    if options.check_leaks:
        if options.ablate or options.into or options.generate:
            raise UserError("--check-leaks predicts nothing", hint="Leave out the other options")
        checks = leak_checks(experiment, options.device)
        for place, found in checks.items():
            for check in found:
                print(f"{place}: {check}")
        if not all(check.passed for found in checks.values() for check in found):
            sys.exit(2)
        return
    predict_conversations(
        experiment, options.parts, options.ablate, options.into, options.generate, options.device
    )
