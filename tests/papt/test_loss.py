"""The loss is S3PRL's, values and gradients, without its tensor of classes x frames x width."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ser.papt.config import PaptConfig, SpeakerConfig
from ser.papt.encoders import load_source
from ser.papt.encoders.s3prl_names import to_transformers
from ser.papt.loss import masked_prediction
from ser.papt.masking import MaskingConfig, batch_mask
from ser.papt.model import Inputs
from ser.papt.start import build
from tests.papt.models import hubert_state, write_hubert

CLUSTERS = 6


def inputs_like_s3prl(seed: int, samples: int = 16000, units: int | None = None):
    """Two utterances of one length, with S3PRL's mask of that seed."""
    generator = torch.Generator().manual_seed(seed)
    frames = units or (samples - 400) // 320 + 1
    random = np.random.RandomState(seed)
    random.rand()
    mask = batch_mask([frames] * 2, MaskingConfig(), [random] * 2)
    return Inputs(
        F.layer_norm(torch.randn(2, samples, generator=generator), (samples,)),
        torch.tensor([samples] * 2),
        torch.tensor([frames] * 2),
        torch.randint(0, CLUSTERS, (2, frames), generator=generator),
        torch.from_numpy(mask),
        torch.zeros(2, dtype=torch.int64),
    )


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("seed", "units"), [(0, None), (1, 45)])
def test_loss_and_gradients_are_those_of_s3prls_hubert(tmp_path, large, seed, units):
    from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig

    state = hubert_state(large, CLUSTERS)
    theirs = HubertModel(
        HubertConfig(**state["model_cfg"]),
        HubertPretrainingConfig(**state["task_cfg"]),
        state["dictionaries_symbols"],
    )
    theirs.load_state_dict(state["model_weight"])
    config = PaptConfig(speaker=SpeakerConfig("none"))
    config.objective.heads = "checkpoint"
    path = write_hubert(tmp_path / "h.pt", large=large, clusters=CLUSTERS)
    ours = build(load_source(f"s3prl:hubert_local:{path}"), CLUSTERS, 1, config)

    inputs = inputs_like_s3prl(seed, units=units)
    np.random.seed(seed)
    found = theirs(inputs.wave, [inputs.targets], torch.zeros_like(inputs.wave, dtype=torch.bool), mask=True)
    logits, zeros = theirs.get_logits(found)[0], theirs.get_targets(found)[0]
    assert len(logits) == inputs.mask.sum()
    expected = F.cross_entropy(logits, zeros) + 10 * theirs.get_extra_losses(found)[0][0]
    expected.backward()

    sums = ours(inputs)
    values = int(inputs.frames.sum()) * ours.channels
    loss = sums.loss / inputs.mask.sum() + 10 * sums.energy / values
    loss.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert sums.correct == (logits.argmax(1) == 0).sum()
    gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    renamed = {f"encoder.model.{name}": value for name, value in to_transformers(gradients).items()}
    renamed["mask_embedding"] = gradients["mask_emb"]
    renamed["label_embeddings"] = gradients["label_embs_concat"]
    renamed["final_proj.weight"] = gradients["final_proj.weight"]
    renamed["final_proj.bias"] = gradients["final_proj.bias"]
    mine = {name: p.grad for name, p in ours.named_parameters()}
    assert mine.keys() == renamed.keys()
    largest = max(float(value.norm()) for value in renamed.values())
    for name, value in renamed.items():
        # float32; a gradient that is zero up to rounding (a key's bias) is compared with the largest.
        assert (mine[name] - value).norm() <= 1e-4 * value.norm() + 1e-6 * largest, name


def test_cross_entropy_is_compute_nce_where_embeddings_coincide_with_the_label():
    from s3prl.upstream.hubert.hubert_model import HubertModel

    torch.manual_seed(0)
    projected, embeddings = torch.randn(40, 8), torch.randn(11, 8)
    targets = torch.randint(0, 11, (40,))
    holder = type("Holder", (), {"logit_temp": 0.1})()
    negatives = embeddings[:, None].expand(-1, 40, -1)
    logits = HubertModel.compute_nce(holder, projected, embeddings[targets], negatives)
    expected = F.cross_entropy(logits, torch.zeros(40, dtype=torch.int64), reduction="sum")
    loss, correct = masked_prediction(projected, embeddings, targets, 0.1)
    torch.testing.assert_close(loss, expected)
    assert correct == (logits.argmax(1) == 0).sum()


def test_no_masked_frame_no_loss():
    loss, correct = masked_prediction(
        torch.zeros(0, 8), torch.randn(5, 8), torch.zeros(0, dtype=torch.int64), 0.1
    )
    assert loss == 0 and correct == 0


def test_gradients_into_the_convolutions_are_scaled():
    def gradients(scale):
        torch.manual_seed(0)
        config = PaptConfig(speaker=SpeakerConfig("none"))
        config.objective.feature_grad_mult = scale
        model = build(load_source("scratch:tiny"), CLUSTERS, 1, config)
        sums = model(inputs_like_s3prl(0))
        (sums.loss + sums.energy).backward()
        first = model.encoder.model.feature_extractor.conv_layers[0].conv.weight.grad
        return first, model.encoder.model.feature_projection.projection.weight.grad

    whole, tenth, none = (gradients(scale) for scale in (1.0, 0.1, 0.0))
    torch.testing.assert_close(0.1 * whole[0], tenth[0])
    torch.testing.assert_close(whole[1], tenth[1])
    torch.testing.assert_close(whole[1], none[1])
    assert none[0] is None
