"""``ser memory-train``: conversations -> trained experiment, a host with memory and head."""

from __future__ import annotations

from pathlib import Path

from ser.cli.share import add_set_arguments, add_share_arguments, share_of
from ser.core.config import Parser
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
    add_set_arguments(where, features=True)
    add_share_arguments(parser)
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))
    share = share_of(options)
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
        **share,
    )
