"""``ser papt``: data, units and an encoder -> personalised encoder."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser

EPILOG = """upstreams: hf:<folder or hub name> (HuBERT, WavLM, wav2vec 2.0), s3prl:hubert_local:<file>,
s3prl:wavlm_local:<file>, scratch:tiny, scratch:small (random weights). Several directories are
written with commas between, as are the folders of their units. A run that was stopped goes on after its last
checkpoint. Several GPUs or machines: accelerate launch -m ser.cli papt ..., or torchrun."""


def make_parser() -> Parser:
    """Options of the verb: conf/papt.yaml through ``--config``, anything in it by ``--a.b value``."""
    from ser.papt.config import PaptConfig

    parser = Parser(prog="ser papt", description="Personalised adaptive pre-training.", epilog=EPILOG)
    parser.add_argument("--config", action="config", help="YAML with the options below")
    parser.add_class_arguments(PaptConfig)
    where = parser.add_argument_group("encoder, data, units and experiment")
    where.add_argument("--upstream", required=True, help="the encoder to start from")
    where.add_argument("--data", required=True, help="data directories, with commas between")
    where.add_argument("--units", required=True, help="folders of their units, exp/units/<name>/<set>")
    where.add_argument("--validation-data", default="", help="data directories of the validation loss")
    where.add_argument("--validation-units", default="", help="folders of their units")
    where.add_argument("--out", type=Path, required=True, help="folder of the experiment, exp/papt/<name>")
    where.add_argument("--seed", type=int, default=0, help="of everything random: weights, batches, masks")
    where.add_argument("--restart", action="store_true", help="start over, whatever lies in --out")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.instantiate(parser.parse_args(argv))

    import dataclasses

    from ser.papt.config import PaptConfig
    from ser.papt.pretrain import PaptSources, pretrain

    pretrain(
        PaptConfig(**{field.name: options[field.name] for field in dataclasses.fields(PaptConfig)}),
        PaptSources(
            options.upstream,
            _paths(options.data),
            _paths(options.units),
            _paths(options.validation_data),
            _paths(options.validation_units),
        ),
        options.out,
        options.seed,
        options.restart,
    )


def _paths(text: str) -> list[Path]:
    """``a,b`` as paths."""
    return [Path(part) for part in text.split(",") if part]
