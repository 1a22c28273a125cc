"""What a benchmark is made of: a YAML file of recipes, upstreams, configurations and seeds.

    upstreams: [fbank, mfcc]
    seeds: [0, 1]
    recipes:
    - recipe: egs/mini/ser1
      configs: [conf/emotion.yaml]
    - recipe: egs/emodb/ser1
      configs: [conf/emotion.yaml, conf/emotion_mlp.yaml]
      db_root: /corpora/emodb

A recipe's folder is looked for from the file's own folder upwards, so that a checkout may lie anywhere; its
configurations are named as its run.sh names them. Other paths are relative to the file's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.scoring.typed import build
from ser.upstream.registry import tag_of

ENGINE = "ser.sh"
# Options of run.sh that the grid itself sets, and those that would put further experiments into a cell.
OF_THE_GRID = (
    *("stage", "stop_stage", "list", "dry_run", "force", "config", "nj", "db_root", "upstreams", "seeds"),
    *("train_configs", "finetune_upstreams", "finetune_configs", "title"),
)
OF_OTHERS = (
    *("units", "papt_upstream", "scratch_config", "papt_configs", "papt_data", "unseen"),
    *("adapt", "calibrate", "fuse"),
)


@dataclass
class RecipeEntry:
    """A recipe, and which of its experiments are wanted.

    Args:
        recipe: its folder, egs/<corpus>/<recipe>.
        configs: configurations, relative to that folder; one experiment for each of them and each upstream.
        finetune: whether they are of ``ser finetune``, on the encoder itself, and not of ``ser train``.
        upstreams: instead of the benchmark's.
        seeds: instead of the benchmark's.
        db_root: where the corpus lies.
        options: further options of its run.sh: ``extract-options: "--device cuda"``.
    """

    recipe: str
    configs: list[str]
    finetune: bool = False
    upstreams: list[str] | None = None
    seeds: list[int] | None = None
    db_root: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class GridConfig:
    """A benchmark.

    Args:
        recipes: not empty.
        upstreams: as --upstreams takes them: fbank, hubert_base, hf:<folder>.
        seeds: of the training; an experiment is scored over all of its own.
        title: heading of the tables.
        out: folder for tables and logs; by default beside the file, and named as it is.
        jobs: parts of the grid that run at once.
        nj: jobs of each of them (0: cores divided by ``jobs``).
        quoted: YAML files of published figures, to stand under ours (docs/scoring.md).
        added: scores.json files of others, by the name their row is to have.
    """

    recipes: list[RecipeEntry]
    upstreams: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    title: str = "Benchmark"
    out: str | None = None
    jobs: int = 1
    nj: int = 0
    quoted: list[str] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """An entry with nothing left open.

    Attributes:
        folder: of the recipe, absolute.
        label: ``<corpus>/<recipe>``.
        configs: not empty.
        upstreams: not empty.
        seeds: not empty.
        finetune: whether the encoder is trained as well.
        db_root: where the corpus lies, absolute; the recipe says whether it wants it.
        options: further words for run.sh.
    """

    folder: Path
    label: str
    configs: tuple[str, ...]
    upstreams: tuple[str, ...]
    seeds: tuple[int, ...]
    finetune: bool
    db_root: Path | None
    options: tuple[str, ...]

    def experiment(self, upstream: str, config: str) -> str:
        """The name that the engine gives the experiment."""
        return f"{self.tag(upstream)}_{name_of(config)}"

    def tag(self, upstream: str) -> str:
        """The upstream's short name, as the engine makes it."""
        long = any("--whisper-context" in word and "30s" in word for word in self.options)
        return tag_of(upstream, "30 s" if long and upstream.startswith("hf:") else "length")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name_of(config: str) -> str:
    """A configuration's name: its file's, without .yaml, as the engine takes it."""
    return Path(config).name.removesuffix(".yaml")


@dataclass(frozen=True)
class Grid:
    """A benchmark that was checked.

    Attributes:
        file: the YAML it was read from.
        parts: in the order of the file.
        out: folder for tables and logs, absolute.
        jobs: parts of the grid that run at once.
        nj: jobs of each, at least 1.
        quoted: files of published figures.
        added: name of a row -> file of scores.
    """

    file: Path
    title: str
    parts: tuple[Part, ...]
    out: Path
    jobs: int
    nj: int
    quoted: tuple[Path, ...]
    added: Mapping[str, Path]


def read_grid(
    file: Path, jobs: int | None = None, nj: int | None = None, db_roots: Mapping[str, Path] | None = None
) -> Grid:
    """Read and check a benchmark's file.

    Args:
        file: the YAML.
        jobs: counts over the file's.
        nj: counts over the file's.
        db_roots: folders of corpora that count over the file's, by ``<corpus>`` or ``<corpus>/<recipe>``.

    Raises:
        UserError: naming the file and the value: an unknown key or wrong type, a folder that is no recipe, a
            configuration that is not there, nothing to run, an experiment named twice.
    """
    try:
        config = build(GridConfig, read_yaml(file))
    except ValueError as error:
        hint = "docs/benchmark.md has every key"
        raise UserError(f"not a benchmark: {error}", file=file, hint=hint) from None
    config = replace(config, jobs=config.jobs if jobs is None else jobs, nj=config.nj if nj is None else nj)
    file = file.absolute()
    if not config.recipes:
        raise UserError("a benchmark without recipes", file=file, hint="Name them under 'recipes'")
    for name, lowest in (("jobs", 1), ("nj", 0)):
        if getattr(config, name) < lowest:
            raise UserError(f"'{name}' is at least {lowest}", file=file, value=getattr(config, name))
    parts = [_part(entry, config, file) for entry in config.recipes]
    parts = _with_roots(parts, db_roots or {}, file)
    _check_apart(parts, file)
    return Grid(
        file, config.title, tuple(parts),
        out=(file.parent / config.out if config.out else file.with_suffix("")).resolve(),
        jobs=config.jobs, nj=config.nj or max(1, cores() // config.jobs),
        quoted=tuple(file.parent / name for name in config.quoted),
        added={name: file.parent / path for name, path in config.added.items()},
    )  # fmt: skip


def _part(entry: RecipeEntry, config: GridConfig, file: Path) -> Part:
    """An entry with the benchmark's own values where it has none."""
    folder = _recipe_folder(entry.recipe, file)
    upstreams = config.upstreams if entry.upstreams is None else entry.upstreams
    seeds = config.seeds if entry.seeds is None else entry.seeds
    for what, values in (("configs", entry.configs), ("upstreams", upstreams), ("seeds", seeds)):
        if not values:
            raise UserError(f"recipe without '{what}'", file=file, value=entry.recipe)
        for value in values:
            if isinstance(value, str) and (not value or value.split() != [value]):
                hint = "Words with spaces in them are no option of run.sh"
                raise UserError(
                    f"'{what}' of {entry.recipe}: not one word", file=file, value=value, hint=hint
                )
            if isinstance(value, int) and value < 0:
                raise UserError(f"'{what}' of {entry.recipe}: below 0", file=file, value=value)
            if values.count(value) > 1:
                raise UserError(f"'{what}' of {entry.recipe} names one twice", file=file, value=value)
    for name in entry.configs:
        if not (folder / name).is_file():
            hint = f"There are {', '.join(sorted(f'conf/{p.name}' for p in folder.glob('conf/*.yaml')))}"
            raise UserError(f"{entry.recipe} has no such configuration", file=file, value=name, hint=hint)
    words = []
    for option, value in entry.options.items():
        plain = option.removeprefix("--").replace("-", "_")
        if plain in OF_THE_GRID:
            what = f"'options' of {entry.recipe}: the benchmark sets this one itself"
            raise UserError(what, file=file, value=option)
        if plain in OF_OTHERS:
            what = f"'options' of {entry.recipe}: it adds experiments of its own to every cell"
            raise UserError(what, file=file, value=option, hint="Run the recipe by itself for these")
        if not isinstance(value, str | int | float):
            raise UserError(f"'options' of {entry.recipe}: '{option}' is one value", file=file, value=value)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += [f"--{plain.replace('_', '-')}", text]
    db_root = None if entry.db_root is None else file.parent / Path(entry.db_root).expanduser()
    label = f"{folder.parent.name}/{folder.name}"
    return Part(
        folder, label, tuple(entry.configs), tuple(upstreams), tuple(seeds), entry.finetune, db_root,
        tuple(words),
    )  # fmt: skip


def _recipe_folder(name: str, file: Path) -> Path:
    """The folder of a recipe, looked for from the file's folder upwards."""
    for above in (file.parent, *file.parent.parents):
        folder = above / name
        if (folder / "run.sh").is_file():
            if not (folder / ENGINE).is_file():
                hint = f"The grid runs recipes on {ENGINE} (ser1, papt1, finetune1)"
                raise UserError("this recipe has another stage engine", file=file, value=name, hint=hint)
            return folder.resolve()
    hint = "Name it egs/<corpus>/<recipe>, as it stands in the checkout or from the file's own folder"
    raise UserError("no such recipe", file=file, value=name, hint=hint)


def _with_roots(parts: Sequence[Part], db_roots: Mapping[str, Path], file: Path) -> list[Part]:
    """The parts with the folders of their corpora, which must be there."""
    known = {name for part in parts for name in (part.label, part.folder.parent.name)}
    if unknown := sorted(set(db_roots) - known):
        hint = f"There are {', '.join(sorted({part.folder.parent.name for part in parts}))}"
        raise UserError("--db-root: no such corpus in the benchmark", file=file, value=unknown[0], hint=hint)
    found = []
    for part in parts:
        own = db_roots.get(part.label, db_roots.get(part.folder.parent.name))
        db_root = part.db_root if own is None else own.expanduser().absolute()
        if db_root is not None and not db_root.is_dir():
            raise UserError(f"{part.label}: there is no folder of the corpus", file=file, value=db_root)
        found.append(replace(part, db_root=db_root))
    return found


def _check_apart(parts: Sequence[Part], file: Path) -> None:
    """Refuse cells that would be one experiment, and recipes that would prepare one folder in two ways."""
    experiments: dict[tuple[Path, str], str] = {}
    first: dict[str, Part] = {}
    for part in parts:
        ours = first.setdefault(part.label, part)
        if part.folder != ours.folder:
            raise UserError(f"two recipes are called {part.label}", file=file, value=part.folder)
        if (part.db_root, part.options) != (ours.db_root, ours.options):
            what = "a recipe that is named twice has other options or another db_root the second time"
            hint = "Each would make again what the other has made: give both the same, or copy the recipe"
            raise UserError(what, file=file, value=part.label, hint=hint)
        for upstream, config in product(part.upstreams, part.configs):
            key, this = (part.folder, part.experiment(upstream, config)), f"{upstream} by {config}"
            if key in experiments:
                what = f"{part.label}: {experiments[key]} and {this} would be one experiment"
                raise UserError(what, file=file, value=key[1], hint="Take one of them out")
            experiments[key] = this
