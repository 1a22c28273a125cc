"""A benchmark's file: what it may say, and one line for every mistake."""

from pathlib import Path

import pytest
import yaml

from ser.benchmark.config import read_grid
from ser.core.errors import UserError

MINI = {"recipe": "egs/mini/ser1", "configs": ["conf/emotion.yaml"]}


@pytest.fixture
def checkout(tmp_path, root):
    """egs/ of this checkout as links, and a folder for a benchmark's file below."""
    (tmp_path / "egs" / "bench" / "conf").mkdir(parents=True)
    for name in ("mini", "emodb", "TEMPLATE"):
        (tmp_path / "egs" / name).symlink_to(root / "egs" / name)
    return tmp_path


@pytest.fixture
def read(checkout):
    def call(content, **arguments):
        file = checkout / "egs" / "bench" / "conf" / "b.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return read_grid(file, **arguments)

    return call


def grid(**changes) -> dict:
    return {"upstreams": ["fbank"], "recipes": [dict(MINI)], **changes}


def with_entry(**changes) -> dict:
    return grid(recipes=[{**MINI, **changes}])


def test_entries_have_what_the_benchmark_says_unless_they_say_it(read, checkout):
    two = {**MINI, "configs": ["conf/attributes.yaml"], "upstreams": ["hf:a/b"], "seeds": [3]}
    found = read(grid(seeds=[0, 1], recipes=[MINI, two]))
    first, second = found.parts
    assert (first.upstreams, first.seeds, first.label) == (("fbank",), (0, 1), "mini/ser1")
    assert (second.upstreams, second.seeds) == (("hf:a/b",), (3,))
    assert second.experiment("hf:a/b", "conf/attributes.yaml") == "b_attributes"
    assert found.out == checkout / "egs" / "bench" / "conf" / "b"


def test_the_command_line_counts_over_the_file(read, tmp_path):
    (tmp_path / "corpus").mkdir()
    found = read(grid(jobs=2, nj=3), jobs=4, nj=5, db_roots={"mini": tmp_path / "corpus"})
    assert (found.jobs, found.nj, found.parts[0].db_root) == (4, 5, tmp_path / "corpus")
    assert read(grid()).nj >= 1


def test_options_of_a_recipe_are_words_for_it(read):
    options = {"extract-options": "--device cuda", "local_data": "x", "skip": True}
    expected = ("--extract-options", "--device cuda", "--local-data", "x", "--skip", "true")
    assert read(with_entry(options=options)).parts[0].options == expected


def test_whisper_context_is_in_the_name(read):
    options = {"extract-options": "--whisper-context 30s"}
    part = read(with_entry(options=options)).parts[0]
    assert part.tag("hf:models/whisper") == "whisper-30s" and part.tag("fbank") == "fbank"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not plain YAML"),
        ("- a\n", "the file is no mapping"),
        ("recipes: []\n", "without recipes"),
        (grid(upstream=["x"]), "unknown key 'upstream'"),
        (with_entry(config="x"), r"recipes\[0\] has an unknown key 'config'"),
        (grid(recipes=[{"recipe": "egs/mini/ser1"}]), r"recipes\[0\] has no key 'configs'"),
        (grid(seeds=["a"]), r"seeds\[0\] is 'a', not int"),
        (grid(seeds=[-1]), "below 0: '-1'"),
        (grid(jobs=0), "'jobs' is at least 1"),
        (grid(upstreams=[]), "recipe without 'upstreams'"),
        (grid(upstreams=["a b"]), "not one word: 'a b'"),
        (grid(upstreams=["fbank", "fbank"]), "names one twice: 'fbank'"),
        (grid(upstreams=["hf:a/x", "hf:b/x"]), "hf:a/x by conf/emotion.yaml and hf:b/x .* one experiment"),
        (grid(recipes=[MINI, MINI]), "would be one experiment: 'fbank_emotion'"),
        (with_entry(recipe="egs/none/ser1"), "no such recipe: 'egs/none/ser1'"),
        (with_entry(recipe="egs/mini/mal1", configs=["conf/memory.yaml"]), "another stage engine"),
        (with_entry(configs=["conf/emotions.yaml"]), r"no such configuration: .*conf/attributes.yaml, co"),
        (with_entry(db_root="nowhere"), "no folder of the corpus"),
        (with_entry(options={"seeds": "1"}), "sets this one itself: 'seeds'"),
        (with_entry(options={"--fuse": "a=b"}), "experiments of its own to every cell"),
        (with_entry(options={"train-options": ["a"]}), "'train-options' is one value"),
        (
            grid(recipes=[MINI, {**MINI, "upstreams": ["mfcc"], "options": {"extract-options": "-x"}}]),
            "named twice has other options",
        ),
    ],
)  # fmt: skip
def test_mistakes(read, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value) and Path(caught.value.file).name == "b.yaml"


def test_a_corpus_that_is_not_in_the_benchmark(read, tmp_path):
    with pytest.raises(UserError, match=r"no such corpus in the benchmark: 'emodb'\. There are mini"):
        read(grid(), db_roots={"emodb": tmp_path})


@pytest.mark.parametrize("name", ["mini", "benchmark"])
def test_the_examples_are_in_order(root, name):
    found = read_grid(root / "egs" / "benchmark" / "conf" / f"{name}.yaml")
    assert found.parts and found.out == root / "egs" / "benchmark" / "results" / name
