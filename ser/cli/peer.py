"""``ser peer``: published recogniser of another group -> an experiment with its predictions."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.peers.config import read_config, shipped

EPILOG = """Then 'ser score EXP --data DATA' and 'ser benchmark table' take it as any other row. Weights are
not ours: each has a licence of its own, which info.yaml and docs/peers.md name."""


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(
        prog="ser peer",
        description="Predict a corpus with a published recogniser of another group. Classes and attributes"
        " are mapped to the corpus's by name, attributes to its scale; nothing is trained or fitted.",
        epilog=EPILOG,
    )
    parser.add_argument("peer", help=f"{', '.join(shipped())}, or a YAML file like theirs")
    parser.add_argument("--data", type=Path, nargs="+", required=True,
                        help="data directory with utt2fold, or test sets of one corpus")  # fmt: skip
    parser.add_argument("--exp", type=Path, required=True, help="the experiment to write: exp/<tag>")
    parser.add_argument("--model", type=str, help="folder of the weights, instead of their hub name")
    parser.add_argument(
        "--train-data",
        type=Path,
        help="with test sets: the corpus's training set, which tells the protocol of the table",
    )
    parser.add_argument("--mapping", type=Path, help="which names mean the same; see docs/cross_corpus.md")
    parser.add_argument("--window", type=float, help="seconds heard at once; longer audio is cut. Default 30")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--allow-pipes", action="store_true", help="run commands that stand in wav.scp")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb; torch is imported only here."""
    options = make_parser().parse_args(argv)
    config = read_config(options.peer, model=options.model, window=options.window)

    from ser.features.extract import share_machine
    from ser.peers.experiment import predict_peer

    share_machine(1)
    predict_peer(
        config,
        options.data,
        options.exp,
        options.train_data,
        options.mapping,
        options.device,
        options.allow_pipes,
    )
    print(options.exp)
