"""Sentence embeddings: any Hugging Face text encoder, its last hidden state averaged over the tokens.

    e = (1 / T) sum_t h_t          over the T tokens of a text, [CLS] and [SEP] of BERT among them
    e / |e|                        where the encoder was trained on unit vectors (sentence-transformers)

That is the mean over the attention mask of Reimers and Gurevych (2019). Texts of one batch have the same
number of tokens, so there is no padding for a mask to hide, whatever the family, and a batch gives what
single texts give.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.core.seed import preserved_random_state
from ser.upstream.base import count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.huggingface import NOT_THE_MODEL
from ser.upstream.model_folder import hub_errors, load_model, locate, quiet_transformers, weight_files
from ser.upstream.registry import parse_name, resolve_device, tag_of

# Tokens of a batch.
BATCH_TOKENS = 4096
# What tokenizers say that know of no limit is larger than this.
NO_LIMIT = 10**6
# Position tables of RoBERTa's kind have two rows more than texts have tokens.
SPARE_POSITIONS = 2


@dataclass(frozen=True)
class TextEncoderInfo:
    """What meta.yaml says of a text encoder.

    Attributes:
        name: what the user called it, ``hf:<folder or hub name>``.
        tag: its short name, fit for a folder.
        family: ``bert``, ``roberta`` ...
        checkpoint: SHA-256 of the weights.
        dim: E, of an embedding.
        parameters: how many.
        max_tokens: longer texts are cut.
        normalise: embeddings are of length 1.
    """

    name: str
    tag: str
    family: str
    checkpoint: str | None
    dim: int
    parameters: int
    max_tokens: int
    normalise: bool


class TextEncoder:
    """A frozen text encoder with its tokenizer.

    Args:
        model: takes ``input_ids`` and ``attention_mask (B, T)``, gives ``last_hidden_state (B, T, E)``.
        tokenizer: of transformers.
        info: what it is.
        settings: fields of config.json that decide the numbers.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, info: TextEncoderInfo, settings: dict[str, Any]
    ) -> None:
        self.model, self.tokenizer, self.info, self.settings = model, tokenizer, info, settings

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return next(self.model.parameters()).device

    def tokens(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token numbers of each text, and how many texts were cut to ``max_tokens``."""
        if not texts:
            return [], 0
        with quiet_transformers():
            whole = self.tokenizer(list(texts))["input_ids"]
            cut = self.tokenizer(list(texts), truncation=True, max_length=self.info.max_tokens)["input_ids"]
        return cut, sum(len(all_) > len(kept) for all_, kept in zip(whole, cut, strict=True))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embeddings ``(N, E)`` of N texts, on the CPU; one that occurs twice is computed once.

        Raises:
            UserError: for a text of which the tokenizer makes nothing.
        """
        different = sorted(set(texts))
        ids, _ = self.tokens(different)
        if empty := [text for text, row in zip(different, ids, strict=True) if not row]:
            raise UserError("a text without a token", value=empty[0])
        found = torch.empty(len(different), self.info.dim)
        with torch.inference_mode(), preserved_random_state():
            for rows in equal_lengths(ids):
                found[rows] = self._encode([ids[row] for row in rows])
        place = {text: row for row, text in enumerate(different)}
        return found[[place[text] for text in texts]]

    def _encode(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Embeddings ``(B, E)`` of token numbers of one length ``(B, T)``."""
        tokens = torch.tensor(ids, device=self.device)
        states = self.model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        mean = states.float().mean(1)
        return (nn.functional.normalize(mean, dim=1) if self.info.normalise else mean).cpu()


def equal_lengths(ids: Iterable[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Row numbers in batches of one length, the shortest first, each of up to ``batch_tokens`` tokens."""
    by_length: dict[int, list[int]] = {}
    for row, each in enumerate(ids):
        by_length.setdefault(len(each), []).append(row)
    for length, rows in sorted(by_length.items()):
        size = max(1, batch_tokens // length)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def load_text_encoder(name: str, device: str = "cpu", normalise: bool | None = None) -> TextEncoder:
    """Load a text encoder, in evaluation mode, float32, frozen.

    Args:
        name: ``hf:<folder or hub name>``.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.
        normalise: whether embeddings have length 1; None does what ``modules.json`` of sentence-transformers
            says, and nothing where there is none.

    Raises:
        UserError: no such folder or hub name, no text encoder, incomplete weights, no tokenizer.
    """
    import transformers

    parsed = parse_name(name) if name.startswith("hf:") else None
    if parsed is None or parsed.where is None:
        raise UserError("not the name of a text encoder", value=name, hint="Write hf:<folder or hub name>")
    where = locate(parsed.where)
    with preserved_random_state(), quiet_transformers(), hub_errors(where):
        config = transformers.AutoConfig.from_pretrained(where)
        known = transformers.models.auto.modeling_auto.MODEL_MAPPING.get(type(config), ())
        classes = known if isinstance(known, tuple) else (known,)
        if not any(each.main_input_name == "input_ids" for each in classes):
            raise UserError("no text encoder", file=where, value=config.model_type)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        model = load_model(transformers.AutoModel, where)
    if config.is_encoder_decoder:
        model = model.get_encoder()
    info = TextEncoderInfo(
        name=name, tag=tag_of(name), family=config.model_type, checkpoint=hash_files(weight_files(where)),
        dim=int(config.get_text_config().hidden_size), parameters=count_parameters(model),
        max_tokens=_max_tokens(tokenizer, config),
        normalise=_says_normalise(where) if normalise is None else normalise,
    )  # fmt: skip
    settings = {key: value for key, value in config.to_dict().items() if key not in NOT_THE_MODEL}
    return TextEncoder(model.to(resolve_device(device)), tokenizer, info, settings)


def _max_tokens(tokenizer: Any, config: Any) -> int:
    """The longest text that both tokenizer and positions allow, in tokens."""
    limit = int(tokenizer.model_max_length)
    positions = getattr(config, "max_position_embeddings", None)
    if limit > NO_LIMIT:
        limit = NO_LIMIT if positions is None else positions - SPARE_POSITIONS
    return limit if positions is None else min(limit, positions)


def _says_normalise(where: str) -> bool:
    """Whether sentence-transformers' modules.json ends in a normalisation."""
    modules = Path(where) / "modules.json"
    if not modules.is_file():
        return False
    try:
        listed = json.loads(modules.read_text(encoding="utf-8"))
        return any(str(module["type"]).endswith(".Normalize") for module in listed)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError("not what sentence-transformers writes", file=modules, value=str(error)) from None
