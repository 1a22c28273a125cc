"""``ser score``: predictions -> scores.json, or a submission where there are no labels."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.scoring.cards.card import make_card, write_card
from ser.scoring.clusters import SPEAKER
from ser.scoring.score import score_experiment
from ser.scoring.summary import summary

OF_CROSS = ("feats", "mapping", "upstream", "device", "allow_unshared")


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser score",
        description="Score an experiment's predictions against a data directory, with 95 % intervals over"
        " speakers. A set without labels becomes a challenge's submission csv. With --model, an experiment is"
        " scored on another corpus than its own: predicted by the mean of its folds, labels mapped by name.",
    )
    parser.add_argument(
        "experiment", type=Path, nargs="?", help="exp/<experiment>, predicted by 'ser predict'"
    )
    parser.add_argument("--model", type=Path, help="instead: exp/<experiment>, to score on another corpus")
    parser.add_argument("--data", type=Path, required=True, help="data directory that was predicted")
    parser.add_argument(
        "--set",
        type=str,
        help="folder of the predictions in each fold; by default 'test' for cross-validation, else the data"
        " directory's name",
    )
    parser.add_argument("--draws", type=int, default=1000, help="draws of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    parser.add_argument(
        "--cluster", default=SPEAKER, help="intervals over each speaker, dialogue (utt2dialogue) or session"
        " (utt2session)",
    )  # fmt: skip
    other = parser.add_argument_group("with --model")
    other.add_argument("--feats", type=Path, help="features of the data; extracted when not given")
    other.add_argument("--mapping", type=Path, help="which names mean the same; see docs/cross_corpus.md")
    other.add_argument("--upstream", help="where the upstream is now, if it has moved: hf:<folder>")
    other.add_argument("--device", help="auto, cpu, cuda, cuda:1")
    other.add_argument("--allow-unshared", action="store_true", help="no error where no label is shared")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    if (options.experiment is None) == (options.model is None):
        raise UserError("give either an experiment or --model", hint="See 'ser score --help'")
    if options.model is not None:
        if options.set is not None:
            raise UserError("--set is not for --model", hint="Leave it out")
        _score_on_another_corpus(options)
        return
    given = [name for name in OF_CROSS if options[name]]
    if given:
        raise UserError("an option for --model", value=f"--{given[0].replace('_', '-')}", hint="Add --model")
    outcome = score_experiment(
        options.experiment, options.data, options.set, options.draws, options.seed, options.cluster
    )
    if outcome.scores is None:
        print(f"{options.data} has no labels: not scored, written as the challenge's submission")
    else:
        print(summary(outcome.scores))
    for path in outcome.files:
        print(path)


def _score_on_another_corpus(options: Namespace) -> None:
    """Predict and score; torch is imported only here."""
    from ser.downstream.cross import predict_other
    from ser.downstream.experiment import Experiment
    from ser.scoring.cross import check_shared, mapping_notes, score_cross

    if not options.allow_unshared:
        check_shared(options.model, options.data, options.mapping)
    folder = predict_other(
        Experiment(options.model), options.data, options.feats, options.upstream, options.device or "auto"
    )
    path, scores = score_cross(
        options.model, folder, options.data, options.mapping, options.draws, options.seed,
        options.allow_unshared, options.cluster,
    )  # fmt: skip
    card = write_card(options.model, make_card(options.model, {}))
    print("\n".join([summary(scores), *mapping_notes(scores), *map(str, [path, *card])]))
