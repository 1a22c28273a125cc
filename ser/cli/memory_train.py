"""``ser memory-train``: conversations -> trained experiment, a host with memory and head."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.memory.config import MalConfig
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.memory.train import train_conversations

EPILOG = """The data directories want utt2dialogue and utt2turn. The host is an upstream by its features
(--feats), or an audio language model (--host). Several GPUs: torchrun --nproc-per-node=4 -m ser.cli
memory-train ...; they share every batch of dialogues. A call that was killed goes on after its last epoch."""


def make_parser() -> Parser:
    """Options of the verb: conf/*.yaml through ``--config``, anything in it by ``--a.b value``."""
    parser = Parser(
        prog="ser memory-train",
        description="Train every fold of an experiment on conversations.",
        epilog=EPILOG,
    )
    parser.add_argument("--config", action="config", help="YAML with the options below")
    parser.add_class_arguments(MalConfig)
    where = parser.add_argument_group("data, host and experiment")
    where.add_argument("--data", type=Path, required=True, help="training data directory (or the only one)")
    where.add_argument("--feats", type=Path, help="its features: the host is their upstream")
    where.add_argument("--host", type=str,
                       help="folder or hub name of an audio language model, instead of --feats")  # fmt: skip
    where.add_argument("--validation-data", type=Path, help="the corpus's validation set")
    where.add_argument("--validation-feats", type=Path, help="its features")
    where.add_argument("--test-data", type=list[Path], default=[], help="the corpus's test sets: [a, b]")
    where.add_argument("--test-feats", type=list[Path], default=[], help="their features, in the same order")
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
    config = MalConfig(**{name: options[name] for name in MalConfig.__dataclass_fields__})
    sources = ConversationSources(
        options.data,
        options.feats,
        options.host,
        options.validation_data,
        options.validation_feats,
        options.test_data,
        options.test_feats,
    )
    train_conversations(
        config,
        sources,
        ConversationExperiment(options.exp),
        seed=options.seed,
        only_fold=options.fold,
        job=options.job,
        jobs=options.nj,
    )
