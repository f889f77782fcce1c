r"""What λ = 1 and centring leave of the gap, without the sampling noise of finite rows (page 11).

    MEASURED_ROOT=FOLDER python studies/residual_gap.py

FOLDER holds ``public_embeddings`` as for ``alignments_public.py``. A measured gap is never zero, because two means of finite rows
differ. This study cuts the pairs of a set into four parts at random and fits the alignment on the first and on the second. It
measures the remaining gap of the third part under the first fit and of the fourth under the second. Their noise is independent, so
the mean of their inner products over many cuts estimates the squared gap without bias, to leading order. It can be below
zero; then the gap counts as zero. Pairs with an equal image or text, or of one group, stay in one part.
"""

import numpy as np
import pandas as pd
from alignments import MOST, shipped
from alignments_public import INPUTS as PUBLIC_VECTORS
from alignments_public import public
from tqdm import tqdm

from helpers import gap_vector
from helpers.alignment.registry import make_alignment
from helpers.arrays import unit_both
from helpers.files import project_root, replacing
from helpers.separation import tied_groups

INPUTS = ["data/embeddings", *PUBLIC_VECTORS]
OUT = "data/measured/residual_gap.csv"
ALIGNMENTS = ("none", "lambda-0.5", "lambda-1", "centring")
CUTS, BLOCKS = 200, 20


def squared_gaps(image: np.ndarray, text: np.ndarray, tied: np.ndarray, cuts: int) -> dict[str, float]:
    """Return the mean unbiased estimate of the squared remaining gap over random cuts, for each alignment; ``tied`` are groups."""
    found = dict.fromkeys(ALIGNMENTS, 0.0)
    for cut in range(cuts):
        quarter = (np.random.default_rng([1, cut]).permutation(tied.max() + 1) % 4)[tied]
        for name in found:
            left = []
            for fit, held in ((0, 2), (1, 3)):
                alignment = make_alignment(name).fit(image[quarter == fit], text[quarter == fit])
                left.append(gap_vector(*alignment.transform(image[quarter == held], text[quarter == held])))
            found[name] += float(left[0] @ left[1]) / cuts
    return found


def remaining(image: np.ndarray, text: np.ndarray, groups: np.ndarray | None) -> pd.DataFrame:
    """Return the remaining gap of each alignment with its share of the gap and a 95 % interval from a jackknife over groups."""
    image, text = unit_both(image, text, pairs=True)
    rows = np.sort(np.random.default_rng(0).permutation(len(image))[:MOST])
    image, text = image[rows].astype(np.float64), text[rows].astype(np.float64)
    tied = tied_groups(image, text, None if groups is None else np.asarray(groups)[rows])
    whole = squared_gaps(image, text, tied, CUTS)
    block = (np.random.default_rng(2).permutation(tied.max() + 1) % BLOCKS)[tied]
    without = [squared_gaps(image[block != b], text[block != b], tied[block != b], CUTS // 4) for b in range(BLOCKS)]
    table = []
    for name, square in whole.items():
        values = np.array([one[name] for one in without])
        half = 1.959964 * np.sqrt((BLOCKS - 1) * values.var())
        low, gap, high = np.sqrt(np.maximum([square - half, square, square + half], 0))
        table.append((name, gap, low, high, gap / np.sqrt(whole["none"])))
    return pd.DataFrame(table, columns=["alignment", "gap", "low", "high", "share"])


if __name__ == "__main__":
    tables = []
    for identity, image, text, groups in tqdm([*public(), *shipped()], desc="remaining gap", unit="set"):
        about = dict(zip(("dataset", "variant", "backbone", "rows"), identity, strict=True)) | {"pairs": min(MOST, len(image))}
        tables.append(remaining(image, text, groups).assign(**about))
    whole = pd.concat(tables)
    with replacing(project_root() / OUT) as temporary:
        whole[[*about, *(c for c in whole if c not in about)]].to_csv(temporary, index=False, float_format="%.5f")
