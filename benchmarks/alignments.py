"""Measure what every alignment closes and costs: ``data/measured/alignments_shipped.csv`` and ``alignments_public.csv``.

python benchmarks/alignments.py                     every shipped embedding set
python benchmarks/alignments.py --public FOLDER     the vectors of real encoders that Liang et al. (2022) published

Of the shipped sets only validation and test rows count, because the heads of their encoders were trained on training rows. The file
is written anew after each set, so that an interruption loses one set.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.files import project_root, replacing
from helpers.recommend.comparison import compare_alignments, summarise
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet

PUBLIC = {
    "clip": ("MS COCO val2017", "CLIP ViT-B/16"),
    "convirt": ("chest radiographs", "ConVIRT"),
    "videoclip": ("MSR-VTT", "VideoCLIP"),
    "clasp": ("protein sequences", "CLASP"),
}
NAMES = ["dataset", "variant", "backbone", "rows", "pairs"]
MOST = 1000  # pairs of a set that are measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, help="folder of clip.npy and its siblings; the shipped sets when not given")
    folder = parser.parse_args().public
    out = project_root() / "data/measured" / ("alignments_shipped.csv" if folder is None else "alignments_public.csv")
    tables = []
    for identity, image, text, groups in shipped() if folder is None else public(folder):
        table = summarise(compare_alignments(image, text, groups, max_pairs=MOST))
        tables.append(table.assign(**dict(zip(NAMES, (*identity, min(MOST, len(image))), strict=True))))
        result = pd.concat(tables, ignore_index=True)
        with replacing(out) as temporary:
            result[NAMES + [c for c in result if c not in NAMES]].to_csv(temporary, index=False, float_format="%.5f")
        print(f"measured: {identity}", flush=True)
    print(f"written: {out}")


def shipped():
    """Yield the identity, vectors and groups of the held-out rows of every shipped set."""
    for row in stored(project_root() / SHIPPED).itertuples():
        embeddings = EmbeddingSet.load(row.path)
        rows = np.concatenate([embeddings.rows("val"), embeddings.rows("test")])
        identity = (row.dataset, row.variant, row.backbone, "validation and test")
        yield identity, embeddings.image_of(rows), embeddings.text_of(rows), embeddings.pairs["group"].to_numpy()[rows]


def public(folder: Path):
    """Yield the identity and vectors of the published pairs, which have no groups."""
    for name, (dataset, backbone) in PUBLIC.items():
        image, text = np.load(folder / f"{name}.npy", allow_pickle=False)
        yield (dataset, "public", backbone, "all"), image, text, None


if __name__ == "__main__":
    main()
