"""Tiny random audio language models with their processors, saved as their users have them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import torch

from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)

# Special tokens by the families' own names.
QWEN_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
FLAMINGO_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<sound>"]
# Voxtral's processor knows its audio token by its number: [AUDIO] is 24, [BEGIN_AUDIO] is 25.
VOXTRAL_SPECIALS = [
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]"),
    *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
    *(f"<SPECIAL_{i}>" for i in range(20, 24)), "[AUDIO]", "[BEGIN_AUDIO]",
]  # fmt: skip
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'audio' %}<sound>{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INST = (
    "<s>{% for message in messages %}{% if message['role'] == 'user' %}[INST]"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'audio' %}[BEGIN_AUDIO][AUDIO]{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}[/INST]{% else %}{{ message['content'] }}</s>{% endif %}{% endfor %}"
)
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.3,
}  # fmt: skip
# Two seconds are the window here, as 30 s are in the models that people use.
SECONDS, MELS = 2, 16
LAYERS = {
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "num_mel_bins": MELS,
    "max_source_positions": 100,
}
FAMILIES = ("qwen2_audio", "voxtral", "audioflamingo3")


def available() -> list[str]:
    """The families that this version of transformers has."""
    from transformers import CONFIG_MAPPING

    return [family for family in FAMILIES if family in CONFIG_MAPPING]


def tokenizer_of(specials: list[str], bos: str | None, eos: str, template: str | None):
    """A byte-level tokenizer without merges: words are several tokens, as they are in real ones."""
    import tokenizers as tk
    from transformers import PreTrainedTokenizerFast

    letters = sorted(tk.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*specials, *letters])}
    inner = tk.Tokenizer(tk.models.BPE(vocab=vocabulary, merges=[]))
    inner.add_special_tokens(specials)
    inner.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tk.decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=bos, eos_token=eos, pad_token=eos, chat_template=template,
        additional_special_tokens=specials, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def build(family: str):
    """A random model and its processor, or the parts of one."""
    import transformers as tf

    torch.manual_seed(sum(map(ord, family)))
    extractor = tf.WhisperFeatureExtractor(feature_size=MELS, chunk_length=SECONDS)
    audio = {**LAYERS, "initializer_range": 0.2}
    if family == "qwen2_audio":
        tokenizer = tokenizer_of(QWEN_SPECIALS, None, "<|endoftext|>", None)
        text = {"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT}
        config = tf.Qwen2AudioConfig(
            audio_config={"model_type": "qwen2_audio_encoder", "d_model": 16, "encoder_ffn_dim": 24, **audio},
            text_config=text, audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        )  # fmt: skip
        model = tf.Qwen2AudioForConditionalGeneration(config)
        model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(
            ["<|endoftext|>", "<|im_end|>"]
        )
        return model, [tf.Qwen2AudioProcessor(extractor, tokenizer)]
    if family == "voxtral":
        tokenizer = tokenizer_of(VOXTRAL_SPECIALS, "<s>", "</s>", INST)
        text = {"model_type": "llama", "vocab_size": len(tokenizer), "head_dim": 8, **TEXT}
        # Four frames side by side are a token: intermediate_size of the tower is four times its width.
        sizes = {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        tower = {**sizes, "num_mel_bins": MELS, "max_source_positions": 100, "initializer_range": 0.2}
        config = tf.VoxtralConfig(
            audio_config={"model_type": "voxtral_encoder", **tower}, text_config=text, audio_token_id=24
        )
        model = tf.VoxtralForConditionalGeneration(config)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        return model, [extractor, tokenizer]
    if family == "audioflamingo3":
        tokenizer = tokenizer_of(FLAMINGO_SPECIALS, None, "<|im_end|>", None)
        text = {"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT}
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
        tower = {**sizes, "num_mel_bins": MELS, "max_source_positions": 100, "initializer_range": 0.2}
        config = tf.AudioFlamingo3Config(
            audio_config={"model_type": "audioflamingo3_encoder", **tower}, text_config=text,
            audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
        )  # fmt: skip
        model = tf.AudioFlamingo3ForConditionalGeneration(config)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        processor = tf.AudioFlamingo3Processor(extractor, tokenizer, chat_template=CHATML, max_audio_len=4)
        return model, [processor]
    raise ValueError(family)


def save(family: str, folder: Path) -> Path:
    """Write a model as its users have it: weights, config.json, tokenizer and processor in one folder."""
    model, parts = build(family)
    for part in (model, *parts):
        part.save_pretrained(folder)
    return folder


def write_tekken(folder: Path) -> None:
    """In place of Voxtral's tokenizer: tekken.json, as Mistral publishes it, of bytes alone."""
    names = [*VOXTRAL_SPECIALS, *(f"<SPECIAL_{i}>" for i in range(26, 34)), "[TRANSCRIBE]", "<SPECIAL_35>"]
    content = {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+|[^\s\p{L}\p{N}]+", "num_vocab_tokens": 256,
            "default_vocab_size": 256 + len(names), "default_num_special_tokens": len(names), "version": "v7",
        },
        "vocab": [
            {"rank": i, "token_bytes": base64.b64encode(bytes([i])).decode(), "token_str": None}
            for i in range(256)
        ],
        "special_tokens": [
            {"rank": i, "token_str": name, "is_control": True} for i, name in enumerate(names)
        ],
        "audio": {
            "sampling_rate": 16000, "frame_rate": 12.5, "chunk_length_s": float(SECONDS),
            "audio_encoding_config": {"num_mel_bins": MELS, "hop_length": 160, "window_size": 400},
        },
    }  # fmt: skip
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    (folder / "tekken.json").write_text(json.dumps(content), encoding="utf-8")
