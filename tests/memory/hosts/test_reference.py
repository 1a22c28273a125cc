"""Against transformers' own processors, forward passes and generation, and against one word at a time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.memory.hosts.conftest import CLASSES
from tests.memory.hosts.models import available


def stock(folder, family, host, wave):
    """The whole model, and what transformers' processor of the family makes of prompt and wave."""
    import transformers as tf

    architecture = tf.AutoConfig.from_pretrained(folder).architectures[0]
    model = getattr(tf, architecture).from_pretrained(folder).eval()
    question = host.config.question(CLASSES)
    turns = [
        {"role": "user", "content": [{"type": "audio", "audio": ""}, {"type": "text", "text": question}]}
    ]
    if family != "voxtral":
        processor = tf.AutoProcessor.from_pretrained(folder)
        text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return model, processor(text=text, audio=[wave], sampling_rate=16000, return_tensors="pt")
    # Voxtral's processor as a whole wants mistral-common, which the tiny model has no vocabulary for.
    extractor = tf.AutoFeatureExtractor.from_pretrained(folder)
    features = tf.VoxtralProcessor._retrieve_input_features(
        SimpleNamespace(feature_extractor=extractor), [wave], max_source_positions=200, sampling_rate=16000,
        padding=True, truncation=False, pad_to_multiple_of=extractor.n_samples, return_tensors="pt",
    )  # fmt: skip
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    text = text.replace("[AUDIO]", "[AUDIO]" * (25 * len(features)))
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids), "input_features": features}


@pytest.mark.parametrize("family", available())
def test_hears_and_answers_as_transformers_does(lm_folder, load, waves, family):
    """Other kernels: 1e-4, where logits are of the order of 10."""
    host = load(family)
    long = torch.cat([torch.from_numpy(wave) for wave in waves]).numpy()  # 2.9 s, two windows
    for wave in [*waves, *([long] if host.hearing.longest != host.hearing.window else [])]:
        model, inputs = stock(lm_folder(family), family, host, wave)
        heard = host.hear([wave])
        assert int((inputs["input_ids"] == model.config.audio_token_id).sum()) == int(heard.lengths)
        with torch.no_grad():
            logits = model(**inputs).logits[:, -1]
        torch.testing.assert_close(host.head(host(heard)), logits, atol=1e-4, rtol=1e-4)
        out = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        said = out[:, inputs["input_ids"].shape[1] :]
        [text] = host.tokenizer.batch_decode(said, skip_special_tokens=True)
        assert host.generate(heard) == [text.strip()]


@pytest.mark.parametrize("place", ["projector", "layer"])
@pytest.mark.parametrize("family", available())
def test_word_scores_are_those_of_one_word_at_a_time(load, waves, family, place):
    """A plain pass over prompt, word and end of turn, without packing, padding or a mask."""
    host = load(family, insertion=place, layer=1)
    heard = host.hear(waves)

    def edit(tokens, lengths):
        return 1.5 * tokens.roll(1, dims=-1)

    scores = host.word_scores(heard, edit)
    for b, wave in enumerate(waves):
        inputs, rows, ends = host._inputs(host.hear([wave]), edit)
        for k, word in enumerate(host.prompt.answers):
            answer = torch.tensor([*word, host.prompt.end])
            whole = torch.cat([inputs[0], host._embed(answer)])[None]
            hidden = host._decode(rows, edit, inputs_embeds=whole, use_cache=False).last_hidden_state[0]
            spoken = host.head(hidden[int(ends) - 1 : -1]).log_softmax(-1)
            expected = spoken.gather(1, answer[:, None]).sum()
            torch.testing.assert_close(scores[b, k], expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("family", available())
def test_words_of_all_lengths_end(load, waves, family):
    """Over all words of one token, each with its end, likelihood cannot exceed 1; sad is in sadder."""
    host = load(family)
    scores = host.word_scores(host.hear(waves))
    assert scores.shape == (3, len(CLASSES))
    assert (scores.logsumexp(1) < 0).all()
    assert len(set(host.prompt.answers[2])) and host.prompt.answers[3][:3] == host.prompt.answers[2]
    assert (scores[:, 2] - scores[:, 3]).abs().min() > 1e-3
