"""Text encoders and their embeddings on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_yaml, sha256
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.text.encoder import TextEncoder, equal_lengths, load_text_encoder
from ser.text.store import read_embeddings
from ser.upstream.model_folder import quiet_transformers
from tests.downstream.corpus import make_set
from tests.text.models import text_encoder

TEXTS = ["the cat sat", "a very good day .", "dog", "you are never happy , never", "the cat sat", "bad day"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return text_encoder(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="module")
def encoder(folder) -> TextEncoder:
    return load_text_encoder(f"hf:{folder}")


def reference(where: Path, texts: list[str], normalise: bool) -> torch.Tensor:
    """sentence-transformers' recipe: one padded batch, the mean under the attention mask."""
    import transformers

    with quiet_transformers():
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        model = transformers.AutoModel.from_pretrained(where).float().eval()
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    mean = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(mean, dim=1) if normalise else mean


def test_the_mean_is_that_of_sentence_transformers(folder, encoder):
    found = encoder.embed(TEXTS)
    torch.testing.assert_close(found, reference(folder, TEXTS, False), rtol=1e-4, atol=1e-5)
    unit = load_text_encoder(f"hf:{folder}", normalise=True).embed(TEXTS)
    torch.testing.assert_close(unit, reference(folder, TEXTS, True), rtol=1e-4, atol=1e-5)


def test_a_batch_gives_what_single_texts_give_in_any_order(encoder):
    whole = encoder.embed(TEXTS)
    assert torch.equal(whole[0], whole[4])
    single = torch.cat([encoder.embed([text]) for text in TEXTS])
    torch.testing.assert_close(whole, single, rtol=1e-5, atol=1e-6)
    order = [3, 1, 5, 0, 4, 2]
    assert torch.equal(encoder.embed([TEXTS[i] for i in order]), whole[order])
    assert torch.equal(encoder.embed(TEXTS), whole)


def test_batches_are_of_one_length_and_bounded():
    lengths = [3, 5, 3, 3, 9, 5]
    batches = list(equal_lengths([[0] * n for n in lengths], batch_tokens=6))
    assert batches == [[0, 2], [3], [1], [5], [4]]


def test_normalisation_is_what_modules_json_says(folder, tmp_path):
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "st"))
    kinds = ["models.Transformer", "models.Pooling", "models.Normalize"]
    modules = [{"idx": n, "type": f"sentence_transformers.{kind}"} for n, kind in enumerate(kinds)]
    (copy / "modules.json").write_text(json.dumps(modules))
    assert load_text_encoder(f"hf:{copy}").info.normalise
    assert not load_text_encoder(f"hf:{copy}", normalise=False).info.normalise
    (copy / "modules.json").write_text(json.dumps(modules[:2]))
    assert not load_text_encoder(f"hf:{copy}").info.normalise
    (copy / "modules.json").write_text("[1]")
    with pytest.raises(UserError, match="not what sentence-transformers writes"):
        load_text_encoder(f"hf:{copy}")


def test_the_encoder_of_an_encoder_decoder(tmp_path):
    encoder = load_text_encoder(f"hf:{text_encoder(tmp_path / 't5', 't5')}")
    assert encoder.info.family == "t5" and encoder.embed(TEXTS).shape == (6, 16)


def with_text(folder: Path, text: dict[int, str]) -> Path:
    """A data directory with some transcripts, utterances by number; the others have none."""
    data, _ = make_set(folder, "set", ["a", "b"], utterances=4)
    names = DataDir.load(data).utterances
    (data / "text").write_text("".join(f"{name} {text.get(n, '<unk>')}\n" for n, name in enumerate(names)))
    return data


def test_embeddings_on_disk(folder, encoder, tmp_path, caplog):
    long = " ".join(["very"] * 40)
    data, feats = with_text(tmp_path, {0: "the cat sat", 2: "bad day", 5: long}), tmp_path / "feats/bert/set"
    command = ["text", str(data), "--encoder", f"hf:{folder}", "--out", str(feats)]
    dispatch(command)
    names, found = DataDir.load(data).utterances, read_embeddings(feats)
    assert list(found) == [names[0], names[2], names[5]]
    expected = encoder.embed(["the cat sat", "bad day", long]).numpy()
    np.testing.assert_array_equal(np.stack([found[name] for name in found]), expected)
    meta = read_yaml(feats / "meta.yaml")
    told = {key: meta[key] for key in ("dim", "family", "pooling", "utterances", "without_text", "cut")}
    assert told == {
        "dim": 16,
        "family": "bert",
        "pooling": "mean",
        "utterances": 3,
        "without_text": 5,
        "cut": 1,
    }
    assert "1 text cut to 16 tokens" in caplog.text
    # Again: kept. Other words, or normalised: made again, and only then.
    written = (feats / "embedding.ark").stat().st_mtime_ns
    dispatch(command)
    assert (feats / "embedding.ark").stat().st_mtime_ns == written
    dispatch([*command, "--normalise", "true"])
    assert np.linalg.norm(ArkReader(feats / "embedding.scp")[names[0]]) == pytest.approx(1)
    before = sha256(feats / "embedding.ark")
    (data / "text").write_text((data / "text").read_text().replace("bad day", "good day"))
    dispatch([*command, "--normalise", "true"])
    assert sha256(feats / "embedding.ark") != before


def test_what_is_no_text_encoder_and_no_text(folder, tmp_path, whisper_dir, caplog):
    for name, words in (
        ("bert", "not the name of a text encoder"),
        (f"hf:{tmp_path / 'nowhere'}", "no such folder"),
        (f"hf:{tmp_path}", "no config.json"),
        (f"hf:{whisper_dir}", "no text encoder: 'whisper'"),
    ):
        with pytest.raises(UserError, match=words):
            load_text_encoder(name)
    nothing = with_text(tmp_path / "data", {})
    with pytest.raises(UserError, match="no embeddings of transcripts"):
        read_embeddings(tmp_path / "out")
    dispatch(["text", str(nothing), "--encoder", f"hf:{folder}", "--out", str(tmp_path / "out")])
    assert "no utterance has a transcript; 'ser asr' recognises them" in caplog.text
    assert read_embeddings(tmp_path / "out") is None


def test_the_real_encoder_knows_good_from_bad(text_encoder_dir):
    encoder = load_text_encoder(f"hf:{text_encoder_dir}", normalise=True)
    texts = ["What a wonderful day, I am so happy!", "I am delighted and full of joy.",
             "The delivery contains twelve boxes of screws."]  # fmt: skip
    found = encoder.embed(texts)
    torch.testing.assert_close(found, reference(text_encoder_dir, texts, True), rtol=1e-3, atol=1e-4)
    likeness = found @ found.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2 and likeness[0, 1] > likeness[1, 2] + 0.2
