"""``ser asr``: audio -> the transcripts that a data directory lacks."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.core.log import get_logger

log = get_logger(__name__)

EPILOG = (
    """Words that are there stay. utt2asr names the utterances whose words were recognised, and by what."""
)


def make_parser() -> Parser:
    """The options of ``ser asr``."""
    parser = Parser(prog="ser asr", description="Recognise missing transcripts with Whisper.", epilog=EPILOG)
    parser.add_argument("data", type=Path, help="data directory, whose text is written")
    parser.add_argument("--model", required=True, help="a whole Whisper, hf:<folder or hub name>")
    parser.add_argument("--language", help="such as de; by default Whisper decides")
    parser.add_argument("--allow-pipes", action="store_true", help="run commands that stand in wav.scp")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)

    from ser.data.datadir import DataDir
    from ser.text.asr import load_recogniser, recognise

    data = DataDir.load(options.data)
    recogniser = load_recogniser(options.model, options.device, options.language)
    count = recognise(data, recogniser, options.allow_pipes)
    log.info("%s: words of %d utterances recognised", options.data, count)
