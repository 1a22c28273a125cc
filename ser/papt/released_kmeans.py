"""k-means models of other projects, which are pickles, turned into centroids in safetensors."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.papt.kmeans import KMeans


def read_pickled_kmeans(path: Path, allow_pickle: bool) -> KMeans:
    """Read scikit-learn's k-means from joblib's pickle, which is how fairseq's HuBERT has them.

    Args:
        path: the file, ``hubert_base_ls960_L9_km500.bin`` or the like.
        allow_pickle: the user's word that its code may run.

    Raises:
        UserError: without that word, no such file, or no k-means in it.
    """
    if not path.is_file():
        raise UserError("no such file", file=path)
    if not allow_pickle:
        raise UserError(
            "not read: it is a pickle, and reading one runs whatever code its maker put in",
            file=path, hint="Give --allow-pickle if you trust where it comes from",
        )  # fmt: skip

    import joblib

    try:
        with warnings.catch_warnings():
            # scikit-learn warns of its own older releases; the centroids are a plain array in all of them.
            warnings.simplefilter("ignore")
            model = joblib.load(path)
        centroids = np.ascontiguousarray(model.cluster_centers_, np.float32)
    except Exception as error:  # unpickling raises whatever the bytes make it
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise UserError("no k-means model of scikit-learn", file=path, value=reason) from None
    if centroids.ndim != 2 or not centroids.size or not np.isfinite(centroids).all():
        raise UserError("its centroids are no finite matrix", file=path, value=centroids.shape)
    return KMeans(centroids)
