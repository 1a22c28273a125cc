"""utils/new_recipe.sh, and docs/new_corpus.md followed to the letter: its commands, its table, its script."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ser.data.datadir import DataDir
from tests.fixtures.speech import Tone
from tests.recipes.test_conf import test_it_is_understood as check_configuration

ROOT = Path(__file__).resolve().parents[2]
WALK = (ROOT / "docs" / "new_corpus.md").read_text(encoding="utf-8")
SPEAKERS = {"ann": "f", "bob": "m", "cem": "m", "dia": "f"}
EMOTIONS = {"anger": 4.0, "sadness": 1.5}
NEEDED = ("egs", "utils", "tools", "ser/core", "ser/__init__.py", ".shellcheckrc")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the walk in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", WALK, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tree, without what recipes have made."""
    ignore = shutil.ignore_patterns("data", "feats", "exp", "log", ".marks", "__pycache__")
    for part in NEEDED:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / "checkout" / part, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / part, tmp_path / "checkout" / part)
    return tmp_path / "checkout"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """``~/my_corpus`` as the walk has it, with its rows and more of the same kind."""
    folder = tmp_path / "my_corpus"
    header, *rows = blocks("csv")[0].splitlines()
    assert header == "path,speaker,emotion,arousal,gender,text"
    listed = {row.split(",")[0] for row in rows}
    for speaker, gender in SPEAKERS.items():
        for emotion, arousal in EMOTIONS.items():
            for number in range(1, 3):
                path = f"{speaker}/{emotion}_{number}.wav"
                Tone().wav(folder / path, "", speaker, emotion)
                if path not in listed:
                    rows.append(
                        f"{path},{speaker},{emotion},{arousal + number / 10:.1f},{gender},Say {number}."
                    )
    (folder / "labels.csv").write_text("\n".join([header, *rows, ""]))
    return folder


def run(command: str, checkout: Path, **environment: str) -> subprocess.CompletedProcess:
    """A command as a reader of the walk types it; nothing is installed."""
    said = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(checkout.parent),
        "SER_VENV": str(Path(sys.executable).parent.parent),
        "SER_INSTALL": "false",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    return subprocess.run(["bash", "-c", command], cwd=checkout, env=said, capture_output=True, text=True)


def done(command: str, checkout: Path) -> str:
    """The output of a command that must succeed."""
    finished = run(command, checkout)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}{finished.stderr}"
    return finished.stdout


def test_the_walk_tells_the_truth_about_the_script():
    """What it shows of local/data.sh is in the template, word for word."""
    (shown,) = blocks("bash")
    assert shown in (ROOT / "egs/TEMPLATE/ser1/new/local/data.sh").read_text()


def test_the_walk_to_the_data(checkout, corpus):
    """Its commands that make a recipe and check its data: a table without code, then a script."""
    with_table, _, with_script, _ = blocks("sh")
    done(with_table, checkout)
    data = DataDir.load(checkout / "egs/my_corpus/ser1/data/all")
    assert len(data.utterances) == 16
    assert data.labels.classes == ["anger", "sadness"]
    assert data.attribute("arousal")["ann-anger_1"] == 4.2
    assert data.spk2gender == SPEAKERS
    assert data.tables["text"]["bob-anger_1"] == "No, not today."
    assert len(set(data.folds().values())) == len(SPEAKERS)
    done(with_script, checkout)
    assert DataDir.load(checkout / "egs/my_corpus/names1/data/all").classes_of() == data.classes_of()


@pytest.mark.slow
def test_the_walk_to_the_table(checkout, corpus):
    """All of its commands, in order; both ways end in results."""
    for command in blocks("sh"):
        done(command, checkout)
    for recipe, experiments in (
        ("ser1", ("fbank_emotion", "fbank_attributes")),
        ("names1", ("fbank_emotion",)),
    ):
        folder = checkout / "egs/my_corpus" / recipe
        assert all(name in (folder / "RESULTS.md").read_text() for name in experiments)
        assert (folder / "results.csv").is_file()
        assert (folder / "report.html").is_file()


def test_data_are_made_anew_when_the_table_or_the_script_has_changed(checkout, corpus):
    """The recipe's own files are inputs of stage 1."""
    done("utils/new_recipe.sh egs/my_corpus/ser1", checkout)
    stage = "egs/my_corpus/ser1/run.sh --db-root ~/my_corpus --stop-stage data"
    assert "done in" in done(stage, checkout)
    assert "stage 1 data: up to date" in done(stage, checkout)
    script = checkout / "egs/my_corpus/ser1/local/data.sh"
    script.write_text(script.read_text().replace("-name '*.wav'", "-name '*_1.wav'"))
    assert "done in" in done(stage, checkout)
    assert len(DataDir.load(script.parents[1] / "data" / "all").utterances) == 8


def test_a_made_recipe_is_like_the_others(checkout, corpus):
    """Links, configurations that are understood, scripts without a finding, nothing left open."""
    done("utils/new_recipe.sh egs/plain/ser1", checkout)
    options = "--csv ~/my_corpus/labels.csv --range arousal=1:5"
    done(f"utils/new_recipe.sh {options} egs/my_corpus/ser1/", checkout)
    for recipe in (checkout / "egs/plain/ser1", checkout / "egs/my_corpus/ser1"):
        for name in ("ser.sh", "path.sh", "cmd.sh", "utils"):
            assert os.readlink(recipe / name) == os.readlink(checkout / "egs/emodb/ser1" / name)
            assert (recipe / name).exists()
        for path in recipe.glob("conf/*.yaml"):
            check_configuration(path)
        texts = [path.read_text() for path in recipe.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [text for text in texts if re.search("@[A-Z_]+@", text)]
        assert f'--title "{recipe.parent.name}: upstreams"' in (recipe / "run.sh").read_text()
        assert "stage 13" not in done(f"{recipe}/run.sh --list", checkout)
        assert "ser train --config conf/emotion.yaml" in done(f"{recipe}/run.sh --dry-run", checkout)
        scripts = " ".join(str(path) for path in recipe.rglob("*.sh") if not path.is_symlink())
        done(f"cd {recipe} && shellcheck {scripts}", checkout)
    assert "attributes: [arousal]" in (checkout / "egs/my_corpus/ser1/conf/attributes.yaml").read_text()
    assert not (checkout / "egs/my_corpus/ser1/local/data.sh").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "it takes one folder"),
        ("egs/a/b egs/c/d", "it takes one folder"),
        ("egs/emodb/ser1", "there is a folder egs/emodb/ser1 already"),
        ("egs/My-Corpus/ser1", "is not egs/<corpus>/<recipe>"),
        ("egs/../ser1", "is not egs/<corpus>/<recipe>"),
        ("/tmp/egs/a/ser1", "is not egs/<corpus>/<recipe>"),
        ("egs/new/ser1/deep", "is not egs/<corpus>/<recipe>"),
        ("--cvs x egs/new/ser1", "unknown option --cvs, did you mean --csv"),
        ("--csv none.csv egs/new/ser1", "there is no file 'none.csv'"),
        ("--csv ~/my_corpus/labels.csv egs/new/ser1", "--range: on which scale was arousal rated?"),
        ("--csv ~/no_path.csv egs/new/ser1", "has no column path"),
        ("--csv ~/no_label.csv egs/new/ser1", "has none of the columns emotion, arousal"),
        ("--csv ~/split.csv egs/new/ser1", "has a column split; name its sets"),
        ("--csv ~/flat.csv --data-sets 'train validation test' egs/new/ser1", "has no column split"),
        ("--range arousal=1:5 egs/new/ser1", "--range goes with --csv"),
    ],
)
def test_mistakes_leave_nothing_behind(checkout, corpus, words, complaint):
    headers = {"no_path": "file,emotion", "no_label": "path,text", "split": "path,emotion,split",
               "flat": "path,emotion"}  # fmt: skip
    for name, header in headers.items():
        (checkout.parent / f"{name}.csv").write_text(f"{header}\n")
    before = sorted(checkout.rglob("*"))
    refused = run(f"utils/new_recipe.sh {words}", checkout)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert sorted(checkout.rglob("*")) == before


def test_a_table_from_excel_with_splits(checkout, corpus):
    """Byte order mark, quotes and Windows line ends in the header; fixed sets."""
    rows = [row.split(",") for row in (corpus / "labels.csv").read_text().splitlines()[1:]]
    sets = {"ann": "train", "bob": "train", "cem": "dev", "dia": "test1"}
    lines = ['"path","emotion","split"', *(f"{row[0]},{row[2]},{sets[row[1]]}" for row in rows)]
    (corpus / "labels.csv").write_text("\r\n".join([*lines, ""]), encoding="utf-8-sig", newline="")
    options = "--csv ~/my_corpus/labels.csv --data-sets 'train validation test1'"
    done(f"utils/new_recipe.sh {options} egs/excel/ser1", checkout)
    done("egs/excel/ser1/run.sh --db-root ~/my_corpus --stop-stage data", checkout)
    sizes = {
        path.name: len(DataDir.load(path).utterances) for path in (checkout / "egs/excel/ser1/data").iterdir()
    }
    assert sizes == {"train": 8, "validation": 4, "test1": 4}
