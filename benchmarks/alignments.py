"""Measure what every alignment closes and costs, and write the tables ``data/measured/alignments_*.csv``.

python benchmarks/alignments.py                     every shipped embedding set: ``alignments_shipped.csv``
python benchmarks/alignments.py --public FOLDER     encoders whose vectors Liang et al. published: ``alignments_public.csv``
python benchmarks/alignments.py --galleries         recall against the gallery, of either: ``alignments_galleries_*.csv``
python benchmarks/alignments.py --tasks             tasks of the labels of the shipped sets: ``alignments_tasks.csv``

Of the shipped sets only validation and test rows count, because the heads of their encoders were trained on training rows. For
tasks, alignments and probes learn from the training rows and test rows judge. The file is written anew after each set, so that an
interruption loses one set. ``--only`` measures some sets and leaves the rows of others there.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.extraction.prompts import prompts_of
from helpers.files import project_root, replacing
from helpers.recommend.comparison import compare_alignments, summarise
from helpers.recommend.galleries import FIT, SIZES, gallery_changes
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
LABELS = (20, 100, 500)  # labelled rows, of sets that have more
DRAWS = 5  # of so few rows


def main() -> None:
    """Measure the sets that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, help="folder of clip.npy and its siblings; the shipped sets when not given")
    parser.add_argument("--tasks", action="store_true", help="tasks of the labels of the shipped sets")
    parser.add_argument("--galleries", action="store_true", help="recall against the size of the gallery")
    parser.add_argument("--only", nargs="+", metavar="DATASET/VARIANT/ENCODER", help="of the shipped sets; all when not given")
    args = parser.parse_args()
    folder = project_root() / "data/measured"
    if args.tasks:
        tables, out = tasks(args.only), folder / "alignments_tasks.csv"
    else:
        pairs, of = (public(args.public), "public") if args.public else (shipped(args.only), "shipped")
        tables, name = (galleries(pairs), f"galleries_{of}") if args.galleries else (closing(pairs), of)
        out = folder / f"alignments_{name}.csv"
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


def closing(sets):
    """Yield what alignments close on each set of pairs."""
    for identity, image, text, groups in sets:
        yield named(summarise(compare_alignments(image, text, groups, max_pairs=MOST)), identity, min(MOST, len(image)))


def galleries(sets):
    """Yield recall against the size of the gallery of each set that has pairs for two sizes or more."""
    for identity, image, text, groups in sets:
        if len(image) < FIT + SIZES[1]:
            print(f"too few pairs for galleries: {' '.join(identity[:3])}, {len(image)}", flush=True)
            continue
        yield named(gallery_changes(image, text, groups), identity, len(image))


def named(table: pd.DataFrame, identity: tuple[str, ...], pairs: int) -> pd.DataFrame:
    """Return a table with the identity of its set and its number of pairs."""
    return table.assign(**dict(zip(NAMES, (*identity, pairs), strict=True)))


def tasks(only: list[str] | None):
    """Yield what alignments do to the tasks of each shipped set, under two protocols."""
    for embeddings in shipped_sets(only):
        name = embeddings.identity
        prompts = prompts_of(embeddings)
        sizes = [size for size in LABELS if size < len(embeddings.rows("train"))]
        parts = [
            compare_tasks(embeddings, prompts=prompts, sizes=sizes, n_draws=DRAWS).assign(protocol="converged"),
            compare_tasks(embeddings, protocol="authors-code").assign(protocol="authors-code"),
        ]
        identity = (name.dataset, name.variant, name.backbone, "test")
        yield named(pd.concat(parts, ignore_index=True), identity, len(embeddings.rows("test")))


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
