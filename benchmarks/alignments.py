"""Measure what every alignment closes and costs: ``data/measured/alignments.csv`` and ``alignments_public.csv``.

python benchmarks/alignments.py                     every shipped embedding set
python benchmarks/alignments.py --public FOLDER     clip.npy and convirt.npy, as Liang et al. (2022) published them
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.files import project_root, replacing
from helpers.recommend.comparison import compare_alignments, summarise
from helpers.store.catalogue import stored
from helpers.store.embeddings import EmbeddingSet

PUBLIC = {"clip": ("MS COCO val2017", "CLIP ViT-B/16"), "convirt": ("chest radiographs", "ConVIRT")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, help="folder of clip.npy and convirt.npy; the shipped sets when not given")
    folder = parser.parse_args().public
    sets = shipped() if folder is None else public(folder)
    tables = []
    for (dataset, variant, backbone), image, text, groups in sets:
        table = summarise(compare_alignments(image, text, groups))
        tables.append(table.assign(dataset=dataset, variant=variant, backbone=backbone, pairs=min(1000, len(image))))
        print(f"measured: {dataset} {variant} {backbone}", flush=True)
    result = pd.concat(tables, ignore_index=True)
    names = ["dataset", "variant", "backbone", "pairs"]
    out = project_root() / "data/measured" / ("alignments.csv" if folder is None else "alignments_public.csv")
    with replacing(out) as temporary:
        result[names + [c for c in result if c not in names]].to_csv(temporary, index=False, float_format="%.5f")
    print(f"written: {out}")


def shipped():
    """Yield the identity, vectors and groups of every shipped set."""
    for row in stored(project_root() / "data/embeddings").itertuples():
        embeddings = EmbeddingSet.load(row.path)
        yield (row.dataset, row.variant, row.backbone), embeddings.image_of(), embeddings.text_of(), embeddings.pairs["group"]


def public(folder: Path):
    """Yield the identity and vectors of the published pairs, which have no groups."""
    for name, (dataset, backbone) in PUBLIC.items():
        image, text = np.load(folder / f"{name}.npy")
        yield (dataset, "public", backbone), image, text, None


if __name__ == "__main__":
    main()
