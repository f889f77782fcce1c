"""``heads features`` and ``heads train``: compute the tower features of a data set, and train projection heads on them."""

import json
import shlex
from pathlib import Path

from ..arrays import choose
from ..datasets import DATASETS, load_dataset
from ..datasets.registry import canonical_variant, dataset_root
from ..files import project_root
from ..heads import LEARNED, SHIPPED, Settings, TowerFeatures, shipped_features, tower_features, train


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=("features", "train"), help="store tower features, or train heads on them")
    parser.add_argument("dataset", help="name of the data set; `datasets` lists them")
    parser.add_argument("--name", help="train: of the encoder, such as lit-derm")
    parser.add_argument("--root", help="folder of the data set; train reads the stored features if not given")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or drop its row")
    parser.add_argument("--features", help="folder of stored features; data/features if not given")
    parser.add_argument("--variant", default="clean", help="train: clean or authors")
    parser.add_argument("--temperature", type=_temperature, default=Settings.temperature, help="a fixed value, or learned")
    parser.add_argument("--rate", type=float, default=Settings.rate, help="of AdamW")
    parser.add_argument("--epochs", type=int, default=Settings.epochs, help="passes over the training images")
    parser.add_argument(
        "--random-state",
        "--seed",
        type=int,
        default=Settings.random_state,
        help="of weights and batches; equal numbers give equal heads",
    )
    parser.add_argument("--out", help="folder; data/features or data/heads if not given")


def run(args) -> int:
    """Store tower features, or train heads and print their measures."""
    choose(args.dataset, DATASETS, "data set")
    if args.action == "features":
        out = (project_root() / SHIPPED if args.out is None else Path(args.out)) / args.dataset
        print(_features_of_all_variants(args).save(out))
        return 0
    settings = Settings(args.temperature, args.rate, args.epochs, args.random_state)
    if args.name is None:
        raise ValueError("--name is missing; name the encoder to train, such as --name lit-derm")
    features = shipped_features(args.dataset, args.features) if args.root is None else _features_of_all_variants(args)
    variant = canonical_variant(args.dataset, args.variant)
    record = train(features, variant, args.name, args.out, settings, _command("train", args, variant))
    print(json.dumps(record["held_out"], indent=2))
    return 0


def _features_of_all_variants(args) -> TowerFeatures:
    """Return tower features of the images and texts of all variants of a data set, under a split that they share."""
    root = dataset_root(args.root, args.dataset)
    entry = DATASETS[args.dataset]
    variants = sorted(entry.variants, reverse=True)
    shared = [split for split in entry.splits[variants[0]] if all(split in entry.splits[v] for v in variants)]
    if not shared:
        raise ValueError(f"the variants of {args.dataset} share no split; features need one")
    loaded = [load_dataset(args.dataset, root, v, shared[0], missing_images=args.missing_images) for v in variants]
    return tower_features(loaded, _command("features", args, None))


def _command(action: str, args, variant: str | None) -> str:
    """Return the command that makes the same file again; ROOT replaces folders of this machine."""
    words = ["python", "-m", "helpers", "heads", action, args.dataset]
    if action == "train":
        words += ["--name", args.name, "--variant", variant, "--temperature", str(args.temperature), "--rate", str(args.rate)]
        words += ["--epochs", str(args.epochs), "--seed", str(args.random_state)]
    if args.root is not None:
        words += ["--root", "ROOT"] + (["--missing-images", args.missing_images] if args.missing_images else [])
    return shlex.join(words)


def _temperature(text: str) -> float | str:
    return text if text == LEARNED else float(text)
