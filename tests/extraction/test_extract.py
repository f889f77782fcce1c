"""Extraction encodes each distinct input once, records how, and names an output that it cannot write."""

import os
import resource
import shlex
import signal
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from miniatures import release
from photographs import content, in_processes, synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone
from tqdm import tqdm

from helpers import EmbeddingSet, extract
from helpers.cli import main
from helpers.datasets.registry import PairedDataset
from helpers.images import decode


def test_each_distinct_input_is_encoded_once_and_named_by_its_pairs(tmp_path):
    dataset = synthetic_photographs(tmp_path, n=9, per_image=4, image={35: "images/copy.jpg"})  # another name, the same content
    (tmp_path / "raw" / "images" / "copy.jpg").write_bytes((tmp_path / "raw" / "images" / "photo_000.jpg").read_bytes())
    backbone, naive = linear_backbone(), linear_backbone()
    made = extract(dataset, backbone, tmp_path / "set", workers=0)
    assert backbone.seen == {"images": 9, "texts": 9 + 3} and len(made) == 36 and made.pairs["image"].iloc[35] == 0
    image = naive.encode_images([decode(tmp_path / "raw" / p) for p in dataset.rows["image"]])
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), naive.encode_texts(dataset.rows["text"]), atol=1e-6)


def test_a_set_keeps_the_pairs_columns_nothing_of_the_text_and_how_it_was_made(tmp_path):
    dataset = synthetic_photographs(tmp_path, text={3: "a text of more than twenty letters"})
    dataset.rows["subgroup_age"] = "40-60"
    made = extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    assert list(made.pairs) == ["pair_id", "group", "split", "label", "subgroup_age", "image", "text"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "set").iterdir())
    assert b"question" not in stored and b"photo_" not in stored and str(tmp_path).encode() not in stored
    names = {"dataset": "synthetic", "variant": "common", "backbone": "linear", "precision": "float32", "device": "cpu"}
    counts = {"data_report": {"rows_without_image": 0}, "texts_cut": {"distinct": 1, "pairs": 1, "context_length": 20}}
    encoding = {"encoder": linear_backbone().fingerprint, "batch_size": {"images": 32, "texts": 64}}
    assert made.provenance | names | counts | encoding == made.provenance and "torch" in made.provenance["versions"]


def test_the_recorded_command_makes_the_set_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.backbones.load_backbone", lambda name, device, weights: linear_backbone(Path(name).name))
    once = ["--root", str(release("ham10000")), "--out", str(tmp_path / "one"), "--shard", "1/1", "--workers", "0"]
    what = "--variant authors --split lesion-disjoint --dtype float16 --on-error skip --max-skipped 0.5".split()
    for arguments in (once, once[:4]):
        assert main(["extract", "ham10000", "--backbone", str(tmp_path / "linear"), *what, *arguments]) == 0
    command = EmbeddingSet.load(tmp_path / "one").provenance["run"]["command"]
    assert "--root ROOT" in command and str(tmp_path) not in command and str(release("ham10000")) not in command
    words = shlex.split(command.replace("ROOT", str(release("ham10000"))))
    assert words[:3] == ["python", "-m", "helpers"] and main([*words[3:], "--out", str(tmp_path / "two")]) == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_set_already_there_is_used_only_if_all_of_its_fingerprint_matches(tmp_path):
    dataset, again = synthetic_photographs(tmp_path), linear_backbone()
    run = partial(extract, dataset, out=tmp_path / "set", workers=0)
    made = run(linear_backbone())
    again.fingerprint |= {"source": "a folder", "revision": "c" * 40}  # said of the encoder, of no weight to its vectors
    assert run(again).fingerprint == made.fingerprint and again.seen == {"images": 0, "texts": 0}
    with pytest.raises(ValueError, match=r"differs in dtype, encoder.weights; pass overwrite=True"):
        run(linear_backbone(seed=1), dtype="float16")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_004.jpg")
    with pytest.raises(ValueError, match="differs in data_manifest"):
        run(linear_backbone())
    changed = run(linear_backbone(), overwrite=True)
    assert changed.fingerprint != made.fingerprint and EmbeddingSet.load(tmp_path / "set").fingerprint == changed.fingerprint


def limited(dataset: PairedDataset, out: Path, limit: str) -> None:
    """Extract with a limit on file size, as on a full disk, or without permission; end with 1 if the error says what to do."""
    tqdm.set_lock(threading.RLock())
    if limit == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    elif os.geteuid() == 0:
        os.setuid(65534)  # the superuser may write anywhere
    try:
        extract(dataset, linear_backbone(), out, workers=0)
    except OSError as error:
        sys.exit(1 if "make room or give another output" in str(error) else 2)


@pytest.mark.parametrize(("limit", "stored", "left"), [("disk", 0, ["set.work"]), ("access", 0, []), ("access", 1, ["set"])])
def test_an_output_that_cannot_be_written_is_named_without_half_a_file_and_a_set_there_is_used(limit, stored, left):
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to others
        root, out = Path(folder), Path(folder) / "results" / "set"
        root.chmod(0o755)
        dataset = synthetic_photographs(root)
        out.parent.mkdir()
        if stored:
            extract(dataset, linear_backbone(), out, workers=0)
        out.parent.chmod(0o755 if limit == "disk" else 0o555)
        assert in_processes(limited, (dataset, out, limit)) == [not stored]
        assert [path.name for path in out.parent.iterdir()] == left and bool(list(out.parent.rglob("*.safetensors"))) == stored


def test_outputs_references_and_options_that_do_not_fit_are_named(tmp_path, monkeypatch):
    dataset, backbone = synthetic_photographs(tmp_path), linear_backbone()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="another output"):
        extract(dataset, backbone, tmp_path / "file" / "set", workers=0)
    for options, error, message in (
        ({"image_from": tmp_path / "nosuchset"}, FileNotFoundError, r"image_from: no embeddings in .*nosuchset"),
        ({"on_error": "skipp"}, ValueError, "did you mean 'skip'"),
        ({"max_skipped": 5, "on_error": "skip"}, ValueError, "max_skipped=5 must be a share between 0 and 1"),
        ({"max_skipped": 0.5}, ValueError, "applies to on_error='skip' alone"),
        ({"precision": "bf16"}, ValueError, "did you mean 'bfloat16'"),
        ({"batch_size": 0}, ValueError, "at least 1, got 0"),
        *(({"shard": shard}, ValueError, "shard") for shard in ("0/3", "4/3", "1", "a/b", (1, 2, 3))),
    ):
        with pytest.raises(error, match=message):
            extract(dataset, backbone, tmp_path / "set", **options)
    assert not backbone.seen["images"] and not (tmp_path / "set.work").exists()
    monkeypatch.setattr(backbone, "encode_pixels", Mock(side_effect=torch.cuda.OutOfMemoryError))
    with pytest.raises(RuntimeError, match="give a smaller --batch-size"):
        extract(dataset, backbone, tmp_path / "set", workers=0)


def test_a_function_in_the_place_of_an_encoder_is_told_what_to_wrap_it_in(tmp_path):
    with pytest.raises(ValueError, match="or a Backbone, got a function; wrap your functions in one"):
        extract(synthetic_photographs(tmp_path, n=2, per_image=1), lambda images: images, tmp_path / "set", workers=0)
