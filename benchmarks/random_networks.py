"""Eq. 3 and 4 on networks with random weights: ``data/measured/random_networks.csv``.

    python benchmarks/random_networks.py --root FOLDER     needs images: FOLDER/ham10000 and FOLDER/flickr8k

Networks are the towers of open_clip's ViT-B/32 and perceptrons by activation and depth. Perceptrons see pixels (32 x 32, so that
the mean colour and the coarse layout remain), the stored features of the locked towers, and these with each data set's mean
subtracted.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.datasets import load_dataset
from helpers.files import project_root, replacing
from helpers.heads import shipped_features
from helpers.images import decode
from helpers.initialisation.networks import ACTIVATIONS, encoder_outputs
from helpers.initialisation.study import centred, compare_outputs, in_order, mlp_study

OUT = project_root() / "data/measured/random_networks.csv"
SETS = {"medical": ("ham10000", "clean"), "natural": ("flickr8k", "common")}
PIXELS = 32


def sample(root: Path, items: int) -> dict[str, pd.DataFrame]:
    """Return so many random rows of the medical and of the natural data set, the same ones always."""
    found = {}
    for kind, (dataset, variant) in SETS.items():
        rows = load_dataset(dataset, root / dataset, variant, missing_images="drop").rows
        found[kind] = rows.sample(items, random_state=0).assign(file=lambda t, d=dataset: [root / d / p for p in t["image"]])
    return found


def encoders(images: dict[str, list], texts: dict[str, list[str]], networks: int, device: str) -> pd.DataFrame:
    """Compare both towers of random encoders on medical and natural data."""
    names, sizes = list(SETS), np.cumsum([len(images[kind]) for kind in SETS])[:-1]
    runs = encoder_outputs(sum(images.values(), []), sum(texts.values(), []), range(networks), device=device)
    stacked: list[list[np.ndarray]] = [[], []]
    for k, towers in enumerate(runs):
        for tower, outputs in zip(stacked, towers, strict=True):
            tower.append(outputs)
        print(f"initialisation {k + 1} of {networks}", flush=True)
    frames = []
    for what, tower in zip(("images", "texts"), stacked, strict=True):
        medical, natural = np.split(np.stack(tower), sizes, axis=1)
        name = "ViT-B/32" if what == "images" else "text transformer"
        about = {"inputs": what, "network": name, "depth": 12, "networks": networks, "items": len(medical[0]) + len(natural[0])}
        frames.append(compare_outputs(medical, natural).assign(**about))
    assert names == ["medical", "natural"]
    return in_order(pd.concat(frames, ignore_index=True))


def perceptron_inputs(images: dict[str, list], rows: dict[str, pd.DataFrame]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what perceptrons see, by name: pixels and features of the same items, and features without their mean."""
    pixels = {k: np.stack([np.asarray(i.resize((PIXELS, PIXELS)), dtype=np.float64).ravel() for i in v]) for k, v in images.items()}
    features: dict[str, list[np.ndarray]] = {"image features": [], "text features": []}
    for kind, (dataset, variant) in SETS.items():
        stored = shipped_features(dataset)
        own = stored.captions[(stored.captions["variant"] == variant) & (stored.captions["caption"] == 0)].set_index("pair_id")
        own = own.loc[rows[kind]["pair_id"]]
        features["image features"].append(stored.image[own["image"]])
        features["text features"].append(stored.text[own["text"]])
    pairs = {"pixels": (pixels["medical"], pixels["natural"])} | {name: (x[0], x[1]) for name, x in features.items()}
    return pairs | {f"{name}, centred": centred(pairs[name]) for name in ("pixels", "image features", "text features")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds ham10000 and flickr8k with their images")
    parser.add_argument("--networks", type=int, default=10, help="initialisations of each network")
    parser.add_argument("--items", type=int, default=64, help="images, and texts, of each data set")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="hidden layers of the perceptrons")
    parser.add_argument("--device", default="cpu", help="torch device of the encoders")
    args = parser.parse_args()
    rows = sample(args.root, args.items)
    images = {kind: [decode(path) for path in table["file"]] for kind, table in rows.items()}
    perceptrons = mlp_study(perceptron_inputs(images, rows), list(ACTIVATIONS), args.depths, args.networks)
    print("perceptrons measured", flush=True)
    towers = encoders(images, {kind: list(table["text"]) for kind, table in rows.items()}, args.networks, args.device)
    with replacing(OUT) as temporary:
        pd.concat([towers, perceptrons], ignore_index=True).to_csv(temporary, index=False, float_format="%.5g")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
