"""A fine-tuned encoder as an upstream: finetuned:<fold>."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.config import EncoderConfig, FinetuneConfig
from ser.downstream.finetune.train import finetune_experiment
from ser.upstream import load_upstream, tag_of
from tests.downstream.finetune.experiments import quick
from tests.downstream.tones import write_tones
from tests.upstream.models import save


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Experiment, str]:
    """A corpus, an experiment on it with one fold trained and predicted, and its base upstream."""
    folder = tmp_path_factory.mktemp("tuned")
    corpus = write_tones(folder)
    name = f"hf:{save('hubert-large', folder / 'model')}"
    experiment = Experiment(folder / "exp" / "tones_finetune")
    config: FinetuneConfig = quick(1, encoder=EncoderConfig("no_cnn"))
    finetune_experiment(config, AudioSources(corpus, name), experiment, only_fold="a")
    dispatch(["predict", str(experiment.path)])
    return corpus, experiment, name


def test_its_features_are_the_vectors_of_the_experiment(tuned, tmp_path: Path) -> None:
    corpus, experiment, _ = tuned
    fold = experiment.fold_dir(0, "a")
    dispatch(["extract", str(corpus), str(tmp_path / "feats"), "--upstream", f"finetuned:{fold}"])
    pooled, vectors = ArkReader(tmp_path / "feats" / "pooled_mean.scp"), ArkReader(fold / "test" / "emb.scp")
    assert len(vectors)
    for utterance in vectors:
        last = torch.tensor(pooled[utterance][-1])
        torch.testing.assert_close(last, torch.tensor(vectors[utterance]), rtol=1e-4, atol=1e-5)


def test_it_is_another_upstream_than_its_base(tuned) -> None:
    _, experiment, base = tuned
    name = f"finetuned:{experiment.fold_dir(0, 'a')}"
    found, started_from = load_upstream(name).info, load_upstream(base).info
    assert found.tag == tag_of(name) == "tones_finetune-seed0-folda"
    assert (found.parameters, found.family) == (started_from.parameters, "hubert")
    assert found.checkpoint != started_from.checkpoint


def test_what_is_no_fine_tuned_encoder(tuned, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file.*finetuned:exp"):
        load_upstream(f"finetuned:{tmp_path}")
    experiment = tmp_path / "exp"
    shutil.copytree(tuned[1].path, experiment)
    path = experiment / "seed0" / "folda" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a safetensors file"):
        load_upstream(f"finetuned:{path.parent}")
    path.write_bytes(content)
    state = load_file(path)
    save_file(state, path)
    with pytest.raises(UserError, match="not a fine-tuned model"):
        load_upstream(f"finetuned:{path.parent}")
    path.write_bytes(content)
    (experiment / "config.yaml").unlink()
    with pytest.raises(UserError, match="names the upstream"):
        load_upstream(f"finetuned:{path.parent}")
