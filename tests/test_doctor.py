"""The doctor reports every encoder and data set once, with what to do about missing ones, and proves an encoder."""

import json
import shutil
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_encoders import clip_folder, jpegs, linear_backbone, siglip_folder
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from helpers import doctor, load_backbone
from helpers.backbones import REGISTRY
from helpers.cli import main
from helpers.datasets import DATASETS
from helpers.files import sha256


def test_every_encoder_and_data_set_is_listed_with_what_to_do(tmp_path, monkeypatch):
    jpegs(tmp_path / "flickr8k" / "Images", 3)
    rows = {what: (status, how) for what, status, how in doctor.report(tmp_path)}
    assert {what.split()[-1] for what in rows if what.startswith("encoder")} == set(REGISTRY)
    assert {what.split()[2] for what in rows if what.startswith("data set")} == set(DATASETS)
    assert all(status in ("ready", "stored", "missing") and how for status, how in rows.values())
    assert "has no captions.txt" in rows["data set flickr8k"][1]
    assert rows["encoder random-clip"][0] == rows["encoder lit-derm"][0] == "ready"
    monkeypatch.setattr(doctor, "HEADS", tmp_path)
    rows = {what: (status, how) for what, status, how in doctor.report()}
    assert rows["data set easy_vqa"][0] == "ready" and "physionet.org" in rows["data set mimic_cxr (credentialed)"][1]
    assert rows["encoder lit-derm"][0] == "missing" and "set HELPERS_ROOT" in rows["encoder lit-derm"][1]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        doctor.report(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["medsiglip", "biomedclip"])
def test_an_encoder_is_ready_when_the_model_cache_holds_all_its_files(monkeypatch, name):
    entry = REGISTRY[name]
    tower = entry.text_tower or entry.repository
    own = ("open_clip_config.json", "open_clip_pytorch_model.bin") if entry.text_tower else ("config.json", "model.safetensors")
    needed, held = {(tower, "config.json"), (tower, "vocab.txt"), *((entry.repository, file) for file in own)}, set()
    monkeypatch.setattr(doctor, "try_to_load_from_cache", lambda repo, file: "somewhere" if (repo, file) in held else None)
    for absent in needed:
        held = needed - {absent}
        assert doctor._encoder(name, entry) == ("missing", entry.access)
    held = needed
    assert doctor._encoder(name, entry)[0] == "ready"


@pytest.mark.parametrize(("version", "status"), [("1.0.4.post1", "ready"), ("2.1.0", "missing")])
def test_only_version_1_of_jupyter_book_is_ready(monkeypatch, version, status):
    monkeypatch.setattr(doctor, "version", lambda name: version)
    assert doctor._jupyter_book()[0] == status and version in doctor._jupyter_book()[1]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Return tiny encoders with the formats of CLIP and SigLIP, and an image."""
    folder = tmp_path_factory.mktemp("twins")
    return clip_folder(folder / "clip"), siglip_folder(folder / "siglip"), jpegs(folder / "photos", 1)[0]


def known(path, monkeypatch, **fields) -> None:
    """Write a file of one known output, as data/known_outputs.toml is, and let the doctor read it."""
    about = {"tolerance": 0.05, "source": "a test", "get": "somewhere", **fields}
    path.write_text("[[known]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in about.items()))
    monkeypatch.setattr(doctor, "KNOWN", path)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_an_encoder_is_proven_by_the_logits_that_its_library_computes(kind, twins, tmp_path, monkeypatch, capsys):
    folder, photo = twins[kind == "siglip"], twins[2]
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder, backend="pil")
    texts = ["a photo of a cat", "a photo of a dog"]
    model.logit_scale.data.fill_(2.0)  # so that a forgotten scale or bias shows
    model.save_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(texts, padding="max_length" if kind == "siglip" else True, return_tensors="pt")
    inputs = inputs if kind == "clip" else {"input_ids": inputs["input_ids"]}
    with torch.no_grad():
        logits = model(**inputs, **processor(images=Image.open(photo), return_tensors="pt")).logits_per_image[0].tolist()
    about = {"encoders": [folder.name], "image": photo.name, "sha256": sha256(photo), "texts": texts}
    known(tmp_path / "known.toml", monkeypatch, **about, logits=logits)
    rows = {what: (status, how) for what, status, how in doctor.examine(load_backbone(str(folder)), photo)}
    assert rows["known outputs"][0] == rows["batch"][0] == rows["padding"][0] == rows["case"][0] == "ready"
    assert "at most 0.000" in rows["known outputs"][1] and "(a test)" in rows["known outputs"][1]
    assert rows["pairing"][0] == "doubtful"  # of random weights
    arguments = ["doctor", "--encoder", str(folder), "--image", str(photo)]
    assert main(arguments) == 0
    known(tmp_path / "known.toml", monkeypatch, **about, logits=[logits[0], logits[1] + 0.2])
    assert main(arguments) == 1 and "known outputs                         WRONG" in capsys.readouterr().out


def test_an_image_without_known_outputs_is_told_where_to_get_one(twins, tmp_path, monkeypatch):
    backbone = load_backbone(str(twins[0]))
    about = {"encoders": ["clip"], "image": "known.jpg", "texts": ["x"], "logits": [0.0], "tolerance": 100.0}
    known(tmp_path / "known.toml", monkeypatch, sha256="0" * 64, **about)
    assert doctor._known_outputs(backbone, None)[0][1:] == ("missing", "give --image FILE, from somewhere")
    status, how = doctor._known_outputs(backbone, twins[2])[0][1:]
    assert status == "missing" and how.startswith("give --image FILE, from somewhere; ") and how.endswith(sha256(twins[2]))
    known(tmp_path / "known.toml", monkeypatch, sha256="", **about)  # an image that is known by its name alone
    assert doctor._known_outputs(backbone, twins[2])[0][1] == "missing"
    named = shutil.copy(twins[2], tmp_path / "known.jpg")
    assert doctor._known_outputs(backbone, named)[0][1] == "ready"
    assert "none was found for linear in the tests and" in doctor._known_outputs(linear_backbone(), named)[0][2]


def test_vectors_that_change_with_the_batch_or_its_padding_are_wrong():
    rows = {what: status for what, status, _ in doctor.examine(linear_backbone())}
    assert (rows["batch"], rows["padding"]) == ("ready", "ready")
    spoilt = linear_backbone()
    image, text = spoilt.image_features, spoilt.text_features
    spoilt.image_features = lambda batch: image(batch) - image(batch).mean(0) / 2  # as batch normalisation in training mode
    spoilt.text_features = lambda ids, mask: text(ids, torch.ones_like(mask))
    rows = {what: status for what, status, _ in doctor.examine(spoilt)}
    assert (rows["batch"], rows["padding"]) == ("WRONG", "WRONG")


def test_known_outputs_of_real_weights_say_where_they_come_from():
    entries = tomllib.loads(doctor.KNOWN.read_text())["known"]
    assert [e["logits"] for e in entries] == [[24.5701, 19.3049], [25.55, 20.09, 19.75], [-0.7567, -10.3354], [19.9799, 13.6169]]
    for e in entries:
        assert len(e["texts"]) == len(e["logits"]) and e["source"] and e["get"].endswith(e["image"]) and len(e["sha256"]) in (0, 64)
        assert REGISTRY[e["encoders"][0]].source == e["encoders"][1]
    printed = np.exp(np.array(entries[1]["logits"]) - entries[1]["logits"][0])
    np.testing.assert_allclose(printed / printed.sum(), [0.9927937, 0.00421068, 0.00299572], atol=1e-4)


@pytest.mark.parametrize("options", [["--image", "x.png"], ["--weights", "x"], ["--encoder", "clip", "--root", "."]])
def test_options_that_do_not_belong_together_are_refused(options, capsys):
    assert main(["doctor", *options]) == 2 and "belong to --encoder" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_named_before_an_encoder_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr("helpers.backbones.load_backbone", lambda *_, **__: pytest.fail("loaded"))
    assert main(["doctor", "--encoder", "clip", "--image", "nowhere.png"]) == 2
    assert "--image nowhere.png is no file" in capsys.readouterr().err
