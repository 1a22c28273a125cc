"""What a neural memory adds to an audio language model's time to label: random weights, real shapes.

    python benchmarks/memory_cost_lm.py --device cuda
    python benchmarks/memory_cost_lm.py --tiny

The host has the shape of Qwen2-Audio-7B (8.4 billion parameters, bf16, 125 audio tokens of 5 s), and is made
where it runs, without a file. It hears noise and is asked for an emotion: audio tower and projector, prefill
of the prompt, generation of the label (``--new-tokens``, a word and the end of turn). The memory stands
behind the projector, in float32.

Time to label is taken of the host alone, with the memory read, and with it read and written; one after the
other in every round, so that a machine that slows down slows all of them. What is added is the median of the
rounds' differences, with quartiles. ``memory alone`` is the same memory on the same tokens without the host.
A target of 5 % is set for reading; writing does not stand between audio and label when it is done after it.

``--tiny`` is the same with a model of no size, to see that the script works: its times say nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ser.memory.config import MemoryConfig
from ser.memory.history import ALL_ON, Switches
from ser.memory.hosts.audio_lm import PRECISIONS, Reading, make_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from ser.memory.hosts.base import Heard
from ser.memory.hosts.language_model import AudioLanguageModel
from ser.memory.model import ConversationModel
from ser.memory.neural import NeuralMemory
from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)

CLASSES = ["angry", "happy", "neutral", "sad"]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
# Of the model's config.json: what differs from the defaults of transformers' Qwen2AudioConfig.
QWEN2_AUDIO_7B = {
    "audio_config": {"model_type": "qwen2_audio_encoder"},
    "text_config": {
        "model_type": "qwen2", "intermediate_size": 11008, "vocab_size": 156032,
        "max_position_embeddings": 8192,
    },
}  # fmt: skip
TINY = {
    "audio_config": {
        "model_type": "qwen2_audio_encoder", "d_model": 16, "encoder_ffn_dim": 24, "encoder_layers": 2,
        "encoder_attention_heads": 4, "num_mel_bins": 16,
    },
    "text_config": {
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128,
        "max_position_embeddings": 1024,
    },
}  # fmt: skip
RATE = 16000
READS = Switches(writes=False)


def make_reading(mels: int, words: Sequence[str]) -> Reading:
    """A processor without files: a token a word, unknown but for ``words``, as long as a prompt is."""
    import tokenizers
    import transformers

    vocabulary = {token: number for number, token in enumerate([*SPECIALS, "<unk>", *words])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=SPECIALS[0], pad_token=SPECIALS[0], unk_token="<unk>",
        additional_special_tokens=SPECIALS,
    )  # fmt: skip
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    processor = transformers.Qwen2AudioProcessor(extractor, tokenizer)
    return Reading(extractor, tokenizer, processor)


def make_host(options: argparse.Namespace) -> AudioLanguageModel:
    """Qwen2-Audio with random weights, made on its device in its precision."""
    import transformers

    shape = TINY if options.tiny else QWEN2_AUDIO_7B
    config = transformers.Qwen2AudioConfig(**shape, audio_token_index=SPECIALS.index("<|AUDIO|>"))
    reading = make_reading(config.audio_config.num_mel_bins, CLASSES)
    torch.manual_seed(0)
    with torch.device(options.device):
        model = transformers.AutoModelForSeq2SeqLM.from_config(
            config, dtype=PRECISIONS[options.precision], attn_implementation="sdpa"
        )
    hosting = AudioLMConfig(
        precision=options.precision, answer="word", max_new_tokens=options.new_tokens
    )  # fmt: skip
    return make_audio_lm(model, reading, hosting, CLASSES, name="tiny" if options.tiny else "Qwen2-Audio-7B")


class Clock:
    """Milliseconds of a call: to the end of its last kernel on a GPU, of computing time on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.gpu = device.type == "cuda"
        self.now = time.perf_counter if self.gpu else time.process_time

    def __call__(self, call: Callable[[], object]) -> float:
        """Of one call."""
        self._wait()
        start = self.now()
        call()
        self._wait()
        return 1e3 * (self.now() - start)

    def rounds(self, calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, np.ndarray]:
        """Times ``(repeat,)`` of every call, one after the other in every round; two rounds go before."""
        found = [{name: self(call) for name, call in calls.items()} for _ in range(repeat + 2)][2:]
        return {name: np.array([each[name] for each in found]) for name in calls}

    def _wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()


@torch.no_grad()
def measure(host: AudioLanguageModel, config: MemoryConfig, options: argparse.Namespace) -> dict:
    """Times by name, ``(repeat,)`` in ms; ``tokens``, audio tokens of an utterance."""
    history = NeuralMemory(host.info.dim, config).to(host.device)
    model = ConversationModel(host, history, None, len(CLASSES), "dialogue").eval()
    random = np.random.default_rng(0)
    samples = round(options.seconds * RATE)
    heard = host.hear([random.normal(0, 0.1, samples) for _ in range(options.batch)]).to(host.device)
    here = torch.zeros(options.batch, dtype=torch.long, device=host.device)
    tokens, lengths = host.tokens(heard).float(), heard.lengths
    # Not the first utterance: memories have diverged from the one that all begin with.
    _, state = history(tokens, lengths, model.begin(options.batch), here)
    inside, slot = history.into(history.norm(tokens)), state.slot(here)
    found = Clock(host.device).rounds(
        {
            "tower and projector": lambda: host.tokens(heard),
            "to the first token": lambda: first_token(host, heard),
            "time to label, host alone": lambda: host.generate(heard),
            "time to label, read": lambda: model.generate(heard, state, here, READS),
            "time to label, read and written": lambda: model.generate(heard, state, here),
            "memory alone, read": lambda: history(tokens, lengths, state, here, READS),
            "memory alone, write": lambda: history.write(inside, lengths, slot, ALL_ON),
        },
        options.repeat,
    )
    return {**found, "tokens": int(lengths[0])}


def first_token(host: AudioLanguageModel, heard: Heard) -> None:
    """Tower, projector, prefill and one token."""
    whole = host.config.max_new_tokens
    host.config.max_new_tokens = 1
    try:
        host.generate(heard)
    finally:
        host.config.max_new_tokens = whole


def shown(times: np.ndarray) -> str:
    """Median and quartiles."""
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    return f"{median:9.3f} [{low:9.3f}, {high:9.3f}] ms"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the parts of the time to label, and what memory adds, for every chunk size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiny", action="store_true", help="a model of no size")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="bf16", help="of the host")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an utterance")
    parser.add_argument("--batch", type=int, default=1, help="dialogues at once")
    parser.add_argument("--new-tokens", type=int, default=2, help="of a label: its word and the end of turn")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--chunk", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--repeat", type=int, default=30, help="rounds")
    options = parser.parse_args(arguments)
    host = make_host(options)
    where = torch.cuda.get_device_name(host.device) if host.device.type == "cuda" else "CPU"
    beside = len(host.prompt.before) + len(host.prompt.after)
    print(
        f"{host.info.name}, {host.info.parameters / 1e9:.3f} billion parameters, {options.precision}, {where}"
    )
    print(f"{options.batch} x {options.seconds:g} s, {beside} tokens of prompt beside the audio,"
          f" {options.new_tokens} new tokens")  # fmt: skip
    print(f"memory of width {options.width}, depth {options.depth}, float32")
    for chunk in options.chunk:
        found = measure(host, MemoryConfig(width=options.width, depth=options.depth, chunk=chunk), options)
        print(f"chunk {chunk}, {found.pop('tokens')} audio tokens")
        for name, times in found.items():
            print(f"  {name:32s} {shown(times)}")
        alone = found["time to label, host alone"]
        for name in ("read", "read and written"):
            added = found[f"time to label, {name}"] - alone
            share = 100 * float(np.median(added)) / float(np.median(alone))
            print(f"  {'added, ' + name:32s} {shown(added)}, {share:.2f} % of the host's time to label")


if __name__ == "__main__":
    main()
