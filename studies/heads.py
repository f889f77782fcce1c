"""Make the tower features and the heads of the test bench that the repository ships (`data/features`, `data/heads`).

    python studies/heads.py features DATASET --root FOLDER      features of all images and texts in the two frozen towers
    python studies/heads.py train DATASET --name NAME           heads of an encoder, trained on the stored features

A record beside each result quotes the command that made it.
"""

import argparse
import json
import shlex
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch
from gap_study import held_out_measures
from head_training import BATCH, LEARNED, Settings, training_path
from safetensors.numpy import save
from tqdm import tqdm

from helpers.arrays import choose
from helpers.backbones.base import IMAGES_PER_BATCH, TEXTS_PER_BATCH
from helpers.backbones.lit import IMAGE_WIDTH, PREPROCESSING, TEXT_WIDTH, load_tokenizer, pixels, towers
from helpers.backbones.registry import HEADS
from helpers.datasets import DATASETS, PairedDataset, canonical_variant, load_dataset
from helpers.datasets.natural import captions
from helpers.datasets.registry import dataset_root
from helpers.extraction.encoding import image_batches
from helpers.files import below, project_root, replacing, replacing_folder, save_arrays, sha256
from helpers.schemas import CAPTIONS
from helpers.store.disk import read_record, write_record
from helpers.tower_features import FILES, PROVENANCE, TOWER_FEATURES, TowerFeatures, shipped_features


def features_of_all_variants(dataset: str, root=None, missing_images: str | None = None, command: str = "") -> TowerFeatures:
    """Return the features of all variants of a data set under the first split that they share."""
    splits = DATASETS[choose(dataset, DATASETS, "data set")].card.splits
    first, *others = sorted(splits, reverse=True)
    split = next((s for s in splits[first] if all(s in splits[other] for other in others)), None)
    if split is None:
        raise ValueError(f"the variants of {dataset} share no split; features need one")
    root = dataset_root(root, dataset)
    return tower_features([load_dataset(dataset, root, v, split, missing_images) for v in (first, *others)], command)


def tower_features(variants: list[PairedDataset], command: str = "") -> TowerFeatures:
    """Return the features of every image and every distinct text of a data set, rounded to half precision as in storage.

    Args:
        variants: the data set in each of its variants, over the same images; Flickr8k adds all captions of a photograph.
        command: command that makes the features again, for the record.
    """
    started, first = time.time(), variants[0]
    number = {path: i for i, path in enumerate(first.rows["image"])}
    texts = pd.concat([_captions(one, number) for one in variants], ignore_index=True)
    texts["text"], distinct = pd.factorize(texts["sentence"])
    image, text = _image_features([Path(first.root) / path for path in number]), _text_features(list(distinct))
    record = {
        "dataset": first.name,
        "licence": first.card.licence,
        "card": {"title": first.card.title, "source": first.card.source, "citation": first.card.citation},
        "holds": "features, pair ids, row numbers and splits; no image and no text",
        "towers": {"image": "EfficientNet-Lite0 (ImageNet)", "text": "all-MiniLM-L6-v2, mean pooled", "hashes": towers("cpu")[2]},
        "preprocessing": PREPROCESSING,
        "counts": {"images": len(image), "texts": len(text)},
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "pillow", "numpy")},
        "run": {"command": command, "seconds": round(time.time() - started, 1)},
    }
    image, text = (features.astype(np.float16).astype(np.float32) for features in (image, text))
    return TowerFeatures(image, text, texts[list(CAPTIONS)], record)


def _captions(dataset: PairedDataset, number: dict[str, int]) -> pd.DataFrame:
    """Return the texts of one variant and the image of each; the data set's own text is caption 0."""
    rows = dataset.rows.rename(columns={"text": "sentence"})
    if sorted(rows["image"]) != sorted(number):
        what = f"{dataset.name} {dataset.variant} has several rows an image, or other images than the first variant"
        raise ValueError(f"{what}; give variants with one row for each of the same images")
    rows = rows.assign(variant=dataset.variant, image=rows["image"].map(number), caption=0)
    if dataset.name != "flickr8k":
        return rows
    all_captions = captions(dataset.root).rename(columns={"image": "file", "caption": "sentence"})
    files = dataset.rows["image"].map(lambda path: PurePosixPath(path).name)
    several = rows.drop(columns=["sentence", "caption"]).assign(file=files).merge(all_captions, on="file")
    return several.assign(caption=several.groupby("image").cumcount())


def _image_features(files: list[Path]) -> np.ndarray:
    encode = towers("cpu")[0]
    batches = [list(range(i, min(i + IMAGES_PER_BATCH, len(files)))) for i in range(0, len(files), IMAGES_PER_BATCH)]
    features = np.empty((len(files), IMAGE_WIDTH), dtype=np.float32)
    with torch.inference_mode(), tqdm(total=len(files), desc="image features", unit="image", mininterval=1) as bar:
        for numbers, batch, reasons in image_batches(files, pixels, batches):
            for row, why in reasons.items():
                raise ValueError(f"row {row}: {why}; repair the image or exclude the row")
            features[numbers] = encode(batch).numpy()
            bar.update(len(numbers))
    return features


def _text_features(texts: list[str]) -> np.ndarray:
    encode, ids = towers("cpu")[1], load_tokenizer("towers").ids(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of similar length share a batch
    features = np.empty((len(texts), TEXT_WIDTH), dtype=np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(order), TEXTS_PER_BATCH), desc="text features", unit="batch", mininterval=1):
            batch = order[start : start + TEXTS_PER_BATCH]
            rows = [torch.tensor(ids[i]) for i in batch]
            padded, mask = (
                torch.nn.utils.rnn.pad_sequence(x, batch_first=True) for x in (rows, [torch.ones_like(r) for r in rows])
            )
            features[batch] = encode(padded, mask).numpy()
    return features


def save_features(features: TowerFeatures, directory) -> Path:
    """Write features in float16, atomically and checksummed; refuse a folder that holds something else."""
    with replacing_folder(Path(directory), PROVENANCE, FILES, "tower features") as folder:
        for modality in ("image", "text"):
            save_arrays(folder / f"{modality}.safetensors", {"features": getattr(features, modality).astype(np.float16)})
        features.captions.to_parquet(folder / "captions.parquet", index=False)
        write_record(folder / PROVENANCE, {**features.provenance, "format": 2, "dtype": "float16"}, FILES)
    return Path(directory)


def train(features: TowerFeatures, variant: str, name: str, out=None, settings: Settings | None = None, command: str = "") -> dict:
    """Train heads on the training rows and write ``<out>/<name>.safetensors`` and its record, which is returned.

    Args:
        features: tower features of the data set; its test rows measure geometry and ``recall@10`` alone.
        name: name of the encoder, such as ``lit-natural``.
        out: folder; ``data/heads`` when None.
        command: command that trains the same heads again, for the record.
    """
    started, settings = time.time(), settings or Settings()
    pairs, held_out = features.pairs(variant, "train"), features.pairs(variant, "test")
    dataset = features.provenance["dataset"]
    if len(pairs) < 2 or not len(held_out):
        raise ValueError(f"{dataset} has {len(pairs)} training and {len(held_out)} test images; heads need at least 2 and 1")
    losses = []
    for heads in training_path(pairs, settings):
        losses.append(heads.loss)
    path = below(HEADS if out is None else Path(out), f"{name}.safetensors")
    beside = path.with_suffix(".json")
    with replacing(path, is_ours=lambda _: read_record(beside, dict, "")["run"]["command"] == command) as temporary:
        temporary.write_bytes(save({m: getattr(heads, m).astype(np.float16) for m in ("image", "text")}))
    record = {
        "name": name,
        "trained_on": {"dataset": dataset, "variant": variant, "pairs": len(pairs), "texts": sum(map(len, pairs.choices))},
        "towers": features.provenance["towers"],
        "preprocessing": PREPROCESSING,
        "objective": {
            "loss": "InfoNCE, both directions, equal texts are positives of each other",
            "optimizer": "AdamW",
            "batch_size": BATCH,
            **asdict(settings),
            "temperature_fixed": settings.temperature != LEARNED,
            "temperature": round(heads.temperature, 6),
            "loss_first_last_epoch": [round(losses[1], 6), round(losses[-1], 6)],
        },
        "held_out": held_out_measures(heads, held_out),
        "run": {"command": command, "seconds": round(time.time() - started, 1), "threads": torch.get_num_threads()},
    }
    write_record(beside, {**record, "sha256": sha256(path)})
    return record


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    default = Settings()
    for action in (actions.add_parser("features", help="store tower features"), actions.add_parser("train", help="train heads")):
        action.add_argument("dataset", choices=list(DATASETS))
        action.add_argument("--root", help="folder of the data set; train reads the stored features without it")
        action.add_argument("--missing-images", choices=["error", "drop"], help="stop at a missing image, or drop its row")
        action.add_argument("--out", help="folder; data/features or data/heads")
    action.add_argument("--name", required=True, help="of the encoder, such as lit-derm")
    action.add_argument("--features", help="folder of stored features; data/features")
    action.add_argument("--variant", default="clean", help="clean or authors")
    action.add_argument("--temperature", default=str(default.temperature), help="a fixed value, or `learned`")
    action.add_argument("--rate", type=float, default=default.rate, help="learning rate of AdamW")
    action.add_argument("--epochs", type=int, default=default.epochs, help="passes over the training images")
    action.add_argument("--seed", type=int, default=default.random_state, help="of weights and batches")
    given = parser.parse_args(arguments)
    try:
        {"features": make_features, "train": make_heads}[given.action](given)
    except (OSError, ValueError) as error:
        parser.exit(2, f"error: {error}\n")


def made(given: argparse.Namespace, *options: str) -> str:
    """Return the command that makes a result again; ROOT replaces a folder of this machine."""
    root = [] if given.root is None else ["--root", "ROOT"]
    missing = ["--missing-images", given.missing_images] if given.root and given.missing_images else []
    return shlex.join(["python", "studies/heads.py", given.action, given.dataset, *options, *root, *missing])


def make_features(given: argparse.Namespace) -> None:
    found = features_of_all_variants(given.dataset, given.root, given.missing_images, made(given))
    print(save_features(found, (Path(given.out) if given.out else project_root() / TOWER_FEATURES) / given.dataset))


def make_heads(given: argparse.Namespace) -> None:
    towers = shipped_features(given.dataset, given.features) if given.root is None else None
    towers = towers or features_of_all_variants(given.dataset, given.root, given.missing_images)
    temperature = given.temperature if given.temperature == LEARNED else float(given.temperature)
    settings = Settings(temperature, given.rate, given.epochs, given.seed)
    variant = canonical_variant(given.dataset, given.variant)
    options = ["--name", given.name, "--variant", variant, "--temperature", given.temperature, "--rate", str(given.rate)]
    command = made(given, *options, "--epochs", str(given.epochs), "--seed", str(given.seed))
    print(json.dumps(train(towers, variant, given.name, given.out, settings, command)["held_out"], indent=2))


if __name__ == "__main__":
    main()
