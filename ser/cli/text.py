"""``ser text``: transcripts -> arks of sentence embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ser.core.config import Parser
from ser.core.log import get_logger

log = get_logger(__name__)

EPILOG = """Utterances without words (no line in text, or <unk>) are left out: training has a learned vector
for them. 'ser train' and 'ser finetune --text-feats' read the result."""


def make_parser() -> Parser:
    """The options of ``ser text``."""
    parser = Parser(prog="ser text", description="Transcripts to sentence embeddings.", epilog=EPILOG)
    parser.add_argument("data", type=Path, help="data directory with text")
    parser.add_argument("--encoder", required=True, help="text encoder, hf:<folder or hub name>")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, feats/<tag>/<set>")
    parser.add_argument(
        "--normalise", type=bool | None, default=None,
        help="embeddings of length 1; by default what modules.json of sentence-transformers says, else not",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser


def add_text_arguments(group: Any) -> None:
    """Options of the verbs that train, which say where ``ser text`` has written.

    Args:
        group: of a parser.
    """
    group.add_argument("--text-feats", type=Path, help="embeddings of words (ser text), for text.fusion")
    group.add_argument("--validation-text-feats", type=Path, help="those of the validation set")
    group.add_argument(
        "--test-text-feats", type=list[Path], default=[], help="those of the test sets, in the same order"
    )


def text_arguments(options: Any) -> dict[str, Any]:
    """What was given of ``add_text_arguments``, as ``TextSources`` takes it."""
    names = ("text_feats", "validation_text_feats", "test_text_feats")
    return {name: options[name] for name in names}


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)

    from ser.data.datadir import DataDir
    from ser.text.encoder import load_text_encoder
    from ser.text.store import extract_text

    data = DataDir.load(options.data)
    encoder = load_text_encoder(options.encoder, options.device, options.normalise)
    count = extract_text(data, options.out, encoder)
    log.info("%s: %d of %d utterances have a transcript", options.out, count, len(data.utterances))
