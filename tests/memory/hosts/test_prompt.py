"""The tokens around the audio, and those of the answers."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm import load_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from tests.memory.hosts.conftest import CLASSES
from tests.memory.hosts.models import available, write_tekken

ASKED = "Which of angry, happy, sad, sadder?"
CHATS = {
    "qwen2_audio": (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nAudio 1: <|audio_bos|>",
        f"<|audio_eos|>\n{ASKED}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>",
    ),
    "voxtral": ("<s>[INST][BEGIN_AUDIO]", f"{ASKED}[/INST]", "</s>"),
    "audioflamingo3": ("<|im_start|>user\n", f"{ASKED}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
}  # fmt: skip
PLAIN = {
    "qwen2_audio": ("<|audio_bos|>", "<|audio_eos|>" + ASKED, "<|endoftext|>"),
    "voxtral": ("[BEGIN_AUDIO]", ASKED, "</s>"),
    "audioflamingo3": ("", ASKED, "<|im_end|>"),
}


@pytest.mark.parametrize(("template", "expected", "gap"), [("chat", CHATS, ""), ("plain", PLAIN, " ")])
@pytest.mark.parametrize("family", available())
def test_prompt_and_answers_are_spelt_as_the_family_does(load, family, template, expected, gap):
    host = load(family, prompt="Which of {classes}?", template=template, words={"happy": "glad"})
    prompt, tokenizer = host.prompt, host.tokenizer
    before, after, end = expected[family]
    assert tokenizer.decode(prompt.before) == before
    assert tokenizer.decode(prompt.after) == after.replace("happy", "glad")
    assert tokenizer.convert_ids_to_tokens(prompt.end) == end
    assert [tokenizer.decode(answer) for answer in prompt.answers] == [
        gap + word for word in ("angry", "glad", "sad", "sadder")
    ]
    assert host.words == ["angry", "glad", "sad", "sadder"]


@pytest.mark.parametrize("family", available())
def test_both_templates_answer(load, waves, family):
    chat, plain = load(family), load(family, template="plain")
    heard = chat.hear(waves)
    assert (chat.word_scores(heard) - plain.word_scores(heard)).abs().min() > 1e-3


def test_a_prompt_without_audio_is_refused(lm_folder, tmp_path):
    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "deaf")
    (folder / "chat_template.jinja").write_text("<s>[INST]{{ messages[0]['content'][1]['text'] }}[/INST]")
    with pytest.raises(UserError, match="must hold the audio once: '0 audio tokens'"):
        load_audio_lm(str(folder), AudioLMConfig(), CLASSES, device="cpu")


def test_a_model_without_a_chat_template_is_asked_plainly(lm_folder, tmp_path):
    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"no chat template .*template to plain\.$"):
        load_audio_lm(str(folder), AudioLMConfig(), CLASSES, device="cpu")
    load_audio_lm(str(folder), AudioLMConfig(template="plain"), CLASSES, device="cpu")


def test_without_mistral_common_its_vocabulary_is_no_use(lm_folder, tmp_path):
    if importlib.util.find_spec("mistral_common"):
        pytest.skip("it is installed here")
    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "voxtral")
    write_tekken(folder)
    with pytest.raises(UserError, match="mistral-common, which is not installed"):
        load_audio_lm(str(folder), AudioLMConfig(), CLASSES, device="cpu")


@pytest.mark.parametrize("template", ["chat", "plain"])
def test_voxtral_with_the_vocabulary_that_mistral_publishes(lm_folder, tmp_path, waves, template):
    """The same letters under other numbers: prompt and answers are what its processor would write."""
    pytest.importorskip("mistral_common", reason="pip install 'ser-recipes[voxtral]'")
    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "voxtral")
    write_tekken(folder)
    config = AudioLMConfig(prompt="Which of {classes}?", template=template)
    host = load_audio_lm(str(folder), config, CLASSES, device="cpu")
    numbers = {letter: 36 + ord(letter) for letter in map(chr, range(256))}
    asked = [numbers[letter] for letter in ASKED]
    # Behind its audio mistral-common writes the question, and then the end of the instruction.
    assert host.prompt.before == ([1, 3, 25] if template == "chat" else [1, 25])
    assert host.prompt.after == ([*asked, 4] if template == "chat" else asked)
    gap = [] if template == "chat" else [numbers[" "]]
    assert host.prompt.answers[2] == [*gap, *(numbers[letter] for letter in "sad")]
    assert host.prompt.end == 2
