"""The doctor reports every encoder and data set once, with what to do about missing ones."""

import pytest
from tiny_encoders import jpegs

from helpers import doctor
from helpers.backbones import REGISTRY
from helpers.datasets import DATASETS


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
