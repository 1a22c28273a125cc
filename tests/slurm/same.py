"""Whether two runs came out alike; exit code 1 when not.

same.py results RECIPE RECIPE         predictions and models to the byte, scores in all but what was measured
same.py model EXP EXP --processes 1 2   every parameter to 1e-5, the losses to 1e-5 of themselves
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ser.core.files import read_json

TOLERANCE = 1e-5  # sums over processes are in another order
MEASURED = {"seconds", "wall_seconds", "times_real_time", "peak_memory_mb"}  # no two runs share them


def without_measured(value: Any) -> Any:
    """A JSON value without speed, times and memory."""
    if isinstance(value, dict):
        return {name: without_measured(each) for name, each in value.items() if name not in MEASURED}
    return [without_measured(each) for each in value] if isinstance(value, list) else value


def outcomes(recipe: Path) -> dict[Path, Any]:
    """Path below the recipe -> what is compared."""
    exp, found = recipe / "exp", {}
    for name in ("pred.txt", "model.safetensors", "scores.json"):
        for path in exp.rglob(name):
            content = without_measured(read_json(path)) if path.suffix == ".json" else path.read_bytes()
            found[path.relative_to(recipe)] = content
    return found


def same_results(one: Path, two: Path) -> bool:
    """Whether two folders of a recipe hold the same predictions, models and scores."""
    first, second = outcomes(one), outcomes(two)
    differ = sorted(str(path) for path in first.keys() | second.keys() if first.get(path) != second.get(path))
    for path in differ:
        print(f"differs, or is there but once: {path}")
    print(f"{len(first)} files compared, {len(differ)} differ")
    return bool(first) and not differ


def same_model(one: Path, two: Path, processes: list[int]) -> bool:
    """Whether two experiments hold the same model, trained by so many processes each."""
    folders = [each / "seed0" / "fold0" for each in (one, two)]
    first, second = (load_file(folder / "model.safetensors") for folder in folders)
    fits = [read_json(folder / "fit.json") for folder in folders]
    found = [fit["processes"] for fit in fits]
    worst = max(float((first[name] - second[name]).abs().max()) for name in first)
    losses = [[epoch["train_loss"] for epoch in fit["curve"]] for fit in fits]
    apart = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    print(f"{found} processes: {len(first)} tensors differ by {worst:.1e} at most, losses by {apart:.1e}")
    return first.keys() == second.keys() and max(worst, apart) < TOLERANCE and found == processes


def main() -> int:
    """Exit code 0 when they are alike."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["results", "model"])
    parser.add_argument("folders", nargs=2, type=Path)
    parser.add_argument("--processes", nargs=2, type=int, default=[1, 1])
    options = parser.parse_args()
    if options.what == "results":
        return 0 if same_results(*options.folders) else 1
    return 0 if same_model(*options.folders, options.processes) else 1


if __name__ == "__main__":
    sys.exit(main())
