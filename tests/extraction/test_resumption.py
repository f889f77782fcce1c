"""An extraction that was killed, divided into shards or run twice ends with the same bytes."""

import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from photographs import content, in_processes, synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import extract, images
from helpers.extraction import encoding
from helpers.files import sha256


def extraction(dataset, out: Path, workers: int = 0, shard: str | None = None, chunks: int | None = None):
    """Extract in small chunks; with ``chunks``, be killed after having written so many."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")
    tqdm.set_lock(threading.RLock())  # the inherited one is shared with the parent, and a killed process never gives it back
    encoding.CHUNK, write, written = 8, encoding.write_arrays, []

    def write_or_die(*arguments, **options):
        if len(written) == chunks:
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(write(*arguments, **options))

    encoding.write_arrays = write_or_die
    try:
        extract(dataset, linear_backbone(), out, batch_size=4, workers=workers, shard=shard)
    except BlockingIOError:
        sys.exit(9)


@pytest.mark.parametrize(("workers", "kills"), [(0, (0, 1, 2, 3, 4, 5)), (2, (2, 7))])  # of 16 chunks: images, texts, between
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, workers, kills):
    dataset, finished = synthetic_photographs(tmp_path, n=60, per_image=2), 0
    assert in_processes(extraction, (dataset, tmp_path / "whole", 0)) == [0]
    for chunks in kills:
        assert in_processes(extraction, (dataset, tmp_path / "set", workers, None, chunks)) == [-signal.SIGKILL]
        finished += chunks
        assert len(list((tmp_path / "set.work").glob("*.safetensors"))) == finished
    assert in_processes(extraction, (dataset, tmp_path / "set", workers)) == [0]
    assert content(tmp_path / "set") == content(tmp_path / "whole") and not (tmp_path / "set.work").exists()


def test_shards_at_once_joined_equal_one_run_and_a_damaged_or_missing_chunk_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 8)
    dataset, out, last = synthetic_photographs(tmp_path, n=30), tmp_path / "set", linear_backbone()
    shards = [(dataset, out, 0, f"{k}/3") for k in (1, 2, 3)]
    assert in_processes(extraction, *shards, (dataset, tmp_path / "whole")) == [0] * 4
    chunks = sorted((tmp_path / "set.work").glob("image-*.safetensors"))
    assert len(chunks) == 4 and len(list((tmp_path / "set.work").glob("text-*.safetensors"))) == 4
    spoilt = bytearray(chunks[0].read_bytes())
    spoilt[-1] ^= 1
    chunks[0].write_bytes(bytes(spoilt))
    chunks[1].write_bytes(chunks[1].read_bytes()[:-5])
    chunks[2].unlink()
    extract(dataset, last, out, batch_size=4, workers=0)
    assert last.seen == {"images": 24, "texts": 0} and content(out) == content(tmp_path / "whole")


def test_an_inspection_goes_on_and_a_changed_image_costs_one_reading_and_one_chunk(tmp_path, monkeypatch):
    dataset, hashed, backbone = synthetic_photographs(tmp_path, n=8), Mock(wraps=sha256), linear_backbone()
    run = partial(extract, dataset, batch_size=2, workers=0)
    six = [sha256(tmp_path / "raw" / path) for path in dataset.rows["image"][:6]]
    monkeypatch.setattr(encoding, "CHUNK", 4)
    monkeypatch.setattr(encoding, "FILES_PER_RECORD", 1)
    monkeypatch.setattr(images, "sha256", Mock(side_effect=[*six, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        run(backbone, tmp_path / "set", shard="1/2")
    monkeypatch.setattr(images, "sha256", hashed)
    for shard in ("1/2", "2/2"):
        run(linear_backbone(), tmp_path / "set", shard=shard)
    changed = tmp_path / "raw" / dataset.rows["image"][3]
    Image.new("RGB", (40, 30), "red").save(changed)
    backbone.fingerprint["revision"] = "c" * 40  # of no weight to the vectors
    made = run(backbone, tmp_path / "set")
    assert hashed.call_count == 2 + 1 and hashed.call_args.args == (changed,) and backbone.seen == {"images": 4, "texts": 0}
    assert run(linear_backbone(), tmp_path / "whole").fingerprint == made.fingerprint


def test_work_that_is_left_over_goes_and_work_on_another_set_stays(tmp_path):
    run, first, second = partial(extract, synthetic_photographs(tmp_path), workers=0), linear_backbone(), linear_backbone(seed=1)
    out, work = tmp_path / "set", tmp_path / "set.work"
    run(first, out)
    work.mkdir()
    assert run(first, out) and not work.exists()
    run(second, out, shard="1/2", overwrite=True)
    begun = sorted(work.glob("*.safetensors"))
    assert begun and run(first, out) and sorted(work.glob("*.safetensors")) == begun
    assert run(second, out, overwrite=True) and not work.exists()


@pytest.mark.parametrize(("holder", "exits"), [(None, [9, 9, 9]), ((1, 2), [9, 9, 0])])  # another shard goes on
def test_what_another_process_extracts_is_refused_and_its_work_stays(tmp_path, holder, exits):
    dataset, out = synthetic_photographs(tmp_path), tmp_path / "set"
    with encoding.claimed(tmp_path / "set.work", holder):
        assert in_processes(extraction, *((dataset, out, 0, shard) for shard in (None, "1/2", "2/2"))) == exits
        assert list((tmp_path / "set.work").glob("lock-*"))
    assert extract(dataset, linear_backbone(), out, workers=0) and not (tmp_path / "set.work").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_changed_with_its_size_and_time_is_found_once_and_then_inspected_anew(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(encoding, "CHUNK", 4)
    dataset = synthetic_photographs(tmp_path, n=24)
    run = partial(extract, dataset, linear_backbone(), tmp_path / "set", batch_size=2, workers=workers)
    assert in_processes(extraction, (dataset, tmp_path / "set", 0, None, 0)) == [-signal.SIGKILL]  # inspected, nothing encoded
    image = tmp_path / "raw" / dataset.rows["image"][20]
    status, content_of = image.stat(), bytearray(image.read_bytes())
    content_of[-20] ^= 1
    image.write_bytes(bytes(content_of))
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match="row 20: image file was replaced after it was inspected; run again"):
        run()
    assert run().fingerprint == extract(dataset, linear_backbone(), tmp_path / "whole", batch_size=2, workers=0).fingerprint
