"""Every option of fine-tuning on a tiny random WavLM: trained, kept, gone on with after a kill, predicted."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.downstream.config import TaskConfig, ValidationConfig
from ser.downstream.experiment import Experiment
from ser.downstream.finetune.adapters import AdapterConfig
from ser.downstream.finetune.augment import AugmentConfig
from ser.downstream.finetune.config import (
    BatchConfig,
    EncoderConfig,
    InterpreterConfig,
    OptimizerConfig,
    PoolingConfig,
)
from ser.downstream.finetune.unfreezing import UnfreezeConfig
from ser.downstream.heads import make_interpreter
from ser.downstream.predict import predict_experiment
from ser.upstream import load_upstream
from tests.downstream.finetune.experiments import (
    bytes_of,
    interrupted,
    make_fit,
    model_of,
    one_and_two_processes,
    quick,
    run,
)

LORA = EncoderConfig("none", adapter=AdapterConfig("lora", rank=4, dropout=0.1))
ADAPTERS = EncoderConfig("none", adapter=AdapterConfig("bottleneck", width=4, dropout=0.1))
EVERY_AUGMENTATION = AugmentConfig([0.9, 1.0, 1.1], [5.0, 30.0], 6.0, 2, 0.2, 2, 0.2)
ODYSSEY = {
    "encoder": EncoderConfig("no_cnn", normalise="global"),
    "pooling": PoolingConfig("attentive"),
    "interpreter": InterpreterConfig([16], 0.5, 0.5, "layer", "random", "range"),
    "validation": ValidationConfig(share=0.3, metric="loss"),
}
OPTIONS = {
    "all": {"encoder": EncoderConfig("all")},
    "no_cnn": {"encoder": EncoderConfig("no_cnn")},
    "top": {"encoder": EncoderConfig("top:2")},
    "none": {"encoder": EncoderConfig("none")},
    "lora": {"encoder": LORA},
    "adapters": {"encoder": ADAPTERS},
    "adapters and the last layer": {
        "encoder": EncoderConfig("top:1", adapter=AdapterConfig("bottleneck", width=4))
    },
    "two phases": {"epochs": 2, "unfreeze": UnfreezeConfig(after=1)},
    "gradual": {"epochs": 2, "unfreeze": UnfreezeConfig(after=1, every=1, unit="steps")},
    "layer decay": {"optimizer": OptimizerConfig(lr=1e-3, layer_decay=0.5, epochs=1)},
    "checkpointing": {"encoder": EncoderConfig("no_cnn", checkpointing=True)},
    "global normalisation": {"encoder": EncoderConfig(normalise="global")},
    "augmentation": {"augment": EVERY_AUGMENTATION},
    "bf16": {"precision": "bf16", "encoder": LORA},
    "Odyssey 2024": ODYSSEY,
}
# Together, what could know too much of what ran before it.
RESUMED = {
    "lora": {
        "encoder": EncoderConfig("none", normalise="global", adapter=LORA.adapter),
        "augment": EVERY_AUGMENTATION,
        "unfreeze": UnfreezeConfig(after=1),
    },
    "adapters": {
        "encoder": EncoderConfig("top:1", dropout=0.1, checkpointing=True, adapter=ADAPTERS.adapter),
        "augment": EVERY_AUGMENTATION,
        "unfreeze": UnfreezeConfig(after=2, every=2, unit="steps"),
    },
    "Odyssey 2024": ODYSSEY | {"augment": AugmentConfig(speed=[0.9, 1.1])},
}


@pytest.fixture(autouse=True)
def any_precision():
    """Accelerate keeps one precision a process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_trained_kept_and_predicted(corpus: Path, encoder, tmp_path: Path, name: str) -> None:
    config = quick(**({"epochs": 1} | OPTIONS[name]))
    experiment = run(corpus, encoder("wavlm-large"), tmp_path / "exp", config, only_fold="a")
    fold = experiment.fold_dir(0, "a")
    state, fit = model_of(experiment), read_json(fold / "fit.json")
    base = dict(load_upstream(encoder("wavlm-large")).named_parameters())
    kept = {each.removeprefix("upstream.") for each in state if each.startswith("upstream.")}
    # Of the encoder nothing is kept but what was trained: adapters, or weights of its own.
    own = {
        each.replace(".base_layer.", ".") for each in kept if "lora_" not in each and "bottleneck" not in each
    }
    adapted = config.encoder.adapter.kind != "none"
    assert own <= set(base) and bool(own) == (config.encoder.trainable != "none")
    assert bool(kept - own) == adapted
    statistics = sum(
        value.numel() for each, value in state.items()
        if "running_" in each or "num_batches" in each or each.startswith("normalisation.")
    )  # fmt: skip
    assert fit["trained_parameters"] == sum(value.numel() for value in state.values()) - statistics
    # What is read back is what training had: the same predictions, LoRA merged or not.
    trained = {key: np.array(value) for key, value in ArkReader(fold / "validation" / "pred.scp").items()}
    predict_experiment(Experiment(experiment.path), ["validation", "test"])
    found = ArkReader(fold / "validation" / "pred.scp")
    tolerance = 2e-2 if config.precision == "bf16" else 1e-4
    for utterance, values in trained.items():
        np.testing.assert_allclose(found[utterance], values, rtol=tolerance, atol=tolerance)
    assert len(ArkReader(fold / "test" / "pred.scp")) == 8


@pytest.mark.parametrize("name", RESUMED)
def test_resumed_equals_uninterrupted(corpus: Path, encoder, tmp_path: Path, name: str) -> None:
    """Killed in the second epoch, in which the encoder begins to learn: the same bytes in the end."""
    config = quick(3, **RESUMED[name])
    whole = run(corpus, encoder("wavlm-large"), tmp_path / "whole", config, only_fold="a")
    with interrupted(4):
        run(corpus, encoder("wavlm-large"), tmp_path / "parts", config, only_fold="a")
    assert torch.load(tmp_path / "parts" / "seed0" / "folda" / "resume.pt", weights_only=True)["epoch"] == 1
    parts = run(corpus, encoder("wavlm-large"), tmp_path / "parts", config, only_fold="a")
    assert bytes_of(whole) == bytes_of(parts)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["lora", "bottleneck"])
def test_two_processes_equal_one(corpus: Path, encoder, tmp_path: Path, adapter: str) -> None:
    options = [
        "--encoder.trainable", "none", "--encoder.adapter.kind", adapter, "--encoder.adapter.dropout", "0.2",
        "--encoder.normalise", "global", "--augment.speed", "[0.9, 1.1]", "--augment.noise", "[5, 20]",
        "--augment.time_masks", "1", "--augment.channel_masks", "1", "--unfreeze.after", "1",
        "--optimizer.lr", "0.001",
    ]  # fmt: skip
    both = one_and_two_processes(corpus, encoder("wavlm-large"), tmp_path, *options, rtol=1e-3)
    models = map(model_of, both)
    one, two = (model["normalisation.mean"] for model in models)
    assert torch.equal(one, two)


def test_the_tables_say_what_was_done(corpus: Path, encoder, tmp_path: Path) -> None:
    experiment = run(
        corpus, encoder("wavlm-large"), tmp_path / "exp", quick(2, **RESUMED["lora"]), only_fold="a"
    )
    info = read_yaml(experiment.path / "info.yaml")
    assert info["name"] == "fine-tuned (LoRA 4)"
    assert info["options"][:3] == [
        "waveforms by the training set's mean and deviation", "head alone for 1 epoch", "speed 0.9/1/1.1",
    ]  # fmt: skip
    assert "SpecAugment" in info["options"]


def test_the_validation_loss_is_that_of_one_batch(corpus: Path, encoder) -> None:
    """Of predictions in label units it equals the objective of the head's own outputs."""
    from ser.downstream.losses import task_loss

    config = quick(
        task=TaskConfig(attributes=["arousal"], label_smoothing=0.1),
        validation=ValidationConfig(metric="loss"),
    )
    fit = make_fit(corpus, encoder(), config)
    torch.nn.init.normal_(fit.model.head[-1].weight, generator=torch.Generator().manual_seed(0))
    rows = fit.labels.rows(fit.validate)
    vectors, _ = fit._predict(fit.validate)
    with torch.no_grad():
        outputs = fit.model.head(vectors)
        expected = task_loss(outputs, fit._classes[rows], fit._targets[rows], fit._weights, config.task)
    assert fit._validate() == pytest.approx(-float(expected), rel=1e-4)


def test_attributes_in_the_range_of_the_corpus(corpus: Path, encoder, tmp_path: Path) -> None:
    """Tones have arousal of -1 to 1: the model learns (y + 1) / 2 and predicts y."""
    config = quick(2, interpreter=InterpreterConfig([8], scale="range"))
    experiment = run(corpus, encoder("wavlm-large"), tmp_path / "exp", config, only_fold="a")
    from ser.engine.checkpoint import read_metadata

    metadata = read_metadata(experiment.fold_dir(0, "a") / "model.safetensors")
    assert metadata["attributes"] == {"arousal": {"mean": -1, "deviation": 2}}


def test_the_head_of_the_odyssey_baseline() -> None:
    head = make_interpreter([1024], 0.5, 2048, 8, norm="layer", input_dropout=0.5, start="random")
    order = ["Dropout", "Linear", "LayerNorm", "ReLU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in head] == order
    assert (head[1].in_features, head[1].out_features, head[5].out_features) == (2048, 1024, 8)
    assert head[0].p == head[4].p == 0.5 and head[5].weight.abs().sum() > 0
    plain = make_interpreter([4], 0.1, 8, 2, norm="none")
    assert [type(layer).__name__ for layer in plain] == ["Linear", "ReLU", "Dropout", "Linear"]


def test_a_crop_is_of_what_was_sped_up(corpus: Path, encoder) -> None:
    config = quick(augment=AugmentConfig(speed=[0.5]), batches=BatchConfig(8, 1.0, 0.4))
    fit = make_fit(corpus, encoder(), config)
    _, micro, _ = fit._read(fit.learn[:8], 1)
    # All tones are of .25 s and more, so at half the speed every one is cut.
    assert all(length == 6400 for each in micro for length in each.inputs.lengths.tolist())
