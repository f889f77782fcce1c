"""An extraction that was killed, divided into shards or run twice ends with the same bytes."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch
from photographs import content, in_processes, synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract, images
from helpers.extraction import encoding
from helpers.files import sha256


def extraction(dataset, out: Path, workers: int = 0, shard: str | None = None, chunks: int | None = None):
    """Extract in small chunks; with ``chunks``, be killed after having written so many."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")
    tqdm.set_lock(threading.RLock())  # the inherited one is shared with the parent, and a killed process never gives it back
    encoding.CHUNK, write, written = 8, encoding.write_arrays, []

    def write_or_die(*arguments):
        if len(written) == chunks:
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(write(*arguments))

    encoding.write_arrays = write_or_die
    extract(dataset, linear_backbone(), out, batch_size=4, workers=workers, shard=shard)


@pytest.mark.parametrize(("workers", "kills"), [(0, (0, 1, 2, 3, 4, 5)), (2, (2, 7))])  # of 16 chunks: images, texts, between
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, workers, kills):
    dataset, finished = synthetic_photographs(tmp_path, n=60, per_image=2), 0
    assert in_processes(extraction, (dataset, tmp_path / "whole", workers)) == [0]
    for chunks in kills:
        assert in_processes(extraction, (dataset, tmp_path / "set", workers, None, chunks)) == [-signal.SIGKILL]
        finished += chunks
        assert len(list((tmp_path / "set.work").glob("*.safetensors"))) == finished
    assert in_processes(extraction, (dataset, tmp_path / "set", workers)) == [0]
    assert content(tmp_path / "set") == content(tmp_path / "whole") and not (tmp_path / "set.work").exists()


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


def test_an_inspection_that_is_cut_off_goes_on(tmp_path, monkeypatch):
    dataset, hashed = synthetic_photographs(tmp_path, n=8), []

    def cut_off(path):
        if path.name == "photo_006.jpg":
            raise KeyboardInterrupt
        return sha256(path)

    monkeypatch.setattr(encoding, "FILES_PER_RECORD", 2)
    monkeypatch.setattr(images, "sha256", cut_off)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    monkeypatch.setattr(images, "sha256", lambda path: hashed.append(path) or sha256(path))
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert len(hashed) == 2


def test_work_that_is_left_over_goes_and_work_on_another_set_stays(tmp_path):
    dataset, first, second = synthetic_photographs(tmp_path), linear_backbone(), linear_backbone(seed=1)
    extract(dataset, first, tmp_path / "set", workers=0)
    (tmp_path / "set.work").mkdir()
    extract(dataset, first, tmp_path / "set", workers=0)
    assert not (tmp_path / "set.work").exists()
    extract(dataset, second, tmp_path / "set", shard="1/2", workers=0, overwrite=True)
    begun = sorted(path.name for path in (tmp_path / "set.work").glob("*.safetensors"))
    assert begun and extract(dataset, first, tmp_path / "set", workers=0)
    assert sorted(path.name for path in (tmp_path / "set.work").glob("*.safetensors")) == begun
    extract(dataset, second, tmp_path / "set", workers=0, overwrite=True)
    assert not (tmp_path / "set.work").exists()


def refused(dataset, out: Path, *shards: str | None):
    """End with the number of extractions that the lock refuses."""
    sys.stderr = open(os.devnull, "w")
    count = 0
    for shard in shards:
        try:
            extract(dataset, linear_backbone(), out, shard=shard, workers=0)
        except BlockingIOError as error:
            count += "another process is extracting" in str(error)
    sys.exit(count)


@pytest.mark.parametrize(("holder", "shards"), [(None, (None, "1/2")), ((1, 2), (None, "1/2", "2/2"))])
def test_what_another_process_extracts_is_refused_and_its_work_stays(tmp_path, holder, shards):
    dataset, out = synthetic_photographs(tmp_path), tmp_path / "set"
    with encoding.claimed(tmp_path / "set.work", holder):
        assert in_processes(refused, (dataset, out, *shards)) == [2]  # another shard goes on
        assert list((tmp_path / "set.work").glob("lock-*"))
    assert extract(dataset, linear_backbone(), out, workers=0) and not (tmp_path / "set.work").exists()


def test_shards_at_once_do_not_disturb_each_other(tmp_path):
    dataset, out = synthetic_photographs(tmp_path, n=60, per_image=2), tmp_path / "set"
    assert in_processes(extraction, *((dataset, out, 0, f"{k}/3") for k in (1, 2, 3))) == [0, 0, 0]
    assert len(list((tmp_path / "set.work").glob("*.safetensors"))) == 8 + 8  # chunks of 60 images and 61 texts
    assert in_processes(extraction, (dataset, tmp_path / "whole"), (dataset, out)) == [0, 0]
    assert content(out) == content(tmp_path / "whole") and not (tmp_path / "set.work").exists()


def test_changing_one_image_costs_one_chunk_and_another_commit_of_the_encoder_none(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 4)
    dataset = synthetic_photographs(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "set", batch_size=2, shard="1/1", workers=0)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_009.jpg")
    backbone = linear_backbone()
    backbone.fingerprint["revision"] = "c" * 40
    extract(dataset, backbone, tmp_path / "set", batch_size=2, workers=0)
    assert backbone.seen == {"images": 4, "texts": 0} and EmbeddingSet.load(tmp_path / "set")
