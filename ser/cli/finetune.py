"""``ser finetune``: audio -> trained experiment, encoder and interpreter together."""

from __future__ import annotations

from pathlib import Path

from ser.cli.share import add_set_arguments, add_share_arguments, share_of
from ser.cli.text import add_text_arguments, text_arguments
from ser.core.config import Parser
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.finetune.train import finetune_experiment

EPILOG = """Several GPUs: torchrun --nproc-per-node=4 -m ser.cli finetune ...; they share every batch,
and their number changes rounding alone. A call that was killed goes on after its last epoch."""


def make_parser() -> Parser:
    """Options of the verb: conf/*.yaml through ``--config``, anything in it by ``--a.b value``."""
    parser = Parser(
        prog="ser finetune", description="Fine-tune every fold of an experiment end to end.", epilog=EPILOG
    )
    parser.add_argument("--config", action="config", help="YAML with the options below")
    parser.add_class_arguments(FinetuneConfig)
    where = parser.add_argument_group("data, encoder and experiment")
    where.add_argument("--data", type=Path, required=True, help="training data directory (or the only one)")
    where.add_argument(
        "--upstream", required=True, help="encoder: hf:<folder>, papt:<folder>, hubert_base ..."
    )
    add_set_arguments(where, features=False)
    add_text_arguments(where)
    where.add_argument("--speakers", type=Path, help="of which training speakers a personalised encoder makes"
                       " others, as 'ser speakers' writes it")  # fmt: skip
    where.add_argument("--whisper-context", choices=["length", "30s"], default="length",
                       help="what Whisper sees: the utterance, or 30 s with silence")  # fmt: skip
    where.add_argument("--skip-broken", action="store_true", help="leave out audio that cannot be used")
    add_share_arguments(parser)
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))
    share = share_of(options)
    config = FinetuneConfig(**{name: options[name] for name in FinetuneConfig.__dataclass_fields__})
    sources = AudioSources(
        options.data,
        options.upstream,
        options.validation_data,
        options.test_data,
        "30 s" if options.whisper_context == "30s" else "length",
        options.speakers,
        options.skip_broken,
        **text_arguments(options),
    )
    finetune_experiment(
        config,
        sources,
        Experiment(options.exp),
        **share,
    )
