"""Speaker-dependent against speaker-independent training: who is trained on, who is tested, and the gap."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import write_text, write_yaml
from ser.data.arks import ArkWriter
from ser.downstream import dependence
from ser.downstream.dependence import Draw, parse_counts, possible_counts

OPTIONS = [
    "--task.emotion", "false", "--task.attributes", "[arousal]", "--model.layer", "0",
    "--optimizer.lr", "0.05", "--optimizer.epochs", "30", "--validation.method", "utterances",
]  # fmt: skip


def make_corpus(folder: Path, own: float, speakers: int = 16, each: int = 24) -> tuple[Path, Path]:
    """Features whose arousal lies along a common direction, and along one of each speaker's own.

    Args:
        own: share of the speaker's own direction, which only who has met the speaker can know.
    """
    data, feats = folder / "data", folder / "feats"
    rng = np.random.default_rng(0)
    names = [f"s{index:02d}" for index in range(speakers)]
    ids = [f"{name}-{number:03d}" for name in names for number in range(each)]
    arousal = dict(zip(ids, rng.normal(size=len(ids)), strict=True))
    write_text(data / "utt2spk", "".join(f"{u} {u[:3]}\n" for u in ids))
    write_text(data / "spk2utt", "".join(f"{n} {' '.join(u for u in ids if u[:3] == n)}\n" for n in names))
    write_text(data / "wav.scp", "".join(f"{u} {u}.wav\n" for u in ids))
    write_text(data / "utt2arousal", "".join(f"{u} {4 + a:.4f}\n" for u, a in arousal.items()))
    schema = {"corpus": "toy", "release": "1", "licence": "none", "classes": []}
    write_yaml(
        data / "labels.yaml", schema | {"attributes": {"arousal": {"min": 0, "max": 8}}, "derived": []}
    )
    feats.mkdir(parents=True)
    with ArkWriter(feats / "pooled_mean") as writer:
        for u in ids:
            value = 0.3 * rng.normal(size=(1, speakers + 1)).astype(np.float32)
            value[0, -1] += (1 - own) * arousal[u]
            value[0, names.index(u[:3])] += own * arousal[u]
            writer.write(u, value)
    write_yaml(feats / "meta.yaml", {"upstream": "toy", "tag": "toy", "frame_rate": 50.0, "layers": 1})
    return data, feats


def run(folder: Path, own: float, *more: str) -> list[dict[str, str]]:
    data, feats = make_corpus(folder, own)
    dispatch(
        ["benchmark", "speakers", "--data", f"[{data}]", "--feats", f"[{feats}]", "--speakers", "4,8",
         "--draws", "2", "--out", str(folder / "out"), *OPTIONS, *more]
    )  # fmt: skip
    with (folder / "out" / "dependence_summary.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_a_draw_divides_speakers_and_each_one_s_utterances():
    utterances = {f"s{i}": [f"s{i}-{n}" for n in range(6 + i)] for i in range(7)}
    draw = Draw.of(utterances, 0.3, 0)
    assert len(draw.halves[0]) == len(draw.halves[1]) == 3
    assert not set(draw.halves[0]) & set(draw.halves[1])
    for name, own in utterances.items():
        assert sorted(draw.learn[name] + draw.test[name]) == sorted(own)
        assert len(draw.test[name]) == max(2, round(0.3 * len(own)))
    # What a speaker's utterances are divided into depends on that speaker alone.
    fewer = Draw.of({name: utterances[name] for name in ("s1", "s2")}, 0.3, 0)
    assert fewer.test["s1"] == draw.test["s1"]
    assert Draw.of(utterances, 0.3, 1).halves != draw.halves


def test_the_gap_is_found_where_speakers_differ_and_not_where_they_do_not(tmp_path):
    differ, alike = run(tmp_path / "differ", 0.9), run(tmp_path / "alike", 0.0)
    assert [row["speakers"] for row in differ] == ["4", "8"]
    assert all(float(row["low"]) > 0.1 for row in differ)
    assert all(float(row["low"]) < 0 < float(row["high"]) for row in alike)
    assert (tmp_path / "differ" / "out" / "dependence_arousal.svg").is_file()


def test_nobody_learns_from_what_is_tested(tmp_path, monkeypatch):
    learnt, original = [], dependence.choose

    def spy(config, task, examples, splits, seed, accelerator):
        learnt.append({examples.utterances[row] for pair in splits for part in pair for row in part.tolist()})
        return original(config, task, examples, splits, seed, accelerator)

    draws, made = [], Draw.of

    def remember(*arguments):
        draws.append(made(*arguments))
        return draws[-1]

    monkeypatch.setattr(dependence, "choose", spy)
    monkeypatch.setattr(dependence.Draw, "of", remember)
    run(tmp_path, 0.0, "--draws", "1")
    [draw] = draws
    tested = {utterance for own in draw.test.values() for utterance in own}
    assert len(learnt) == 4  # two halves, two numbers
    for count, half, utterances in zip((4, 4, 8, 8), (0, 1, 0, 1), learnt, strict=True):
        assert not utterances & tested
        assert {u[:3] for u in utterances} == set(draw.halves[half][:count])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--speakers", "4,9"], "9 speakers want twice as many"),
        (["--speakers", "four"], "--speakers wants numbers"),
        (["--speakers", "1"], "at least 2"),
        (["--share", "1"], "--share must be between 0 and 1"),
        (["--draws", "0"], "--draws must be at least 1"),
        (["--task.emotion", "true"], "attributes alone are learnt"),
        (["--speaker.representation", "mean"], "without speaker vectors"),
    ],
)
def test_mistakes(tmp_path, more, words):
    with pytest.raises(UserError) as caught:
        run(tmp_path, 0.0, *more)
    assert words in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_numbers():
    assert parse_counts("8, 4,8") == [4, 8]
    assert parse_counts("most,4") == [4, None]


def test_most_is_half_of_the_speakers_and_leaves_out_what_is_above(caplog):
    assert possible_counts([4, 8, None], 6) == [4, 6]
    assert "two halves of 6 speakers: [8]" in caplog.text
    assert possible_counts([4, 8], 6) == [4, 8]
    assert possible_counts([None], 6) == [6]
