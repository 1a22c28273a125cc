"""Audio language models as hosts: audio tower -> projector -> [memory] -> decoder -> vector, word or text.

    X = projector(tower(audio))          tokens (B, N, D), nothing is trained before them
    h = decoder(before | X' | after)     X' = edit(X), there or before decoder layer L
    vectors = h at the last position of the prompt, after the decoder's final norm

All candidate words are scored in one pass, behind one another and each blind to the others, so that the
prompt is computed, and edited, once for an utterance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.memory.hosts.answers import Answers
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from ser.memory.hosts.base import AnsweringHost, Edit, Heard, HostInfo
from ser.memory.hosts.hearing import Hearing
from ser.memory.hosts.insertion import AudioRows, apply_edit, edited_before
from ser.memory.hosts.lora import insert_lora, lora_dropouts
from ser.memory.hosts.prompt import Prompt

logger = get_logger(__name__)


class AudioLanguageModel(AnsweringHost):
    """Qwen2-Audio, Voxtral or Audio Flamingo 3, frozen but for LoRA.

    It is always in evaluation mode, but for LoRA's dropout.

    Args:
        hearing: the audio side, with its tower and projector.
        decoder: the language model without its head, ``layers`` and final norm in it.
        head: from hidden states to tokens.
        prompt: tokens of prompt and answers.
        tokenizer: for what is generated.
        stops: tokens that end what is generated, beside the prompt's end of turn.
        config: how it hosts.
        words: of the classes, in order.
        info: what it is.

    Raises:
        UserError: no such decoder layer, or no such module for LoRA.
    """

    def __init__(
        self, hearing: Hearing, decoder: nn.Module, head: nn.Module, prompt: Prompt, tokenizer: Any,
        stops: Sequence[int], config: AudioLMConfig, words: Sequence[str], info: HostInfo,
    ) -> None:  # fmt: skip
        super().__init__()
        self._told_of_cuts = False
        # Names of trained tensors come from here, the same whatever transformers calls the parts.
        self.tower, self.projector, self.decoder, self.head = hearing.tower, hearing.projector, decoder, head
        self.hearing, self.prompt, self.tokenizer = hearing, prompt, tokenizer
        self.config, self.words, self.info = config, list(words), info
        self.stops = {prompt.end, *stops}
        if config.insertion == "layer" and config.layer >= len(decoder.layers):
            raise UserError(
                f"{info.name} has {len(decoder.layers)} decoder layers: language_model.layer counts from 0",
                value=config.layer,
            )
        self.requires_grad_(False)
        insert_lora(decoder, config.lora)
        if config.checkpointing:
            decoder.gradient_checkpointing_enable({"use_reentrant": False})
        self.answers = Answers(prompt.answers, prompt.end)
        self.train(False)

    def train(self, mode: bool = True) -> AudioLanguageModel:
        """Training mode is LoRA's dropout and checkpointing: the host itself stays in evaluation mode."""
        super().train(False)
        self.training = mode
        for dropout in lora_dropouts(self.decoder):
            dropout.train(mode)
        if self.config.checkpointing:
            for layer in self.decoder.layers:
                layer.training = mode  # the layer's own flag, by which it recomputes; not its parts'
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def hear(self, waves: Sequence[np.ndarray]) -> Heard:
        """Log-mel windows ``features (B, W, mels, M)`` and their frames ``frames (B, W)``, 0 for no window.

        Raises:
            UserError: for audio without a token, or longer than the model takes.
        """
        heard = [self._hear_one(np.asarray(wave, dtype=np.float32)) for wave in waves]
        features, frames = ([one[i] for one in heard] for i in range(2))
        tensors = {
            "features": pad_sequence(features, batch_first=True),
            "frames": pad_sequence(frames, batch_first=True),
        }
        return Heard(tensors, self.hearing.count(tensors["frames"]).sum(-1))

    def _hear_one(self, wave: np.ndarray) -> tuple[Tensor, Tensor]:
        """Windows of one utterance."""
        rate = self.info.sample_rate
        seconds = f"{len(wave) / rate:.2f} s"
        longest = self.hearing.longest
        if longest is not None and len(wave) > longest:
            what = f"audio is longer than {self.info.tag} takes, {longest / rate:g} s"
            if self.config.longer == "refuse":
                raise UserError(
                    what, value=seconds,
                    hint="Set language_model.longer: cut, or use a host that hears in windows (Voxtral)",
                )  # fmt: skip
            if not self._told_of_cuts:
                logger.warning("%s: of %s its beginning is heard, and so of others", what, seconds)
                self._told_of_cuts = True
            wave = wave[:longest]
        features, frames = self.hearing.windows(wave) if len(wave) else (None, torch.zeros(1))
        tokens = int(self.hearing.count(frames).sum())
        if features is None or tokens == 0:
            raise UserError(f"audio is too short for {self.info.tag} to make a token of it", value=seconds)
        longest_answer = max(self.answers.longest, self.config.max_new_tokens)
        needed = len(self.prompt.before) + tokens + len(self.prompt.after) + longest_answer
        positions = self.decoder.config.max_position_embeddings
        if needed > positions:
            raise UserError(
                f"prompt, audio and answer are {needed} tokens; {self.info.tag} has {positions} positions",
                value=seconds, hint="Cut the audio at its turns, or shorten the prompt",
            )  # fmt: skip
        return features, frames

    @torch.no_grad()
    def tokens(self, heard: Heard) -> Tensor:
        """Audio tokens X ``(B, N, D)`` out of the projector, zero beyond ``heard.lengths``."""
        frames = heard.tensors["frames"].to(self.device)
        there = frames > 0
        features = heard.tensors["features"].to(self.device, self.tower.conv1.weight.dtype)[there]
        windows = self.hearing.embed(features, frames[there])
        own = torch.arange(windows.shape[1], device=self.device) < self.hearing.count(frames[there])[:, None]
        return pad_sequence(list(windows[own].split(heard.lengths.tolist())), batch_first=True)

    def forward(self, heard: Heard, edit: Edit | None = None) -> Tensor:
        """See :meth:`Host.forward`."""
        inputs, rows, ends = self._inputs(heard, edit)
        hidden = self._decode(rows, edit, inputs_embeds=inputs, use_cache=False).last_hidden_state
        return _at_last(hidden, ends).float()

    def word_scores(self, heard: Heard, edit: Edit | None = None) -> Tensor:
        """See :meth:`AnsweringHost.word_scores`."""
        inputs, rows, ends = self._inputs(heard, edit)
        packed = self.answers.behind(ends, inputs.shape[1], inputs.dtype)
        words = self._embed(packed.tokens).expand(len(inputs), -1, -1)
        hidden = self._decode(
            rows, edit, inputs_embeds=torch.cat([inputs, words], dim=1), attention_mask=packed.mask,
            position_ids=packed.positions, use_cache=False,
        ).last_hidden_state  # fmt: skip
        after_prompt = _at_last(hidden, ends)[:, None]
        logits = self.head(torch.cat([after_prompt, hidden[:, inputs.shape[1] :]], dim=1))
        return self.answers.scores(logits.float().log_softmax(-1))

    @torch.no_grad()
    def generate(self, heard: Heard, edit: Edit | None = None) -> list[str]:
        """See :meth:`AnsweringHost.generate`; without gradients, and without LoRA's dropout."""
        with self._evaluating():
            inputs, rows, ends = self._inputs(heard, edit)
            out = self._decode(rows, edit, inputs_embeds=inputs, use_cache=True)
            last = _at_last(out.last_hidden_state, ends)
            seen = torch.arange(inputs.shape[1], device=self.device) < ends[:, None]
            stops = torch.tensor(sorted(self.stops), device=self.device)
            said, done = [], torch.zeros(len(ends), dtype=torch.bool, device=self.device)
            for step in range(self.config.max_new_tokens):
                token = self.head(last).argmax(-1)
                done = done | torch.isin(token, stops)
                said.append(token.masked_fill(done, self.prompt.end))
                if bool(done.all()) or step + 1 == self.config.max_new_tokens:
                    break
                seen = torch.cat([seen, torch.ones_like(done)[:, None]], dim=1)
                out = self.decoder(
                    inputs_embeds=self._embed(token)[:, None], attention_mask=seen.long(),
                    position_ids=(ends + step)[:, None], past_key_values=out.past_key_values, use_cache=True,
                )  # fmt: skip
                last = out.last_hidden_state[:, -1]
        texts = [[token for token in row if token not in self.stops] for row in torch.stack(said, 1).tolist()]
        return [self.tokenizer.decode(row, skip_special_tokens=True).strip() for row in texts]

    def _inputs(self, heard: Heard, edit: Edit | None) -> tuple[Tensor, AudioRows, Tensor]:
        """Input of the decoder ``(B, T, D)``, where its audio tokens are, lengths of prompts ``(B,)``."""
        tokens = self.tokens(heard)
        rows = AudioRows(start=len(self.prompt.before), lengths=heard.lengths.to(self.device))
        if self.config.insertion == "projector":
            tokens = apply_edit(edit, tokens, rows.lengths)
        before, after = (
            torch.tensor(part, dtype=torch.long, device=self.device)
            for part in (self.prompt.before, self.prompt.after)
        )
        gap = self.prompt.end
        ids = [
            torch.cat([before, before.new_full((length,), gap), after]) for length in rows.lengths.tolist()
        ]
        inputs = self._embed(pad_sequence(ids, batch_first=True, padding_value=gap))
        return rows.put(inputs, tokens), rows, rows.lengths + len(before) + len(after)

    def _decode(self, rows: AudioRows, edit: Edit | None, **options: Any) -> Any:
        """The decoder on whole prompts, with the edit before its layer L when that is the insertion."""
        if self.config.insertion == "projector":
            return self.decoder(**options)
        with edited_before(self.decoder.layers[self.config.layer], rows, edit):
            return self.decoder(**options)

    def _embed(self, ids: Tensor) -> Tensor:
        """Embeddings of tokens."""
        return self.decoder.get_input_embeddings()(ids)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Evaluation mode for a while: without dropout; and a layer that recomputes keeps no cache."""
        training = self.training
        self.train(False)
        try:
            yield
        finally:
            self.train(training)


def _at_last(hidden: Tensor, ends: Tensor) -> Tensor:
    """Hidden states ``(B, H)`` of ``(B, T, H)`` at the last position of each prompt."""
    return hidden[torch.arange(len(ends), device=ends.device), ends - 1]
