"""``heads train``: the projection heads of the small dual encoders."""

import json
from pathlib import PurePosixPath

from ..datasets import flickr8k, load_dataset
from ..datasets.registry import dataset_root
from ..extraction.heads import train


def add_arguments(parser) -> None:
    parser.add_argument("action", choices=("train",), help="the one action there is")
    parser.add_argument("dataset", help="name of the data set; `datasets` lists them")
    parser.add_argument("--name", required=True, help="of the encoder, such as lit-derm")
    parser.add_argument("--root", help="folder of the data set")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or drop its row")
    parser.add_argument("--all-captions", action="store_true", help="Flickr8k: draw among all five captions of a photograph")
    parser.add_argument("--out", help="folder; data/heads if not given")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches; equal numbers give equal heads")


def run(args) -> int:

    root = dataset_root(args.root, args.dataset)
    dataset = load_dataset(args.dataset, root, args.variant, missing_images=args.missing_images)
    record = train(dataset, args.name, args.out, _captions(dataset) if args.all_captions else None, seed=args.seed)
    print(json.dumps(record["held_out"], indent=2))
    return 0


def _captions(dataset):
    """All captions of the photographs of a Flickr8k data set, as pair_id and text."""

    if dataset.name != "flickr8k":
        raise ValueError(f"--all-captions is for flickr8k, got {dataset.name}; leave it out")
    ids = dict(zip(dataset.rows["image"].map(lambda path: PurePosixPath(path).name), dataset.rows["pair_id"], strict=True))
    table = flickr8k.captions(dataset.root)
    table = table[table["image"].isin(ids)]
    return table.assign(pair_id=table["image"].map(ids), text=table["caption"])[["pair_id", "text"]]
