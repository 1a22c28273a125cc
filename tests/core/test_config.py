"""Configuration: types checked, unknown keys refused with the nearest name, nothing run."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ser.core.config import Parser, save
from ser.core.errors import UserError
from ser.core.files import read_yaml


@dataclass
class Inner:
    pooling: str = "mean"
    layers: list[int] = field(default_factory=list)


@dataclass
class Outer:
    lr: float = 0.1
    model: Inner = field(default_factory=Inner)


def parse(*argv: str) -> Outer:
    parser = Parser(prog="ser test")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Outer)
    options = parser.instantiate(parser.parse_args([str(word) for word in argv]))
    return Outer(options.lr, options.model)


def test_defaults_file_and_override(tmp_path: Path) -> None:
    conf = tmp_path / "a.yaml"
    conf.write_text("lr: 0.5\nmodel: {pooling: std, layers: [1, 2]}\n")
    assert parse() == Outer()
    assert parse("--config", conf) == Outer(0.5, Inner("std", [1, 2]))
    assert parse("--config", conf, "--model.pooling", "x") == Outer(0.5, Inner("x", [1, 2]))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lrr", "1"], "nearest known name is 'lr'"),
        (["--model.pool", "x"], "nearest known name is 'model.pooling'"),
        (["--lr", "high"], "high"),
        (["--model.layers", "[a]"], "a"),
        (["stray"], "stray"),
    ],
)
def test_mistakes_on_the_command_line(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(*argv)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {poling: x}", "nearest known name is 'model.pooling'"),
        ("lr: fast", "fast"),
        ("lr: 1\nmodel:", "'model' is a group of options"),
        ("model: 3", "model"),
        ("lr:\nmodel: {pooling: x}", "'lr' has no value"),
        ("model: {pooling: null}", "'model.pooling' has no value"),
        ("lr: [", "."),
        ("model: {class_path: os.system, init_args: {command: ls}}", "class_path|init_args"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    conf = tmp_path / "bad.yaml"
    conf.write_text(text)
    with pytest.raises(UserError, match=message):
        parse("--config", conf)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        parse("--config", tmp_path / "none.yaml")


def test_saved_file_is_plain(tmp_path: Path) -> None:
    save(tmp_path / "c.yaml", Outer(model=Inner(layers=[3])))
    assert read_yaml(tmp_path / "c.yaml") == {"lr": 0.1, "model": {"pooling": "mean", "layers": [3]}}
