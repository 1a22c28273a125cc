"""A WavLM and a BERT text encoder with random weights: they have seen nothing, and say nothing of either.

    python local/tiny_models.py --out exp/models        # wavlm/, text/

Both are what transformers calls them, only narrow: WavLM-base's seven convolutions and its gated relative
position buckets, with 32 channels and 4 layers. The tokenizer has the words of the mini corpus's sentences.
A folder is written whole or not at all; one that is there, from the same seed and settings and with the
weights that were written, is kept.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from ser.core import log
from ser.core.errors import UserError
from ser.core.files import read_json, sha256, write_json
from ser.core.seed import seed_everything
from ser.corpora.mini.sentences import sentences
from ser.data.whole_dir import whole_dir

logger = log.get_logger("ser.tiny_models")

WAVLM: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_buckets": 32,
    "max_bucket_distance": 80,
}
BERT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
# What WavLM-base's users find beside its weights.
PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16000,
    "padding_side": "right",
    "padding_value": 0.0,
    "do_normalize": False,
    "return_attention_mask": False,
}
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
MADE = "made.json"  # from what a folder was made, and the hash of its weights
WEIGHTS = "model.safetensors"


def words() -> list[str]:
    """The vocabulary: special tokens, then the words and marks of all sentences, in alphabetical order."""
    from tokenizers.pre_tokenizers import BertPreTokenizer

    split = BertPreTokenizer().pre_tokenize_str
    return [*SPECIAL, *sorted({word for each in sentences() for word, _ in split(each.text)})]


def write_wavlm(folder: Path) -> None:
    """Weights, config.json and preprocessor_config.json of a random WavLM."""
    import transformers

    model = transformers.WavLMModel(transformers.WavLMConfig(**WAVLM))
    model.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)


def write_text_encoder(folder: Path) -> None:
    """Weights, config.json and tokenizer of a random BERT over ``words()``."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate(words())}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=BERT["max_position_embeddings"],
    )
    config = transformers.BertConfig(vocab_size=len(vocabulary), **BERT)
    transformers.BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)


def is_made(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether ``folder`` holds what ``made_from`` gives, with the weights that were written."""
    with contextlib.suppress(UserError, OSError, KeyError, TypeError):
        made = read_json(folder / MADE)
        return made["made_from"] == made_from and made["sha256"] == sha256(folder / WEIGHTS)
    return False


def main() -> None:
    """Write what is not there yet."""
    parser = argparse.ArgumentParser(description="A tiny random WavLM and text encoder.")
    parser.add_argument("--out", type=Path, default=Path("exp/models"), help="for wavlm/ and text/")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    args = parser.parse_args()
    log.setup()
    for name, write, settings in (
        ("wavlm", write_wavlm, {**WAVLM, "conv_dim": list(WAVLM["conv_dim"])}),
        ("text", write_text_encoder, {**BERT, "sentences": [each.text for each in sentences()]}),
    ):
        folder, made_from = args.out / name, {"seed": args.seed, "settings": settings}
        if is_made(folder, made_from):
            logger.info("%s: kept", folder)
            continue
        from ser.upstream.model_folder import quiet_transformers

        seed_everything(args.seed)
        with whole_dir(folder, owns=lambda _: True) as whole, quiet_transformers():
            write(whole)
            write_json(whole / MADE, {"made_from": made_from, "sha256": sha256(whole / WEIGHTS)})
        logger.info("%s: random weights, seed %d", folder, args.seed)


if __name__ == "__main__":
    main()
