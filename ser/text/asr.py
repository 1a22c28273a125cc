"""Transcripts where there are none: Whisper recognises them.

Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak Supervision": log-mel spectrum of 30 s,
padded with silence, encoder, decoder; here the most probable token at each step. Every utterance is 30 s to
Whisper, so a batch gives what single utterances give. Longer ones are cut into pieces of 30 s, whose words
are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.log import Progress, get_logger
from ser.core.seed import preserved_random_state
from ser.data.audio import AudioReader
from ser.data.datadir import NO_TEXT, DataDir
from ser.data.table import write_table
from ser.text.store import transcripts
from ser.upstream.model_folder import hub_errors, locate, quiet_transformers
from ser.upstream.registry import parse_name, resolve_device, tag_of

log = get_logger(__name__)

SECONDS = 30
BATCH = 8
# Table of the utterances whose words a machine wrote, and which machine: they are not the corpus's.
RECOGNISED = "utt2asr"


class Recogniser:
    """Whisper with its tokenizer.

    Args:
        model: ``WhisperForConditionalGeneration``, in evaluation mode.
        processor: its feature extractor and tokenizer.
        tag: its short name.
        language: such as ``de``; None lets Whisper decide.
    """

    def __init__(self, model: Any, processor: Any, tag: str, language: str | None = None) -> None:
        self.model, self.processor, self.tag = model, processor, tag
        self.options = {} if language is None else {"language": language, "task": "transcribe"}

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        return int(self.processor.feature_extractor.sampling_rate)

    def words(self, waves: list[np.ndarray]) -> list[str]:
        """What is said in waveforms ``(T,)``, as plain text; empty where nothing is recognised."""
        size = SECONDS * self.rate
        pieces = [wave[start : start + size] for wave in waves for start in range(0, len(wave), size)]
        found = [text for part in _batched(pieces) for text in self._recognise(part)]
        texts = iter(found)
        return [" ".join(" ".join(next(texts) for _ in range(0, len(wave), size)).split()) for wave in waves]

    def _recognise(self, pieces: list[np.ndarray]) -> list[str]:
        """Text of up to ``BATCH`` pieces of at most 30 s."""
        features = self.processor.feature_extractor(pieces, sampling_rate=self.rate, return_tensors="pt")
        with torch.inference_mode(), preserved_random_state(), quiet_transformers():
            tokens = self.model.generate(
                features["input_features"].to(self.model.device, self.model.dtype),
                do_sample=False, num_beams=1, **self.options,
            )  # fmt: skip
        return self.processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)


def load_recogniser(name: str, device: str = "cpu", language: str | None = None) -> Recogniser:
    """Load Whisper, whole: encoder, decoder and tokenizer.

    Raises:
        UserError: no such folder or hub name, another family, or an encoder alone.
    """
    import transformers

    parsed = parse_name(name) if name.startswith("hf:") else None
    if parsed is None or parsed.where is None:
        raise UserError("not the name of a recogniser", value=name, hint="Write hf:<folder or hub name>")
    where = locate(parsed.where)
    with preserved_random_state(), quiet_transformers(), hub_errors(where):
        config = transformers.AutoConfig.from_pretrained(where)
        if config.model_type != "whisper":
            raise UserError("only Whisper recognises words here", file=where, value=config.model_type)
        model, report = transformers.WhisperForConditionalGeneration.from_pretrained(
            where, output_loading_info=True
        )
        if report["missing_keys"]:
            raise UserError(
                f"{len(report['missing_keys'])} weights are missing: an encoder alone recognises no words",
                file=where, value=sorted(report["missing_keys"])[0],
            )  # fmt: skip
        processor = transformers.WhisperProcessor.from_pretrained(where)
    return Recogniser(model.float().eval().to(resolve_device(device)), processor, tag_of(name), language)


def recognise(data: DataDir, recogniser: Recogniser, allow_pipes: bool = False) -> int:
    """Write words for the utterances of a data directory that have none; return how many got some.

    ``text`` keeps what it has; ``utt2asr`` names those that were recognised, and by what. An utterance in
    which nothing is recognised has Kaldi's ``<unk>``.

    Raises:
        UserError: for broken audio.
    """
    known = transcripts(data)
    missing = [utterance for utterance in data.utterances if utterance not in known]
    if not missing:
        log.info("%s: every utterance has a transcript", data.path)
        return 0
    reader, progress = AudioReader(data, recogniser.rate, allow_pipes), Progress(len(missing), "recognition")
    found: dict[str, str] = {}
    for part in _batched(missing):
        waves = [reader.read(utterance) for utterance in part]
        found.update(zip(part, recogniser.words(waves), strict=True))
        progress.advance(len(part))
    tables = data.tables.get(RECOGNISED, {}) | dict.fromkeys(missing, recogniser.tag)
    text = known | {utterance: words or NO_TEXT for utterance, words in found.items()}
    write_table(data.path / RECOGNISED, dict(sorted(tables.items())))
    write_table(data.path / "text", {utterance: text[utterance] for utterance in data.utterances})
    return sum(bool(words) for words in found.values())


def _batched(items: list) -> Iterator[list]:
    """Up to ``BATCH`` at a time."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
