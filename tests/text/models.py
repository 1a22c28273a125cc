"""Small random text models with tokenizers, as their users have them: a folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ser.upstream import torchaudio_stub  # noqa: F401

WORDS = [
    *("the", "a", "cat", "dog", "sat", "ran", "on", "mat", "good", "bad", "day", "you", "are", "very"),
    *("never", "happy", "sad", ".", ","),
]


def text_encoder(folder: Path, family: str = "bert") -> Path:
    """A random encoder whose words are ``WORDS``."""
    import transformers as tf
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(3)
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=16,
    )  # fmt: skip
    if family == "t5":
        size = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 2, "num_heads": 2}
        model = tf.T5Model(tf.T5Config(vocab_size=len(vocabulary), **size, dropout_rate=0.5))
    else:
        size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
        model = tf.BertModel(tf.BertConfig(vocab_size=len(vocabulary), **size, max_position_embeddings=16))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def whisper(folder: Path) -> Path:
    """A random Whisper, English only, whose words are single bytes."""
    import transformers as tf
    from tokenizers.pre_tokenizers import ByteLevel

    torch.manual_seed(4)
    alphabet = sorted(ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
    vocabulary = {token: n for n, token in enumerate([*alphabet, *special])}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = tf.WhisperTokenizer(
        vocab=vocabulary, merges=[], unk_token=special[0], bos_token=special[0], eos_token=special[0],
        pad_token=special[0],
    )  # fmt: skip
    end = vocabulary[special[0]]
    config = tf.WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, num_mel_bins=80,
        decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=24, vocab_size=len(vocabulary),
        pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=end + 1,
        max_source_positions=1500, max_target_positions=24, dropout=0.3, init_std=1.0,
    )  # fmt: skip
    model = tf.WhisperForConditionalGeneration(config)
    model.generation_config.update(
        max_length=12, decoder_start_token_id=end + 1, eos_token_id=end, pad_token_id=end,
        no_timestamps_token_id=end + 2, is_multilingual=False,
    )  # fmt: skip
    model.save_pretrained(folder)
    tf.WhisperProcessor(tf.WhisperFeatureExtractor(feature_size=80), tokenizer).save_pretrained(folder)
    return folder
