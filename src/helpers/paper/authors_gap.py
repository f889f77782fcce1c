"""Bound the modality gap by the authors' own two-dimensional projections of CLIP embeddings, as plotted in their repository."""

import numpy as np
import pandas as pd

from ..published import authors_pca, datasets

DIGITS = 0.000005  # half a unit of the fifth decimal, the last one of means and variances


def gap_bounds(pca: pd.DataFrame | None = None) -> pd.DataFrame:
    r"""Return the least and the greatest norm of the gap that two principal components allow, one row per data set and lambda.

    PC1 is an eigenvector of the pooled covariance :math:`C = W + \Delta\Delta^\top/4`, with W the mean covariance within a
    modality. For a unit vector u orthogonal to it, :math:`u^\top\Delta = -4\, u^\top W e_1 / a` with a the gap along PC1. So the
    part of the gap outside PC1 is at most :math:`4\sqrt{W_{11}\lambda_2}/|a|`. It is also at most
    :math:`2\sqrt{\lambda_2}`, because no direction orthogonal to PC1 carries more variance than PC2. The smaller of the two
    counts. The gap within the plane is the lower bound.

    Args:
        pca: rows of :func:`helpers.published.authors_pca`; all of them when None.

    Returns:
        dataset, domain, backbone, lambda, low, high (norm of the gap), cosine_low (least absolute cosine of gap and PC1).
    """
    pca = authors_pca() if pca is None else pca
    domain = datasets().set_index("dataset")["domain"]
    rows = []
    for (dataset, backbone, lam), pair in pca.groupby(["dataset", "backbone", "lambda"]):
        image, text = (pair[pair["modality"] == modality].iloc[0] for modality in ("image", "text"))
        along, across = abs(image["mean_pc1"] - text["mean_pc1"]), abs(image["mean_pc2"] - text["mean_pc2"])
        within = (image["var_pc1"] + text["var_pc1"]) / 2 + DIGITS
        second = (image["var_pc2"] + text["var_pc2"]) / 2 + (across / 2 + DIGITS) ** 2 + DIGITS
        outside = min(4 * np.sqrt(within * second) / max(along - 2 * DIGITS, DIGITS), 2 * np.sqrt(second))
        low = np.hypot(max(along - 2 * DIGITS, 0), max(across - 2 * DIGITS, 0))
        cosine = along / np.hypot(along, outside)
        rows.append((dataset, domain[dataset], backbone, lam, low, np.hypot(along + 2 * DIGITS, outside), cosine))
    return pd.DataFrame(rows, columns=["dataset", "domain", "backbone", "lambda", "low", "high", "cosine_low"])
