"""What the fuzzing found, kept: each content once broke its reader."""

import pytest

from tests.fuzz import binary, corpora, records, tables

LABELS = tables.LABELS
FOUND = [
    (records.PARSERS["yaml"], b"a: !!bool x\n"),  # KeyError
    (records.PARSERS["yaml"], b"a: 2020-99-99\n"),  # ValueError: no such month
    (records.PARSERS["yaml"], b"a: 0b_\n"),  # ValueError: an integer without a digit
    (records.PARSERS["yaml"], b"[" * 3000),  # RecursionError
    (records.PARSERS["json"], b"[" * 100_000),  # RecursionError
    (records.PARSERS["json"], b"9" * 5000),  # ValueError: too many digits
    (records.PARSERS["quoted.yaml"], records.QUOTED.replace(b"0.531", b"!!bool x")),
    (records.PARSERS["train.yaml"], b""),  # a message that did not name the file
    (records.PARSERS["train.yaml"], b" ?   "),  # TypeError
    (records.PARSERS["finetune.yaml"], b"task:\n  emotiethod: mean+s"),
    (records.PARSERS["config.yaml"], b""),  # TypeError
    (records.PARSERS["config.yaml"], b"train: {task.classes: true}\nsources: {}\n"),
    (corpora.PARSERS["MSP labels_consensus.json"], b'{"a":' * 100_000),
    (tables.PARSERS["labels.yaml"], LABELS.replace(b"'1.3'", b"!!timestamp x")),
]


@pytest.mark.parametrize(("parser", "content"), FOUND, ids=range(len(FOUND)))
def test_a_message_that_names_the_file(parser, content, tmp_path):
    parser.hold(tmp_path, content)


def test_integers_of_an_ark_that_lie_about_their_number_or_size(tmp_path):
    parser = binary.ark_parsers(tmp_path)["ark, binary"]
    content = parser.valid[0]
    head = content.index(b"\0B\4\3")  # the vector of three integers
    parser.hold(tmp_path, content[: head + 3] + b"\xff\xff\xff\xff" + content[head + 7 :])
    parser.hold(tmp_path, content[: head + 7] + b"\5" + content[head + 8 :])


def test_a_text_ark_of_which_kaldiio_says_two_lines(tmp_path):
    parser = binary.ark_parsers(tmp_path)["ark, text"]
    parser.hold(tmp_path, parser.valid[0].replace(b"[\n", b"[\\\n", 1))


def test_a_wav_cut_within_its_chunk_of_wide_sizes(tmp_path):
    parser = binary.audio_parsers()["rf64"]
    parser.hold(tmp_path, parser.valid[0][:30])


@pytest.mark.parametrize("key", ["scaler", "epoch", "best_value"])
def test_a_run_that_starts_over_has_nothing_of_the_broken_one(key, tmp_path):
    """A state without a key was loaded half: weights of the old run with the epochs of a new one."""
    import torch

    parser = binary.fine_tuning_parser(tmp_path)
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    del state[key]
    torch.save(state, tmp_path / "broken.pt")
    parser.hold(tmp_path, (tmp_path / "broken.pt").read_bytes())
