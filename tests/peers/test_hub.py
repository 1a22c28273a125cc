"""A hub name instead of a folder, with a hub made of folders: nothing is downloaded."""

import pytest
import torch

from ser.core.errors import UserError
from ser.peers.config import read_config
from ser.peers.load import load_peer


def hub_of(monkeypatch, folder):
    """Make ``transformers`` find ``org/model`` in a folder, as it finds what it has cached."""
    asked = []

    def cached_file(name, file, _raise_exceptions_for_missing_entries=True, **_):
        asked.append(file)
        assert name == "org/model"
        if (folder / file).is_file():
            return str(folder / file)
        if _raise_exceptions_for_missing_entries:
            raise OSError(f"org/model does not appear to have a file named {file}.")
        return None

    monkeypatch.setattr("transformers.utils.hub.cached_file", cached_file)
    return asked


@pytest.mark.parametrize("name", ["odyssey-attributes", "emotion2vec-plus-base"])
def test_a_hub_name_gives_the_same_peer(monkeypatch, peer_folder, peer_of, name):
    asked = hub_of(monkeypatch, peer_folder(name))
    found, expected = load_peer(read_config(name, model="org/model"), "cpu"), peer_of(name)
    assert "model.safetensors" in asked  # before what torch would have to unpickle
    assert (found.encoder.info.name, found.encoder.info.tag) == ("org/model", "model")
    assert found.encoder.info.checkpoint == expected.encoder.info.checkpoint
    for (one, x), (other, y) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
        assert one == other and torch.equal(x, y)


def test_what_the_hub_does_not_have_is_told(monkeypatch, tmp_path):
    hub_of(monkeypatch, tmp_path)
    with pytest.raises(UserError, match=r"config\.json") as error:
        load_peer(read_config("odyssey-attributes", model="org/model"), "cpu")
    assert "org/model" in str(error.value) and "Give the folder" in str(error.value)
