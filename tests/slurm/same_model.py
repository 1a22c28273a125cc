"""Whether two experiments hold the same model: ``same_model.py EXP EXP [--processes 1 2]``.

Every parameter to 1e-5, the training loss to 1e-5 of itself; ``--processes`` is how many trained each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import load_file

from ser.core.files import read_json

TOLERANCE = 1e-5  # sums over processes are in another order


def main() -> int:
    """Exit code 0 when they are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs=2, type=Path)
    parser.add_argument("--processes", nargs=2, type=int)
    options = parser.parse_args()
    folders = [each / "seed0" / "fold0" for each in options.experiments]
    one, two = (load_file(folder / "model.safetensors") for folder in folders)
    fits = [read_json(folder / "fit.json") for folder in folders]
    worst = max(float((one[name] - two[name]).abs().max()) for name in one)
    losses = [[epoch["train_loss"] for epoch in fit["curve"]] for fit in fits]
    apart = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    print(f"{len(one)} tensors differ by {worst:.1e} at most, the losses by {apart:.1e} of themselves")
    same = one.keys() == two.keys() and worst < TOLERANCE and apart < TOLERANCE
    if options.processes:
        same = same and [fit["processes"] for fit in fits] == options.processes
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
