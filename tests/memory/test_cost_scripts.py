"""The measurements of benchmarks/ run, on models of no size; no time is looked at."""

import argparse
import importlib.util
import re
from types import ModuleType

import pytest

TINY = (
    '{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,'
    ' "conv_dim": [8, 8, 8, 8, 8, 8, 8]}'
)


@pytest.fixture
def script(root):
    """``script(name)``: a module of benchmarks/."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, root / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_language_model_is_measured_without_a_gpu(script, capsys):
    options = ["--tiny", "--seconds", "1", "--repeat", "1", "--width", "8", "--chunk", "4", "64"]
    script("memory_cost_lm").main(options)
    printed = capsys.readouterr().out
    assert re.findall(r"chunk (\d+), (\d+) audio tokens", printed) == [("4", "25"), ("64", "25")]
    for row in ("tower and projector", "to the first token", "memory alone, read", "memory alone, write"):
        assert printed.count(f"  {row}  ") == 2
    assert len(re.findall(r"added, read .*% of the host's", printed)) == 4


def test_the_language_model_is_as_large_as_qwen2_audio_7b(script):
    import torch
    import transformers

    shape = script("memory_cost_lm").QWEN2_AUDIO_7B
    with torch.device("meta"):
        model = transformers.AutoModelForSeq2SeqLM.from_config(transformers.Qwen2AudioConfig(**shape))
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_397_094_912


def test_an_encoder_is_measured(script, capsys):
    options = ["--encoder", TINY, "--seconds", "1", "--repeat", "1", "--threads", "1"]
    sizes = ["--width", "4", "--depth", "1", "--chunk", "16", "64", "--batch", "1", "2"]
    script("memory_cost").main(["layer", *options, *sizes])
    rows = [line.split()[:5] for line in capsys.readouterr().out.splitlines()[2:] if "alone" not in line]
    # The vector and its eight persistent tokens are one chunk of either size.
    vector = [["vector", batch, "4", "1", "16"] for batch in "12"]
    frames = [[t, b, "4", "1", c] for t in ("25/s", "50/s") for b in "12" for c in ("16", "64")]
    assert rows == vector + frames


def test_the_state_of_a_dialogue_is_counted(script):
    options = argparse.Namespace(seconds=0.2, moments=[1, 3])
    found = script("memory_cost").measure_dialogue(4, 2, options)
    assert [row[:3] for row in found] == [[1, 64, 256], [3, 64, 256]]
    assert found[1][3] >= found[0][3] > 0


@pytest.mark.parametrize("truncation", [0, 1, 8])
def test_a_training_step_is_measured(script, truncation):
    options = argparse.Namespace(seconds=0.2, repeat=1)
    low, median, high, added = script("memory_cost").measure_training("vector", truncation, options)
    assert 0 < low == median == high and added >= 0
