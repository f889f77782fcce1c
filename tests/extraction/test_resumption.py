"""An extraction that was killed, divided into shards or run twice ends with the same bytes."""

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from photographs import content, synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract, images
from helpers.datasets.base import PairedDataset
from helpers.extraction import encoding
from helpers.extraction import inspection as inputs
from helpers.extraction.encoding import claimed
from helpers.files import sha256


class Slowly:
    """Preprocessing slow enough for a kill at any point."""

    def __call__(self, image):
        time.sleep(0.004)
        return np.array(image.resize((8, 8), Image.Resampling.BILINEAR))


def slow_extraction(dataset: PairedDataset, out: Path, workers: int = 0, shard: str | None = None):
    import torch

    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")
    tqdm.set_lock(threading.RLock())  # the inherited one is shared with the parent, and a killed process never gives it back
    encoding.CHUNK = 8
    backbone = linear_backbone()
    backbone.preprocess = Slowly()
    extract(dataset, backbone, out, batch_size=4, workers=workers, shard=shard)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, workers):
    dataset = synthetic_photographs(tmp_path, n=60, per_image=2)

    def start(out: str):
        run = multiprocessing.get_context("fork").Process(target=slow_extraction, args=(dataset, tmp_path / out, workers))
        run.start()
        return run

    whole = start("whole")
    whole.join(120)
    assert whole.exitcode == 0
    rng, kills = random.Random(workers), 0
    for finished_chunks in (0, 1, 3, 6, 9, 13):  # of 16, so that kills land in images, in texts and between
        run = start("set")
        while run.is_alive() and len(list((tmp_path / "set.work").glob("*.safetensors"))) < finished_chunks:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.03))
        if run.is_alive():
            os.kill(run.pid, signal.SIGKILL)
        run.join()
        kills += run.exitcode == -signal.SIGKILL
    assert kills >= 4
    last = start("set")
    last.join(120)
    assert last.exitcode == 0
    assert content(tmp_path / "set") == content(tmp_path / "whole")
    assert not (tmp_path / "set.work").exists()


def test_shards_joined_equal_one_run_and_a_damaged_or_missing_chunk_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 4)
    dataset = synthetic_photographs(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "whole", batch_size=2, workers=0)
    parts = [linear_backbone() for _ in range(3)]
    for number, backbone in enumerate(parts, start=1):
        assert extract(dataset, backbone, tmp_path / "set", batch_size=2, shard=f"{number}/3", workers=0) is None
    assert sum(b.seen["images"] for b in parts) == 20 and all(b.seen["images"] for b in parts)
    chunks = sorted((tmp_path / "set.work").glob("image-*.safetensors"))
    spoilt = bytearray(chunks[0].read_bytes())
    spoilt[-1] ^= 1
    chunks[0].write_bytes(bytes(spoilt))
    chunks[1].write_bytes(chunks[1].read_bytes()[:-5])
    chunks[2].unlink()
    last = linear_backbone()
    extract(dataset, last, tmp_path / "set", batch_size=2, workers=0)
    assert last.seen == {"images": 12, "texts": 0}
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_files_are_read_once_for_all_shards_and_again_when_they_change(tmp_path, monkeypatch):
    dataset, hashed = synthetic_photographs(tmp_path, n=8), []
    monkeypatch.setattr(images, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    for number in (1, 2):
        extract(dataset, linear_backbone(), tmp_path / "set", shard=f"{number}/2", workers=0)
    changed = tmp_path / "raw" / dataset.rows["image"][3]
    Image.new("RGB", (40, 30), "red").save(changed)
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert len(hashed) == 9 and hashed[-1] == changed.name
    extract(dataset, linear_backbone(), tmp_path / "whole", workers=0)
    assert content(tmp_path / "set") == content(tmp_path / "whole")
    hashed.clear()
    for shard in ("1/2", "2/2", None):  # all anew, as after a change of the code, though the set is whole
        extract(dataset, linear_backbone(), tmp_path / "set", shard=shard, workers=0)
    assert len(hashed) == 8 and not (tmp_path / "set.work").exists()


def test_an_inspection_that_is_cut_off_goes_on(tmp_path, monkeypatch):
    dataset, hashed = synthetic_photographs(tmp_path, n=8), []

    def cut_off(path):
        hashed.append(path)
        if path.name == "photo_006.jpg":
            raise KeyboardInterrupt
        return sha256(path)

    monkeypatch.setattr(inputs, "SECONDS_BETWEEN_NOTES", 0)
    monkeypatch.setattr(images, "sha256", cut_off)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    hashed.clear()
    monkeypatch.setattr(images, "sha256", lambda path: hashed.append(path) or sha256(path))
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert len(hashed) == 2


def test_what_a_run_killed_at_its_end_left_over_goes(tmp_path):
    dataset, backbone = synthetic_photographs(tmp_path), linear_backbone()
    extract(dataset, backbone, tmp_path / "set", workers=0)
    (tmp_path / "set.work").mkdir()
    extract(dataset, backbone, tmp_path / "set", workers=0)
    assert not (tmp_path / "set.work").exists()


def test_work_on_another_set_is_left_alone(tmp_path):
    dataset, first, second = synthetic_photographs(tmp_path), linear_backbone(), linear_backbone(seed=1)
    extract(dataset, first, tmp_path / "set", workers=0)
    extract(dataset, second, tmp_path / "set", shard="1/2", workers=0, overwrite=True)
    begun = sorted(path.name for path in (tmp_path / "set.work").glob("*.safetensors"))
    assert begun and extract(dataset, first, tmp_path / "set", workers=0)
    assert sorted(path.name for path in (tmp_path / "set.work").glob("*.safetensors")) == begun
    extract(dataset, second, tmp_path / "set", workers=0, overwrite=True)
    assert not (tmp_path / "set.work").exists()


def held(work: Path, ready, go):
    with claimed(work, (1, 2)):
        ready.set()
        go.wait(60)


def test_a_work_folder_that_a_process_holds_is_left_alone(tmp_path):
    fork, dataset = multiprocessing.get_context("fork"), synthetic_photographs(tmp_path)
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    ready, go = fork.Event(), fork.Event()
    run = fork.Process(target=held, args=(tmp_path / "set.work", ready, go))
    run.start()
    assert ready.wait(60)
    assert extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert (tmp_path / "set.work" / "lock-1").exists()
    go.set()
    run.join(60)
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert not (tmp_path / "set.work").exists()


def test_shards_at_once_do_not_disturb_each_other(tmp_path):
    fork = multiprocessing.get_context("fork")
    dataset, out = synthetic_photographs(tmp_path, n=60, per_image=2), tmp_path / "set"
    parts = [fork.Process(target=slow_extraction, args=(dataset, out, 0, f"{k}/3")) for k in (1, 2, 3)]
    for part in parts:
        part.start()
    for part in parts:
        part.join(120)
    assert [part.exitcode for part in parts] == [0, 0, 0]
    assert len(list((tmp_path / "set.work").glob("*.safetensors"))) == 8 + 8  # chunks of 60 images and 61 texts
    for folder in (tmp_path / "whole", out):
        run = fork.Process(target=slow_extraction, args=(dataset, folder))
        run.start()
        run.join(120)
        assert run.exitcode == 0
    assert content(out) == content(tmp_path / "whole") and not (tmp_path / "set.work").exists()


def measured(work: Path, record: Path, take: int):
    """Let a shard decide the batch size as on an accelerator, where trying takes a while."""
    backbone = linear_backbone()
    backbone.device = "cuda"
    encoding._largest_batch = lambda job: time.sleep(0.2) or take
    job = encoding.Job(None, backbone, work, "float32", 0)
    _, size = encoding.plan_chunks(job, pd.DataFrame({"image": ["a"], "text": ["b"]}), None)
    (record / str(take)).write_text(str(size))


def test_shards_that_start_together_agree_on_the_batch_size(tmp_path):
    work, record = tmp_path / "work", tmp_path / "sizes"
    work.mkdir(), record.mkdir()
    runs = [multiprocessing.get_context("fork").Process(target=measured, args=(work, record, take)) for take in (64, 128, 256)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert len({path.read_text() for path in record.iterdir()}) == 1 and len(list(record.iterdir())) == 3


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", (1, 2, 3)])
def test_shards_that_do_not_exist(shard, tmp_path):
    with pytest.raises(ValueError, match="shard"):
        extract(synthetic_photographs(tmp_path), linear_backbone(), tmp_path / "set", shard=shard)


def test_the_batch_size_of_the_first_run_is_kept(tmp_path):
    dataset = synthetic_photographs(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "set", batch_size=3, shard="1/2", workers=0)
    again = extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert again.provenance["batch_size"]["images"] == 3


def test_changing_one_image_costs_one_chunk_and_another_commit_of_the_encoder_none(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 4)
    dataset = synthetic_photographs(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "set", batch_size=2, shard="1/1", workers=0)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_009.jpg")
    backbone = linear_backbone()
    backbone.fingerprint["revision"] = "c" * 40
    extract(dataset, backbone, tmp_path / "set", workers=0)
    assert backbone.seen == {"images": 4, "texts": 0}


def test_two_processes_on_one_output(tmp_path):
    fork = multiprocessing.get_context("fork")
    dataset = synthetic_photographs(tmp_path, n=60, per_image=2)
    run = fork.Process(target=slow_extraction, args=(dataset, tmp_path / "set"))
    run.start()
    while not list((tmp_path / "set.work").glob("image-*.safetensors")):
        time.sleep(0.002)
    os.kill(run.pid, signal.SIGSTOP)
    for shard in (None, "1/2"):
        with pytest.raises(BlockingIOError, match="another process is extracting"):
            extract(dataset, linear_backbone(), tmp_path / "set", batch_size=4, shard=shard, workers=0)
    os.kill(run.pid, signal.SIGCONT)
    run.join(120)
    assert run.exitcode == 0 and EmbeddingSet.load(tmp_path / "set")
