"""Measure what every alignment closes and costs: the tables ``alignments_shipped``, ``alignments_public`` and ``alignments_tasks``.

python benchmarks/alignments.py                     every shipped embedding set
python benchmarks/alignments.py --tasks             tasks of their labels: ``data/measured/alignments_tasks.csv``
python benchmarks/alignments.py --public FOLDER     the vectors of real encoders that Liang et al. (2022) published

Of the shipped sets only validation and test rows count, because the heads of their encoders were trained on training rows. For
tasks, alignments and probes learn from the training rows and test rows judge. Tables are in ``data/measured``. The file is written
anew after each set, so that an interruption loses one set. ``--only`` measures some sets and leaves the rows of others there.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.extraction.prompts import prompt_vectors
from helpers.files import project_root, replacing
from helpers.recommend.comparison import compare_alignments, summarise
from helpers.recommend.tasks import compare_tasks
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
SIZES = (20, 100, 500)  # labelled rows, of sets that have more
DRAWS = 5  # of so few rows


def main() -> None:
    """Measure the sets that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, help="folder of clip.npy and its siblings; the shipped sets when not given")
    parser.add_argument("--tasks", action="store_true", help="tasks of the labels of the shipped sets")
    parser.add_argument("--only", nargs="+", metavar="DATASET/VARIANT/ENCODER", help="of the shipped sets; all when not given")
    args = parser.parse_args()
    folder = project_root() / "data/measured"
    if args.tasks:
        tables, out = tasks(args.only), folder / "alignments_tasks.csv"
    elif args.public:
        tables, out = (closing(*found) for found in public(args.public)), folder / "alignments_public.csv"
    else:
        tables, out = (closing(*found) for found in shipped(args.only)), folder / "alignments_shipped.csv"
    parts: list[pd.DataFrame] = []
    old = pd.read_csv(out) if args.only and out.is_file() else None
    for table in tables:
        if old is not None:
            old = old.merge(table[NAMES[:3]].drop_duplicates(), how="left", indicator=True)
            old = old[old.pop("_merge") == "left_only"]
        parts.append(table)
        result = pd.concat([*([] if old is None else [old]), *parts], ignore_index=True)
        with replacing(out) as temporary:
            result[NAMES + [c for c in result if c not in NAMES]].to_csv(temporary, index=False, float_format="%.5f")
        print(f"measured: {' '.join(table[NAMES[:3]].iloc[0])}", flush=True)
    print(f"written: {out}")


def closing(identity: tuple[str, ...], image: np.ndarray, text: np.ndarray, groups) -> pd.DataFrame:
    """Return what alignments close on one set of pairs, and its identity."""
    table = summarise(compare_alignments(image, text, groups, max_pairs=MOST))
    return table.assign(**dict(zip(NAMES, (*identity, min(MOST, len(image))), strict=True)))


def tasks(only: list[str] | None):
    """Yield what alignments do to the tasks of each shipped set, under two protocols."""
    for embeddings in shipped_sets(only):
        name = embeddings.identity
        prompts = prompt_vectors(name.dataset, name.backbone, embeddings.task.outputs)
        sizes = [size for size in SIZES if size < len(embeddings.rows("train"))]
        parts = [
            compare_tasks(embeddings, prompts=prompts, sizes=sizes, n_draws=DRAWS).assign(protocol="converged"),
            compare_tasks(embeddings, protocol="authors-code").assign(protocol="authors-code"),
        ]
        about = (name.dataset, name.variant, name.backbone, "test", len(embeddings.rows("test")))
        yield pd.concat(parts, ignore_index=True).assign(**dict(zip(NAMES, about, strict=True)))


def shipped_sets(only: list[str] | None):
    """Yield the shipped sets, or those named as DATASET/VARIANT/ENCODER."""
    for row in stored(project_root() / SHIPPED).itertuples():
        if not only or f"{row.dataset}/{row.variant}/{row.backbone}" in only:
            yield EmbeddingSet.load(row.path)


def shipped(only: list[str] | None):
    """Yield the identity, vectors and groups of the held-out rows of every shipped set."""
    for embeddings in shipped_sets(only):
        rows = np.concatenate([embeddings.rows("val"), embeddings.rows("test")])
        name = embeddings.identity
        identity = (name.dataset, name.variant, name.backbone, "validation and test")
        yield identity, embeddings.image_of(rows), embeddings.text_of(rows), embeddings.pairs["group"].to_numpy()[rows]


def public(folder: Path):
    """Yield the identity and vectors of the published pairs, which have no groups."""
    for name, (dataset, backbone) in PUBLIC.items():
        image, text = np.load(folder / f"{name}.npy", allow_pickle=False)
        yield (dataset, "public", backbone, "all"), image, text, None


if __name__ == "__main__":
    main()
