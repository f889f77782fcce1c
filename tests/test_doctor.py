"""The doctor reports every encoder and data set once, with what to do about missing ones."""

import pytest
from tiny_encoders import jpegs

from helpers import doctor
from helpers.backbones import REGISTRY
from helpers.datasets import DATASETS


@pytest.fixture(scope="module")
def rows():
    return {what: (status, how) for what, status, how in doctor.report()}


def test_every_encoder_and_data_set_is_listed_with_what_to_do(rows):
    names = {what.split()[-1] for what in rows if what.startswith("encoder")}
    assert names == set(REGISTRY)
    assert {what.split()[2] for what in rows if what.startswith("data set")} == set(DATASETS)
    assert all(status in ("ready", "stored", "missing") and how for status, how in rows.values())
    assert rows["data set easy_vqa"][0] == "ready" and rows["encoder random-clip"][0] == "ready"
    assert "physionet.org" in rows["data set mimic_cxr (credentialed)"][1]


def test_hub_weights_are_ready_when_the_model_cache_holds_them(monkeypatch):
    held = {("google/medsiglip-448", name) for name in ("config.json", "model.safetensors", "tokenizer.json")}
    monkeypatch.setattr("helpers.doctor.try_to_load_from_cache", lambda repo, name: "somewhere" if (repo, name) in held else None)
    found = {what: (status, how) for what, status, how in doctor._encoders()}
    assert found["encoder medsiglip"][0] == "ready"
    assert found["encoder siglip"] == ("missing", REGISTRY["siglip"].access)
    held.remove(("google/medsiglip-448", "model.safetensors"))
    assert dict((w, s) for w, s, _ in doctor._encoders())["encoder medsiglip"] == "missing"


def test_an_encoder_of_two_repositories_is_ready_when_both_are_here(monkeypatch):
    entry = REGISTRY["biomedclip"]
    held = {(entry.source.removeprefix("hf-hub:"), name) for name in ("open_clip_config.json", "open_clip_pytorch_model.bin")}
    monkeypatch.setattr("helpers.doctor.try_to_load_from_cache", lambda repo, name: "somewhere" if (repo, name) in held else None)
    assert doctor._encoder("biomedclip", entry) == ("missing", entry.access)
    assert f"hf download {entry.text_tower} config.json --local-dir FOLDER/text" in entry.access
    held |= {(entry.text_tower, "config.json"), (entry.text_tower, "vocab.txt")}
    assert doctor._encoder("biomedclip", entry)[0] == "ready"


def test_a_head_file_that_is_gone_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "HEADS", tmp_path)
    status, how = doctor._lit("lit-derm")
    assert status == "missing" and "heads train" in how
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert "pip install" in doctor._lit("lit-derm")[1]


def test_a_data_root_is_looked_into(tmp_path):
    jpegs(tmp_path / "flickr8k" / "Images", 3)
    rows = {what: (status, how) for what, status, how in doctor.report(tmp_path)}
    assert "has no captions.txt" in rows["data set flickr8k"][1]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        doctor.report(tmp_path / "nowhere")


@pytest.mark.parametrize(("found", "status"), [("1.0.4.post1", "ready"), ("2.1.0", "missing")])
def test_only_version_1_of_jupyter_book_is_ready(monkeypatch, found, status):
    monkeypatch.setattr("helpers.doctor.version", lambda name: found)
    row = next(row for row in doctor.report() if row[0] == "jupyter-book")
    assert row[1] == status and found in row[2]
