"""Hidden states against transformers and S3PRL themselves, one utterance at a time."""

import pytest
import torch
import transformers

from ser.upstream import load_upstream
from ser.upstream.probe import relative_difference
from ser.upstream.whisper import WhisperUpstream

TOLERANCE = 3e-6  # other kernels for the same sums in float32


def noise(samples, seed=0):
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def close(layers, reference, tolerance=TOLERANCE):
    assert len(layers) == len(reference)
    for layer, expected in zip(layers, reference, strict=True):
        assert layer.shape == expected.shape
        assert relative_difference(layer, expected) < tolerance


@pytest.mark.parametrize(
    "kind",
    [
        "hubert-base",
        "hubert-batchnorm",
        "hubert-large",
        "wavlm-base",
        "wavlm-large",
        "wav2vec2-base",
        "data2vec",
    ],
)
@pytest.mark.parametrize("samples", [16000, 33333])
@torch.inference_mode()
def test_waveform_models_equal_transformers(model_folder, kind, samples):
    folder, wave = model_folder(kind), noise(samples)
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    values = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_values
    out = model(values, output_hidden_states=True)
    # transformers 5 gives the last state of pre-norm models before the closing norm, 4 after it.
    reference = [*out.hidden_states[:-1], out.last_hidden_state]
    states = load_upstream(f"hf:{folder}")(wave, torch.tensor([samples]))
    close(states.layers, reference)
    assert states.lengths.tolist() == [reference[0].shape[1]]


@pytest.mark.parametrize("kind", ["w2v-bert-relative", "w2v-bert-relative_key", "w2v-bert-rotary"])
@pytest.mark.parametrize("samples", [16000, 16160])
@torch.inference_mode()
def test_w2v_bert_equals_transformers(model_folder, kind, samples):
    folder, wave = model_folder(kind), noise(samples)
    extractor = transformers.SeamlessM4TFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")
    out = model(**inputs, output_hidden_states=True)
    frames = int(inputs.attention_mask.sum())
    states = load_upstream(f"hf:{folder}")(wave, torch.tensor([samples]))
    assert states.lengths.tolist() == [frames] == [(1 + (samples - 400) // 160) // 2]
    close(states.layers, [state[:, :frames] for state in out.hidden_states])


@pytest.mark.parametrize("samples", [201, 1600, 16000, 33333, 33440])
@torch.inference_mode()
def test_log_mel_is_that_of_the_utterance_alone(model_folder, samples):
    upstream = load_upstream(f"hf:{model_folder('whisper-encoder')}")
    assert isinstance(upstream, WhisperUpstream)
    long, short = noise(40000, 1), noise(samples)
    batch = torch.cat([long, torch.nn.functional.pad(short, (0, 40000 - samples))])
    mel, frames = upstream.log_mel(batch, torch.tensor([40000, samples]))
    extractor = transformers.WhisperFeatureExtractor()
    expected = extractor(
        short[0].numpy(), sampling_rate=16000, padding=False, return_tensors="pt"
    ).input_features
    assert frames.tolist() == [250, samples // 160]
    torch.testing.assert_close(mel[1:, :, : frames[1]], expected, rtol=0, atol=2e-6)
    assert not mel[1, :, frames[1] :].any()


@pytest.mark.parametrize("kind", ["whisper-encoder", "whisper-whole"])
@torch.inference_mode()
def test_whisper_at_30_s_equals_transformers(model_folder, kind):
    folder, wave = model_folder(kind), noise(33333)
    extractor = transformers.WhisperFeatureExtractor()
    mel = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    encoder = transformers.AutoModel.from_pretrained(model_folder("whisper-whole")).encoder.eval()
    if kind == "whisper-encoder":
        encoder = type(encoder).from_pretrained(folder).eval()
    reference = encoder(mel, output_hidden_states=True).hidden_states
    states = load_upstream(f"hf:{folder}", context="30 s")(wave, torch.tensor([33333]))
    assert states.lengths.tolist() == [104]
    close(states.layers, [state[:, :104] for state in reference])


@torch.inference_mode()
def test_whisper_at_length_is_the_stock_encoder_with_a_cut_position_table(model_folder):
    """A stock encoder whose position table has 104 rows takes 208 mel frames and no others."""
    wave = noise(33333)
    upstream = load_upstream(f"hf:{model_folder('whisper-encoder')}")
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    whole = WhisperEncoder.from_pretrained(model_folder("whisper-encoder"))
    config = whole.config
    config.max_source_positions = 104
    cut = WhisperEncoder(config).eval()
    weights = whole.state_dict()
    weights["embed_positions.weight"] = weights["embed_positions.weight"][:104]
    cut.load_state_dict(weights)
    mel = transformers.WhisperFeatureExtractor()(
        wave[0].numpy(), sampling_rate=16000, padding=False, return_tensors="pt"
    ).input_features
    assert mel.shape[2] == 208
    reference = cut(mel, output_hidden_states=True).hidden_states
    close(upstream(wave, torch.tensor([33333])).layers, reference)


@pytest.mark.parametrize("context", ["length", "30 s"])
@torch.inference_mode()
def test_whisper_beyond_30_s_is_its_windows_put_together(model_folder, context):
    upstream = load_upstream(f"hf:{model_folder('whisper-encoder')}", context=context)
    samples = 2 * 480000 + 1234
    wave, short = noise(samples), noise(16000, 3)
    batch = torch.cat([wave, torch.nn.functional.pad(short, (0, samples - 16000))])
    states = upstream(batch, torch.tensor([samples, 16000]))
    size = 320 * -(-samples // 3 // 320)
    windows = [wave[:, start : start + size] for start in range(0, samples, size)]
    alone = [upstream(window, torch.tensor([window.shape[1]])) for window in windows]
    assert len(windows) == 3
    assert states.lengths.tolist() == [(samples // 160 + 1) // 2, 50]
    for index, layer in enumerate(states.layers):
        joined = torch.cat([part.layers[index] for part in alone], dim=1)
        assert relative_difference(layer[:1], joined) < TOLERANCE
        assert not layer[1, 50:].any()


@torch.inference_mode()
def test_real_whisper_weights_equal_transformers(whisper_dir):
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    wave = noise(50000)
    encoder = WhisperEncoder.from_pretrained(whisper_dir, dtype=torch.float32).eval()
    mel = transformers.WhisperFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")
    reference = encoder(mel.input_features, output_hidden_states=True).hidden_states
    states = load_upstream(f"hf:{whisper_dir}", context="30 s")(wave, torch.tensor([50000]))
    close(states.layers, [state[:, :156] for state in reference], tolerance=1e-5)


@torch.inference_mode()
def test_s3prl_hubert_equals_its_wrapper_without_the_repeated_frame(s3prl_hubert):
    from s3prl.nn import S3PRLUpstream

    wave, samples = noise(33333), 33333
    states = load_upstream(f"s3prl:hubert_local:{s3prl_hubert}")(wave, torch.tensor([samples]))
    wrapped = S3PRLUpstream("hubert_local", path_or_url=str(s3prl_hubert)).eval()
    reference, lengths = wrapped(wave, torch.tensor([samples]))
    assert int(states.lengths[0]) == 103 and int(lengths[0][0]) == 105
    for layer, expected in zip(states.layers, reference, strict=True):
        assert torch.equal(expected[:, 103], expected[:, 102])  # the trap
        assert relative_difference(layer, expected[:, :103]) < TOLERANCE


@torch.inference_mode()
def test_fbank_and_mfcc_equal_kaldis():
    from torchaudio.compliance import kaldi

    wave = noise(16000)
    fbank = load_upstream("fbank")(wave, torch.tensor([16000]))
    expected = kaldi.fbank(wave, num_mel_bins=80, sample_frequency=16000)
    assert fbank.lengths.tolist() == [98] == [len(expected)]
    torch.testing.assert_close(fbank.layers[0][0, :, :80], expected)
    mfcc = load_upstream("mfcc")(wave, torch.tensor([16000])).layers[0][0, :, :13]
    expected = kaldi.mfcc(wave, sample_frequency=16000)
    torch.testing.assert_close(mfcc, expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_mel_keeps_the_zeros_at_an_utterances_end():
    """S3PRL's own preprocessor takes them for padding."""
    upstream = load_upstream("mel")
    wave = noise(16000)
    wave[:, 12000:] = 0
    assert upstream(wave, torch.tensor([16000])).lengths.tolist() == [101]


@torch.inference_mode()
def test_opensmile_functionals_are_opensmiles():
    opensmile = pytest.importorskip("opensmile")
    wave = noise(32000)
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = torch.from_numpy(smile.process_signal(wave[0].numpy(), 16000).to_numpy())
    states = load_upstream("egemaps")(wave, torch.tensor([32000]))
    torch.testing.assert_close(states.layers[0][0], expected)
    assert load_upstream("compare").info.dim == 6373
