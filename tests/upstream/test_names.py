"""Names, tags, options, and what is said of wrong ones."""

import json
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import sha256
from ser.upstream import load_upstream, tag_of
from ser.upstream.checkpoint import hash_files


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("fbank", "fbank"),
        ("s3prl:fbank", "fbank-cmvn"),
        ("egemaps", "egemaps"),
        ("hf:/a/b/whisper-base-encoder", "whisper-base-encoder"),
        ("hf:/a/b/whisper-base-encoder/", "whisper-base-encoder"),
        ("hf:microsoft/wavlm-large", "wavlm-large"),
        ("hf:exp/my model v1.5", "my-model-v1.5"),
        ("s3prl:hubert_local:exp/papt.v2/last.pt", "hubert_local-last"),
    ],
)
def test_tags(name, tag):
    assert tag_of(name) == tag


def test_a_tag_names_the_context():
    assert tag_of("hf:x/whisper", context="30 s") == "whisper-30s"


@pytest.mark.parametrize("name", ["", "hf:", "s3prl:", "kaldi:x", "opensmile:nothing"])
def test_what_is_no_name(name):
    with pytest.raises(UserError, match="not the name of an upstream"):
        tag_of(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fbamk", "no such upstream: 'fbamk'.*fbank"),
        ("hubert_local", "needs a checkpoint.*s3prl:hubert_local:<path>"),
        ("s3prl:hubert_local:no/such.pt", "no/such.pt: no such checkpoint"),
        ("hf:/no/such/folder", "/no/such/folder: no such folder"),
        ("hf:./folder", "no such folder"),
        ("hf:a/b/c", "no such folder"),
    ],
)
def test_what_cannot_be_loaded(name, message):
    with pytest.raises(UserError, match=message):
        load_upstream(name)


def test_a_missing_folder_beside_others_is_no_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match="models/whisper: no such folder"):
        load_upstream("hf:models/whisper")


def test_a_hub_name_without_network_is_one_line():
    with pytest.raises(UserError, match="no folder here and cannot be had from the hub") as caught:
        load_upstream("hf:nobody/no-such-model")
    assert "\n" not in str(caught.value)


def test_an_encoder_whose_frames_do_not_follow_the_audio(tmp_path):
    """AST pads every utterance to ten seconds: its frames would be frames of padding."""
    import transformers as tf

    config = tf.ASTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    tf.ASTModel(config).save_pretrained(tmp_path)
    tf.ASTFeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="frames do not follow the audio"):
        load_upstream(f"hf:{tmp_path}")


def test_unknown_options_devices_and_contexts(model_folder):
    with pytest.raises(UserError, match="no option 'layers'"):
        load_upstream("fbank", layers=3)
    with pytest.raises(UserError, match="no such device: 'tpu'"):
        load_upstream("fbank", device="tpu")
    with pytest.raises(UserError, match="no such context: '20 s'"):
        load_upstream(f"hf:{model_folder('whisper-encoder')}", context="20 s")
    for name in ("fbank", f"hf:{model_folder('hubert-base')}"):
        with pytest.raises(UserError, match="is Whisper's"):
            load_upstream(name, context="30 s")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no GPU"):
            load_upstream("fbank", device="cuda")


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        load_upstream(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_upstream(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "no-such-family"}')
    with pytest.raises(UserError, match="cannot be loaded"):
        load_upstream(f"hf:{tmp_path}")


def test_missing_weights_are_never_random_ones(model_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(model_folder("hubert-base"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 missing.*k_proj"):
        load_upstream(f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        load_upstream(f"hf:{folder}")


def test_normalisation_is_never_guessed(model_folder, tmp_path):
    folder = shutil.copytree(model_folder("hubert-base"), tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="do_normalize"):
        load_upstream(f"hf:{folder}")
    (folder / "preprocessor_config.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        load_upstream(f"hf:{folder}")


def test_settings_tell_a_changed_preprocessor(model_folder, tmp_path):
    folder = shutil.copytree(model_folder("hubert-base"), tmp_path / "model")
    before = load_upstream(f"hf:{folder}").settings
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": False, "sampling_rate": 16000})
    )
    assert load_upstream(f"hf:{folder}").settings != before


def test_a_text_model_is_no_upstream(tmp_path):
    import transformers

    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="not an audio encoder: 'bert'"):
        load_upstream(f"hf:{tmp_path}")


def test_half_precision_weights_compute_in_float32(model_folder, tmp_path):
    import transformers

    folder = shutil.copytree(model_folder("hubert-base"), tmp_path / "model")
    transformers.AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    upstream = load_upstream(f"hf:{folder}")
    assert {parameter.dtype for parameter in upstream.parameters()} == {torch.float32}


def test_info_of_the_real_whisper(whisper_dir):
    info = load_upstream(f"hf:{whisper_dir}").info
    assert (info.family, info.num_layers, info.dim, info.frame_rate) == ("whisper", 7, 512, 50.0)
    assert info.checkpoint == sha256(whisper_dir / "model.safetensors")
    assert info.parameters == pytest.approx(20.6e6, rel=0.01)


def test_hash_of_several_files_depends_on_each(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(b"x")
    before = hash_files(paths)
    assert hash_files([]) is None
    assert hash_files(paths[:1]) == sha256(paths[0])
    paths[1].write_bytes(b"yy")
    assert hash_files(paths) != before


def test_names_need_no_torch():
    """``ser extract --tag`` answers at once."""
    code = "import sys; from ser.upstream import tag_of; tag_of('hf:x'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


STUB_TEST = """
import sys, types, importlib.abc
class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchaudio._extension":
            raise OSError("libc10_cuda.so: cannot open shared object file")
sys.meta_path.insert(0, Broken())
from ser.upstream.torchaudio_stub import EXTENSION, import_torchaudio
torchaudio = import_torchaudio()
assert not sys.modules[EXTENSION]._IS_TORCHAUDIO_EXT_AVAILABLE
import torch, transformers
from transformers import HubertModel
assert torchaudio.functional.resample(torch.zeros(1, 800), 16000, 8000).shape == (1, 400)
assert torchaudio.compliance.kaldi.fbank(torch.randn(1, 16000)).shape[1] == 23
try:
    torchaudio.functional.forced_align(torch.zeros(1, 5, 3), torch.ones(1, 2, dtype=torch.int32))
except RuntimeError as error:
    assert "extension" in str(error), error
else:
    raise AssertionError("forced_align needs the extension")
"""


def test_torchaudio_works_where_its_extension_cannot_load():
    done = subprocess.run([sys.executable, "-c", STUB_TEST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_opensmile_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(UserError, match=r"pip install 'ser-recipes\[opensmile\]'"):
        load_upstream("egemaps")
