"""docs/reference is what the commands and scripts say of themselves."""

import argparse
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from ser.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]


def load_script():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "utils" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_script()
COMMANDS = [
    (verb, *rest) for verb in VERBS for rest in ([(k,) for k in reference.KINDS.get(verb, [])] or [()])
]


def test_the_pages_are_those_of_the_code() -> None:
    assert reference.stale(reference.FOLDER, reference.pages()) == [], "run: python utils/reference.py"


def test_a_changed_page_is_seen(tmp_path: Path) -> None:
    wanted = {"a.md": "1", "b.md": "2"}
    (tmp_path / "a.md").write_text("1")
    (tmp_path / "b.md").write_text("3")
    (tmp_path / "c.md").write_text("")
    assert reference.stale(tmp_path, wanted) == ["b.md", "c.md"]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is(words: tuple[str, ...]) -> None:
    parser = reference.parser_of(*words)
    actions = [action for _, group in reference.options_of(parser) for action in group]
    assert actions
    assert [action.dest for action in actions if not (action.help or "").strip()] == []
    assert parser.description
    shown = parser.format_help()
    for action in actions:
        assert (action.option_strings or [action.dest])[0] in shown


@pytest.mark.parametrize(
    "name", [name for name in reference.SCRIPTS.values() if not name.startswith("tools")]
)
def test_a_scripts_help_is_what_it_prints(name: str) -> None:
    """Called where a recipe links to it: a template has no utils/ of its own."""
    linked = [path for path in sorted(ROOT.glob("egs/[a-z]*/*/**/*.sh")) if path.resolve() == ROOT / name]
    path = (linked or [ROOT / name])[0]
    engine = ["--"] if path.name in ("ser.sh", "mal.sh") else []
    done = subprocess.run([path, *engine, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert (
        done.stdout.replace(path.name, Path(name).name).strip() == reference.help_of(ROOT / name)[0].strip()
    )


def test_no_script_with_options_is_forgotten(root: Path) -> None:
    """But for a recipe's own local/data.sh, which its run.sh calls."""
    files = [*root.glob("egs/**/*.sh"), *root.glob("utils/*.sh"), root / "tools" / "install.sh"]
    told = {
        path.resolve().relative_to(root).as_posix()
        for path in files
        if re.search(r"^help_message=", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert {name for name in told if not name.endswith("local/data.sh")} == set(reference.SCRIPTS.values())


def test_every_option_of_the_engine_is_in_its_help() -> None:
    for name in ("egs/TEMPLATE/ser1/ser.sh", "egs/TEMPLATE/mal1/mal.sh"):
        head = (ROOT / name).read_text().split("help_message=")[0]
        options = {each.replace("_", "-") for each in re.findall(r"^([a-z][a-z0-9_]*)=", head, re.MULTILINE)}
        assert options == set(reference.help_of(ROOT / name)[1])


def test_help_as_markdown() -> None:
    assert reference.prose("``a|b`` of <x>_, * and\n a_b") == r"`a\|b` of &lt;x>\_, \* and a_b"
    action = argparse.Action(["--x"], "x", choices=("a", "b"), default="a|b", help="x")
    assert reference.table([action])[-1] == r"| `--x` | `a` `b` | `a\|b` | x |"


@pytest.mark.parametrize(
    ("hint", "shown"),
    [(int, "`int`"), (bool, "`true` `false`"), (str | None, "`str`"), (list[Path], "`list[Path]`")],
)
def test_types_read_alike_in_every_python(hint: object, shown: str) -> None:
    assert reference.type_name(hint) == shown
