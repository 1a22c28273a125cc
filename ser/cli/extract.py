"""``ser extract``: audio to arks of pooled statistics and frames, with any upstream."""

from __future__ import annotations

import sys
from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.core.log import clock, get_logger

log = get_logger(__name__)

EPILOG = """upstreams: a S3PRL name (fbank, mfcc, hubert_base, wavlm_large ...), s3prl:<entry>:<checkpoint>,
hf:<folder or hub name> (HuBERT, WavLM, wav2vec2, w2v-BERT, Whisper ...), papt:<folder>, egemaps, compare.
Without --job all is done here. With --nj 4 --job 2 the second quarter is; when all four are done,
--nj 4 --combine puts them together. What is done is not done again."""


def parser() -> Parser:
    """The options of ``ser extract``."""
    parser = Parser(prog="ser extract", description="Audio to features.", epilog=EPILOG)
    parser.add_argument("data", nargs="?", help="data directory")
    parser.add_argument("feats", nargs="?", help="folder of the features, feats/<tag>/<set>")
    parser.add_argument("--upstream", help="name of the upstream")
    parser.add_argument("--nj", type=int, default=1, help="number of jobs")
    parser.add_argument("--job", type=int, help="do this job only, from 1")
    parser.add_argument("--combine", action="store_true", help="put the finished jobs together")
    parser.add_argument("--frames-layers", help="keep the frames of these layers, e.g. 0,9,10")
    parser.add_argument("--batch-seconds", type=float, help="bound on the audio in a batch, padding included")
    parser.add_argument(
        "--skip-broken", action="store_true", help="leave out audio that cannot be used, and list it"
    )
    parser.add_argument("--speakers", help="of which training speakers a personalised encoder makes others,"
                        " as 'ser speakers' writes it")  # fmt: skip
    parser.add_argument("--allow-pipes", action="store_true", help="run commands that stand in wav.scp")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--whisper-context", choices=["length", "30s"], default="length",
                        help="what Whisper sees: the utterance, or 30 s with silence")  # fmt: skip
    parser.add_argument("--probe", action="store_true",
                        help="compare batches with single utterances; exit code 1 above 1e-5")  # fmt: skip
    parser.add_argument("--tag", action="store_true", help="print the upstream's short name instead")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = parser().parse_args(argv)
    if options.upstream is None:
        raise UserError("no upstream", hint="Name one with --upstream, e.g. --upstream fbank")
    context = "30 s" if options.whisper_context == "30s" else "length"

    from ser.upstream.registry import tag_of

    if options.tag:
        print(tag_of(options.upstream, context))
        return
    if options.probe:
        sys.exit(0 if _probe(options.upstream, context, options.device, options.data) else 1)
    if options.data is None or options.feats is None:
        raise UserError(
            "a data directory and a folder for the features are needed", hint="See 'ser extract --help'"
        )

    from ser.data.datadir import DataDir
    from ser.features.extract import Extraction, ExtractionSettings, share_machine
    from ser.features.plan import BATCH_SECONDS
    from ser.upstream import load_upstream

    layers = _layers(options.frames_layers)
    data = DataDir.load(options.data)
    share_machine(options.nj if options.job else 1)
    settings = ExtractionSettings(
        frames_layers=layers,
        batch_seconds=BATCH_SECONDS if options.batch_seconds is None else options.batch_seconds,
        skip_broken=options.skip_broken,
        allow_pipes=options.allow_pipes,
    )
    upstream = load_upstream(options.upstream, options.device, context=context)
    if options.speakers is not None:
        upstream.assign_speakers(Path(options.speakers))
    extraction = Extraction(data, Path(options.feats), upstream, settings)
    if options.job is not None:
        extraction.run(options.nj, options.job)
    elif not options.combine:
        extraction.run()
    if options.job is None:
        timing = extraction.combine()
        log.info(
            "%s: %s of audio in %s, %.1f times real time",
            options.feats, clock(timing["audio_seconds"]), clock(timing["wall_seconds"]),
            timing["times_real_time"],
        )  # fmt: skip


def _layers(text: str | None) -> tuple[int, ...]:
    """``0,9,10`` as numbers, in order."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")})) if text else ()
    except ValueError:
        raise UserError(
            "layers are numbers with commas between", value=text, hint="For instance 0,9,10"
        ) from None


def _probe(name: str, context: str, device: str, data: str | None) -> bool:
    """Print what an upstream is and how exact its batches are; return whether they are."""
    from ser.upstream import load_upstream
    from ser.upstream.probe import probe, report, sample_utterances, synthetic_speech

    upstream = load_upstream(name, device, context=context)
    if data is None:
        waves = synthetic_speech(upstream.info.sample_rate)
    else:
        from ser.data.datadir import DataDir

        waves = sample_utterances(DataDir.load(data), upstream)
    found = probe(upstream, waves)
    print(report(upstream.info, found, "synthetic audio" if data is None else data))
    return found.passed
