"""``ser predict``: trained experiment -> predictions of its own data, or of any audio files."""

from __future__ import annotations

import sys
from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.core.files import write_text
from ser.downstream.audio_table import TableOptions, find_audio, predict_audio
from ser.downstream.experiment import Experiment
from ser.downstream.load import load_recogniser
from ser.downstream.predict import predict_experiment
from ser.downstream.recogniser import WINDOW_SECONDS
from ser.features.extract import share_machine

EPILOG = """Without audio, every trained fold predicts the data and features it was trained with (stage 9).
With audio files or folders (wav, flac, ogg, mp3), the mean of all folds and seeds predicts them, as CSV:
file,start,end,label,p_<class>...,<attribute>..., one row a window; a file up to --window is one row."""


def make_parser() -> Parser:
    """Options of the verb."""
    parser = Parser(prog="ser predict", description="Predict with a trained experiment.", epilog=EPILOG)
    parser.add_argument("exp", type=Path, help="folder of the experiment")
    parser.add_argument("audio", nargs="*", help="audio files and folders of one's own; may be left out")
    parser.add_argument(
        "--parts",
        type=list[str] | None,
        help="without audio: of [train, validation, test]; vectors of all serve PLDC. Default [test]",
    )
    parser.add_argument(
        "--speakers",
        type=Path,
        help="without audio: another table of 'ser speakers', for speakers of test sets",
    )
    parser.add_argument("--into", type=Path, help="the experiment to write, with --speakers")
    parser.add_argument("-o", "--out", help="CSV to write; standard output by default, or for -")
    parser.add_argument("--window", type=float, default=WINDOW_SECONDS, help="seconds of a window")
    parser.add_argument("--hop", type=float, help="seconds between windows; the window's by default")
    parser.add_argument("--whole-file", action="store_true", help="one row a file: the mean of its windows")
    parser.add_argument("--seed", type=int, help="models of this seed alone")
    parser.add_argument("--fold", type=str, help="the model of this fold alone")
    parser.add_argument("--upstream", help="where the upstream is now, if it has moved: hf:<folder>")
    parser.add_argument("--one-speaker", action="store_true",
                        help="all audio is one speaker's: for models with standardise: speaker")  # fmt: skip
    parser.add_argument("--skip-broken", action="store_true", help="leave out audio that cannot be used")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if not options.audio:
        defaults = vars(parser.parse_args([str(options.exp)]))
        own = ("parts", "speakers", "into")
        given = [n for n, v in vars(options).items() if n not in own and v != defaults[n]]
        if given:
            raise UserError("an option for audio files, and no audio is given", value=f"--{given[0]}")
        predict_experiment(Experiment(options.exp), options.parts or ["test"], options.speakers, options.into)
        return
    for name in ("parts", "speakers", "into"):
        if options[name] is not None:
            what = f"--{name} is for the experiment's own data, not for audio files"
            raise UserError(what, hint="Leave it out")
    files = find_audio(options.audio)
    share_machine(1)
    recogniser = load_recogniser(
        options.exp, upstream=options.upstream, seed=options.seed, fold=options.fold, device=options.device
    )
    table = predict_audio(
        recogniser,
        files,
        TableOptions(
            options.window, options.hop, options.whole_file, options.one_speaker, options.skip_broken
        ),
    )
    if options.out in (None, "-"):
        sys.stdout.write(table)
    else:
        write_text(options.out, table)
