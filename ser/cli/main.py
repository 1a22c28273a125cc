"""``ser VERB ...``: finds the verb's module and turns a user's mistake into one line."""

from __future__ import annotations

import importlib
import sys

import ser
from ser.core import log
from ser.core.errors import UserError

# Verb -> what it does. The module is ser.cli.<verb>, - as _, imported only when asked for, so that
# ``ser --help`` does not wait for torch.
VERBS = {
    "prepare": "raw corpus -> data directories; validate, fix, subset, split, combine, copy",
    "lint": "data directories of an experiment -> what is wrong with them, as text and page",
    "extract": "audio -> arks of pooled statistics and frames, with any upstream",
    "text": "transcripts -> arks of sentence embeddings, with any Hugging Face text encoder",
    "asr": "audio -> transcripts where a data directory has none, with Whisper",
    "units": "frames -> k-means units, which masked pre-training predicts",
    "papt": "data, units and an encoder -> personalised encoder (masked pre-training)",
    "speakers": "personalised encoder -> embeddings for speakers it was not trained on",
    "train": "features -> trained experiment (folds, seeds, learning-rate sweep)",
    "finetune": "audio -> trained experiment, encoder and head together (folds, seeds)",
    "predict": "trained experiment -> predictions and utterance vectors; audio of one's own -> labels",
    "peer": "published recogniser of another group -> its predictions, a row like any other",
    "score": "predictions -> scores.json with intervals over speakers; --model: on another corpus",
    "adapt": "trained experiment -> models adapted to the test speakers by similar training speakers",
    "calibrate": "predictions -> predictions with similar speakers' label distribution (PLDC)",
    "fuse": "predictions of several experiments -> one experiment, with weights chosen on validation",
    "memory-train": "conversations -> trained experiment: features or audio language model, with memory",
    "memory-predict": "trained experiment -> predictions, turn by turn; ablations at test time; leak checks",
    "benchmark": "run: a grid of experiments; table: RESULTS.md, report.html ...; compare; matrix",
}


def usage() -> str:
    """The overview that ``ser --help`` prints."""
    width = max(map(len, VERBS))
    lines = [
        f"ser {ser.__version__}: speech emotion recognition recipes",
        "",
        "usage: ser VERB [options]",
        "",
    ]
    lines += [f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items()]
    lines += ["", "'ser VERB --help' tells a verb's options."]
    return "\n".join(lines)


def dispatch(argv: list[str]) -> None:
    """Run one verb.

    Raises:
        UserError: for an unknown verb, or whatever the user can mend inside one.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return
    if argv[0] == "--version":
        print(ser.__version__)
        return
    verb = argv[0]
    if verb not in VERBS:
        raise UserError("no such verb", value=verb, hint="See 'ser --help'")
    importlib.import_module(f"ser.cli.{verb.replace('-', '_')}").main(argv[1:])


def main() -> None:
    """Entry point: exits with 2 on a user's mistake, 1 on the system's, 130 on Ctrl-C."""
    log.setup()
    try:
        dispatch(sys.argv[1:])
    except UserError as error:
        print(f"ser: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has left, as head does
        sys.stdout = None
        sys.exit(141)
    except OSError as error:  # full disk, no permission: nothing that a traceback would help with
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"ser: error: {where}{error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("ser: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
