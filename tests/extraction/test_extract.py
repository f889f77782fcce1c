"""Extraction: work in proportion to distinct inputs, exact resumption after a kill, shards and processes side by side."""

import json
import multiprocessing
import os
import random
import resource
import shlex
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniatures import release
from PIL import Image
from tiny_encoders import jpegs, linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract, gap_vector, images, mean_resultant_length
from helpers.cli import main
from helpers.datasets.base import Card, PairedDataset
from helpers.extraction import encoding
from helpers.extraction import inspection as inputs
from helpers.extraction.chunks import claimed
from helpers.files import sha256
from helpers.images import decode
from helpers.tasks import Task

CARD = Card("Drawn", "natural", "drawn here", "CC0", "none", "nothing to get")


def drawn(root: Path, n: int = 12, per_image: int = 1, **changes) -> PairedDataset:
    """``n`` drawn photographs with ``per_image`` questions each."""
    root = root / "raw"
    paths = jpegs(root / "images", n)
    rows = pd.DataFrame(
        [
            {"pair_id": f"p{i}-{k}", "image": f"images/{path.name}", "text": f"question {k} of {n if k else i}", "group": f"g{i}"}
            for i, path in enumerate(paths)
            for k in range(per_image)
        ]
    )
    rows["split"] = np.array(["train", "val", "test"])[np.arange(len(rows)) % 3]
    rows["label"] = np.array(["a", "b"])[np.arange(len(rows)) % 2]
    for column, values in changes.items():
        rows[column] = rows[column].astype(object)
        rows.loc[list(values), column] = list(values.values())
    return PairedDataset("drawn", "common", rows, Task("binary", ("a", "b")), CARD, root, {"rows_without_image": np.int64(0)})


def content(folder: Path) -> dict:
    """Bytes of every file of a set, the times in its provenance left out."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    record = json.loads(found["provenance.json"])
    assert record.pop("run").keys() == {"command", "finished", "seconds"} and len(record.pop("record_sha256")) == 64
    return {**found, "provenance.json": record}


def test_each_distinct_input_is_encoded_once_and_statistics_are_over_pairs(tmp_path):
    dataset = drawn(tmp_path, n=9, per_image=4)
    dataset.rows.loc[35, "image"] = "images/copy.jpg"  # another name, the same content
    (tmp_path / "raw" / "images" / "copy.jpg").write_bytes((tmp_path / "raw" / "images" / "photo_000.jpg").read_bytes())
    backbone = linear_backbone()
    made = extract(dataset, backbone, tmp_path / "set", workers=0)
    assert backbone.seen == {"images": 9, "texts": 9 + 3} and len(made) == 36
    assert made.pairs["image"].iloc[35] == 0
    naive = linear_backbone()
    image = naive.encode_images([decode(tmp_path / "raw" / p) for p in dataset.rows["image"]])
    text = naive.encode_texts(dataset.rows["text"])
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), text, atol=1e-6)
    assert mean_resultant_length(made.image_of()) == pytest.approx(np.linalg.norm(image.mean(0)), abs=1e-6)
    assert mean_resultant_length(made.image) != pytest.approx(np.linalg.norm(image.mean(0)), abs=1e-6)
    np.testing.assert_allclose(gap_vector(made.image_of(), made.text_of()), image.mean(0) - text.mean(0), atol=1e-6)


def test_pairs_keep_their_columns_and_nothing_of_the_text(tmp_path):
    dataset = drawn(tmp_path)
    dataset.rows["subgroup_age"] = "40-60"
    made = extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert list(made.pairs) == ["pair_id", "group", "split", "label", "subgroup_age", "image", "text"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "set").iterdir())
    assert b"question" not in stored and b"photo_" not in stored and str(tmp_path).encode() not in stored


def test_provenance_says_how_the_vectors_were_made(tmp_path):
    made = extract(drawn(tmp_path, text={3: "a text of more than twenty letters"}), linear_backbone(), tmp_path / "set", workers=0)
    record = made.provenance
    assert [record[k] for k in ("dataset", "variant", "backbone", "precision", "device")] == [
        "drawn",
        "common",
        "linear",
        "float32",
        "cpu",
    ]
    assert record["data_report"] == {"rows_without_image": 0}
    assert record["texts_cut"] == {"distinct": 1, "pairs": 1, "context_length": 20}
    assert record["encoder"] == linear_backbone().fingerprint and set(record["versions"]) >= {"torch", "transformers"}


def test_the_recorded_command_makes_the_set_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.commands.extract.load_backbone", lambda name, device, weights: linear_backbone(Path(name).name))
    once = ["--root", str(release("ham10000")), "--out", str(tmp_path / "one"), "--shard", "1/1", "--workers", "0"]
    what = [
        "--variant",
        "authors",
        "--split",
        "lesion-disjoint",
        "--dtype",
        "float16",
        "--on-error",
        "skip",
        "--max-skipped",
        "0.5",
    ]
    for arguments in (once, once[:4]):
        assert main(["extract", "ham10000", "--backbone", str(tmp_path / "linear"), *what, *arguments]) == 0
    command = json.loads((tmp_path / "one" / "provenance.json").read_text())["run"]["command"]
    assert "--root ROOT" in command and str(tmp_path) not in command and str(release("ham10000")) not in command
    words = shlex.split(command.replace("ROOT", str(release("ham10000"))))
    assert words[:3] == ["python", "-m", "helpers"] and main([*words[3:], "--out", str(tmp_path / "two")]) == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_worker_processes_change_nothing(tmp_path):
    dataset = drawn(tmp_path, n=40)
    extract(dataset, linear_backbone(), tmp_path / "one", batch_size=4, workers=0)
    extract(dataset, linear_backbone(), tmp_path / "two", batch_size=4, workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_set_already_there_is_used_only_if_all_of_its_fingerprint_matches(tmp_path):
    dataset, first, again = drawn(tmp_path), linear_backbone(), linear_backbone()
    made = extract(dataset, first, tmp_path / "set", workers=0)
    assert extract(dataset, again, tmp_path / "set", workers=0).fingerprint == made.fingerprint
    assert again.seen == {"images": 0, "texts": 0}
    with pytest.raises(ValueError, match="differs in dtype"):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0, dtype="float16")
    with pytest.raises(ValueError, match=r"differs in encoder.weights; pass overwrite=True"):
        extract(dataset, linear_backbone(seed=1), tmp_path / "set", workers=0)
    moved = linear_backbone()
    moved.fingerprint |= {"source": "a folder", "revision": "c" * 40}  # said of the encoder, of no weight to its vectors
    assert extract(dataset, moved, tmp_path / "set", workers=0).provenance["encoder"] == made.provenance["encoder"]
    Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_004.jpg")
    with pytest.raises(ValueError, match="differs in data_manifest"):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    changed = extract(dataset, linear_backbone(), tmp_path / "set", workers=0, overwrite=True)
    assert changed.fingerprint != made.fingerprint and EmbeddingSet.load(tmp_path / "set").fingerprint == changed.fingerprint


# --- kills, shards, several processes -------------------------------------------------------------------------------------------


class Slowly:
    """Preprocessing that takes long enough for a kill to land anywhere."""

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
    dataset = drawn(tmp_path, n=60, per_image=2)

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
    dataset = drawn(tmp_path, n=20)
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
    dataset, hashed = drawn(tmp_path, n=8), []
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
    dataset, hashed = drawn(tmp_path, n=8), []

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
    dataset, backbone = drawn(tmp_path), linear_backbone()
    extract(dataset, backbone, tmp_path / "set", workers=0)
    (tmp_path / "set.work").mkdir()
    extract(dataset, backbone, tmp_path / "set", workers=0)
    assert not (tmp_path / "set.work").exists()


def test_work_on_another_set_is_left_alone(tmp_path):
    dataset, first, second = drawn(tmp_path), linear_backbone(), linear_backbone(seed=1)
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
    fork, dataset = multiprocessing.get_context("fork"), drawn(tmp_path)
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
    dataset, out = drawn(tmp_path, n=60, per_image=2), tmp_path / "set"
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
        extract(drawn(tmp_path), linear_backbone(), tmp_path / "set", shard=shard)


def test_the_batch_size_of_the_first_run_is_kept(tmp_path):
    dataset = drawn(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "set", batch_size=3, shard="1/2", workers=0)
    again = extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert again.provenance["batch_size"]["images"] == 3


def test_changing_one_image_costs_one_chunk_and_another_commit_of_the_encoder_none(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 4)
    dataset = drawn(tmp_path, n=20)
    extract(dataset, linear_backbone(), tmp_path / "set", batch_size=2, shard="1/1", workers=0)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_009.jpg")
    backbone = linear_backbone()
    backbone.fingerprint["revision"] = "c" * 40
    extract(dataset, backbone, tmp_path / "set", workers=0)
    assert backbone.seen == {"images": 4, "texts": 0}


def test_two_processes_on_one_output(tmp_path):
    fork = multiprocessing.get_context("fork")
    dataset = drawn(tmp_path, n=60, per_image=2)
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


def with_little_room(root: Path, answer):
    dataset = drawn(root)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    try:
        extract(dataset, linear_backbone(), root / "results" / "set", workers=0)
    except OSError as error:
        answer.send((str(error), sorted(path.name for path in (root / "results").iterdir())))


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path):
    """A limit on file size gives the same failing write as a full disk, without filling one."""
    dataset = drawn(tmp_path)
    (tmp_path / "results").mkdir()
    here, there = multiprocessing.Pipe()
    run = multiprocessing.get_context("fork").Process(target=with_little_room, args=(tmp_path, there))
    run.start()
    run.join(60)
    assert here.poll()
    message, left = here.recv()
    assert "make room or give another output" in message
    assert left == ["set.work"] and not list((tmp_path / "results" / "set.work").glob("*safetensors*"))
    assert extract(dataset, linear_backbone(), tmp_path / "results" / "set", workers=0)


def test_a_set_to_refer_to_that_is_not_there_is_named_before_anything_is_encoded(tmp_path):
    backbone = linear_backbone()
    with pytest.raises(FileNotFoundError, match=r"image_from: no embeddings in .*nosuchset"):
        extract(drawn(tmp_path), backbone, tmp_path / "set", workers=0, image_from=tmp_path / "nosuchset")
    assert not backbone.seen["images"] and not (tmp_path / "set.work").exists()


def test_an_error_that_is_not_of_the_output_keeps_its_file(tmp_path, monkeypatch):
    def lost(*_):
        raise FileNotFoundError(2, "No such file or directory", "elsewhere")

    monkeypatch.setattr(sys.modules["helpers.extraction.extract"], "encode_chunks", lost)
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'elsewhere'"):
        extract(drawn(tmp_path), linear_backbone(), tmp_path / "set", workers=0)


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="another output"):
        extract(drawn(tmp_path), linear_backbone(), tmp_path / "file" / "set", workers=0)


def as_nobody(dataset: PairedDataset, out: Path, answer):
    if os.geteuid() == 0:
        os.setuid(65534)  # the superuser may write anywhere
    tqdm.set_lock(threading.RLock())
    try:
        extract(dataset, linear_backbone(), out, workers=0)
    except OSError as error:
        answer.send(str(error))


def test_a_set_that_may_be_read_only_is_used():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        dataset = drawn(root)
        extract(dataset, linear_backbone(), root / "results" / "set", workers=0)
        for path in (root / "results" / "set").iterdir():
            path.chmod(0o444)
        (root / "results").chmod(0o555)
        here, there = multiprocessing.Pipe()
        run = multiprocessing.get_context("fork").Process(target=as_nobody, args=(dataset, root / "results" / "set", there))
        run.start()
        run.join(60)
        assert run.exitcode == 0 and not here.poll(), here.recv()


def test_a_folder_that_may_not_be_written():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        dataset = drawn(root)
        (root / "results").mkdir(mode=0o555)
        here, there = multiprocessing.Pipe()
        run = multiprocessing.get_context("fork").Process(target=as_nobody, args=(dataset, root / "results" / "set", there))
        run.start()
        run.join(60)
        assert here.poll(), "nothing was refused"
        assert "Permission denied; make room or give another output" in here.recv()
        assert not list((root / "results").iterdir())
