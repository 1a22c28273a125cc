"""What a fold's model says of the speakers that chose it: exp/<tag>/seed<k>/fold<j>/validation/pred.scp.

Training writes it, since only training has the models: with ``inner_folds`` each utterance is predicted by
the model of the inner fold that has not learnt from it, as stacking wants it (Wolpert 1992). Fusion chooses
its weights on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ser.core.files import write_yaml
from ser.data.arks import ArkWriter

FOLDER = "validation"


def write_validated(
    fold: Path, classes: Sequence[str], attributes: Sequence[str], predictions: dict[str, np.ndarray]
) -> None:
    """Write columns.yaml and pred.ark/scp of the best epoch's validation predictions.

    Args:
        fold: exp/<tag>/seed<k>/fold<j>.
        classes: names of the first K columns.
        attributes: names of the A columns after them.
        predictions: utterance -> ``(K + A,)``, probabilities, then values in the labels' units.
    """
    (fold / FOLDER).mkdir(parents=True, exist_ok=True)
    write_yaml(fold / FOLDER / "columns.yaml", {"classes": list(classes), "attributes": list(attributes)})
    with ArkWriter(fold / FOLDER / "pred") as writer:
        for utterance in sorted(predictions):
            writer.write(utterance, predictions[utterance])
