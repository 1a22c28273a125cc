"""An audio language model made of a model in memory is the one that is loaded from its folder."""

import pytest
import torch

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm import Reading, make_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from tests.memory.hosts.conftest import CLASSES
from tests.memory.hosts.models import available, build


def reading_of(parts: list) -> Reading:
    """Of what ``build`` gives beside the model."""
    if len(parts) == 1:
        return Reading(parts[0].feature_extractor, parts[0].tokenizer, parts[0])
    return Reading(*parts)


@pytest.mark.parametrize("family", available())
def test_made_is_loaded(family, load, waves):
    loaded = load(family, answer="word")
    model, parts = build(family)
    made = make_audio_lm(model, reading_of(parts), AudioLMConfig(answer="word"), CLASSES, name="made")
    assert (made.info.name, made.info.tag, made.info.family) == ("made", "made", family)
    assert (made.info.dim, made.info.parameters) == (loaded.info.dim, loaded.info.parameters)
    assert (made.prompt, made.stops) == (loaded.prompt, loaded.stops)
    heard = made.hear(waves[:2])
    with torch.no_grad():
        assert torch.equal(made.word_scores(heard), loaded.word_scores(loaded.hear(waves[:2])))
    assert made.generate(heard) == loaded.generate(heard)


def test_a_model_without_audio_is_refused():
    from transformers import Qwen2Config

    model, parts = build("qwen2_audio")
    model.config = Qwen2Config()
    with pytest.raises(UserError, match="no audio language model"):
        make_audio_lm(model, reading_of(parts), AudioLMConfig(), CLASSES, name="words")
