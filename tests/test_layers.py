"""The layers of the house: a lower one may import a higher one, never the reverse."""

import ast
from pathlib import Path

import pytest

# From the ground up. A package may import itself and whatever stands before it.
LAYERS = [
    *("core", "metrics", "data", "corpora", "lint", "upstream", "text", "features", "engine", "papt"),
    *("downstream", "personalise", "fusion", "memory", "scoring", "peers", "benchmark", "cli"),
]
# Narrower than the order alone: scoring reads files, and knows nothing of training. Of the corpora it
# reads what they say of themselves (ser.corpora.base), for the model card.
FORBIDDEN = {
    "scoring": {"upstream", "features", "engine", "papt", "downstream", "personalise", "fusion", "memory"},
    # A benchmark calls recipes and reads what they leave; of upstreams it knows their names.
    "benchmark": {"features", "engine", "papt", "downstream", "personalise", "fusion", "memory"},
    "metrics": {"core"},
    "engine": {"corpora", "upstream", "features"},
}


def imported_packages(path: Path) -> set[str]:
    """Packages of ser that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name.split(".")[1] for name in names if name.startswith("ser.")}
    return found & set(LAYERS)


def python_files(root: Path, folder: str = "ser") -> list[Path]:
    return sorted((root / folder).rglob("*.py"))


def test_every_package_has_a_layer(root: Path) -> None:
    packages = {path.relative_to(root / "ser").parts[0] for path in python_files(root)} - {"__init__.py"}
    assert packages <= set(LAYERS)


@pytest.mark.parametrize("package", LAYERS)
def test_imports_go_one_way(root: Path, package: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(package) + 1]) - FORBIDDEN.get(package, set())
    for path in (root / "ser" / package).rglob("*.py"):
        wrong = imported_packages(path) - allowed
        assert not wrong, f"{path.relative_to(root)} imports {sorted(wrong)}"


def test_the_check_sees_a_wrong_import(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from ser.cli import main\n    import ser.scoring.tables.table\n")
    assert imported_packages(wrong) == {"cli", "scoring"}


@pytest.mark.parametrize("folder", ["ser", "tests"])
def test_one_concept_a_file(root: Path, folder: str) -> None:
    long = {
        str(p.relative_to(root)): n
        for p in python_files(root, folder)
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long, f"split these: {long}"
