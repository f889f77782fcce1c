"""Training projection heads is reproducible, ignores test rows and beats chance; loss and descent agree with oracles."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from miniatures import release
from photographs import synthetic_photographs
from safetensors.numpy import load_file, save_file

from helpers import load_backbone
from helpers.tower_features import TowerFeatures, TrainingPairs, shipped_features

sys.path.insert(0, str(ROOT / "studies"))
import heads as study  # noqa: E402
from head_training import Settings, contrastive_loss, training_path  # noqa: E402


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return study.tower_features([synthetic_photographs(tmp_path_factory.mktemp("heads"), n=30)])


@pytest.mark.parametrize("temperature", [0.01, "learned"])
def test_heads_learn_and_are_the_same_again_whatever_the_test_rows_and_others_for_another_seed(features, tmp_path, temperature):
    settings = Settings(temperature, epochs=40)
    record = study.train(features, "common", "lit-small", tmp_path, settings)
    first, last = record["objective"]["loss_first_last_epoch"]
    assert last < 0.5 * first and str(tmp_path) not in json.dumps(record)
    path, heads = tmp_path / "lit-small.safetensors", load_backbone("lit-small", weights=tmp_path / "lit-small.safetensors")
    assert heads.dim == 256 and record["trained_on"]["pairs"] == record["held_out"]["pairs"] == 10
    stored, made = TowerFeatures.load(study.save_features(features, tmp_path / "features")), [path.read_bytes()]
    text = stored.text.copy()
    text[features.captions.loc[features.captions["split"] == "test", "text"]] = 1.0
    for state in (0, 1):
        study.train(replace(stored, text=text), "common", "lit-small", tmp_path, replace(settings, random_state=state))
        made.append(path.read_bytes())
    assert made[0] == made[1] != made[2]


def test_the_shipped_heads_are_what_the_recorded_command_trains(tmp_path):
    """Same bytes on the machine and thread count that made them; elsewhere the last bits of a matrix product may differ."""
    name = "lit-natural"
    run, threads = json.loads((ROOT / f"data/heads/{name}.json").read_text())["run"], torch.get_num_threads()
    torch.set_num_threads(run["threads"])
    try:
        study.main([*run["command"].removeprefix("python studies/heads.py ").split(), "--out", str(tmp_path)])
    finally:
        torch.set_num_threads(threads)
    assert json.loads((tmp_path / f"{name}.json").read_text())["run"]["command"] == run["command"]
    made, shipped = (load_file(folder / f"{name}.safetensors") for folder in (tmp_path, ROOT / "data/heads"))
    for modality in ("image", "text"):
        difference = np.abs(made[modality].astype(np.float64) - shipped[modality])
        assert difference.max() < 0.02 and difference.mean() < 5e-4
    page, default = (ROOT / "notebooks/10_where_the_gap_comes_from.py").read_text(encoding="utf-8"), Settings()
    assert f"rates = [{default.rate}]" in page and f"temperatures = [{default.temperature}]" in page
    given = f"--temperature {default.temperature} --rate {default.rate} --epochs {default.epochs} --seed {default.random_state}"
    assert all(given in (ROOT / f"data/heads/{name}.json").read_text() for name in ("lit-natural", "lit-derm"))


@pytest.mark.parametrize("texts", [[0, 1, 0, 2, 1, 0, 3], list(range(7))])
def test_several_positives_share_the_target_as_a_plain_loop_says(texts):
    rng = np.random.default_rng(1)
    v, t = (torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(7, 5))), dim=1) for _ in range(2))
    tau, total = 0.1, 0.0
    t = t[torch.tensor([texts.index(k) for k in texts])]
    for a, b in ((v, t), (t, v)):
        for i in range(7):
            scores, positives = b @ a[i] / tau, [j for j in range(7) if texts[j] == texts[i]]
            total += sum(float(scores.exp().sum().log() - scores[j]) for j in positives) / len(positives) / 7 / 2
    assert float(contrastive_loss(v, t, 1 / tau, torch.tensor(texts))) == pytest.approx(total, abs=1e-12)


def test_ten_steps_of_training_against_float64():
    rng, tau, rate = np.random.default_rng(0), 0.1, 1e-3
    image, text = (rng.normal(size=shape).astype(np.float32) for shape in ((24, 1280), (9, 384)))
    pairs = TrainingPairs(image, text, [[i % 9] for i in range(24)])
    start, *_, trained = training_path(pairs, Settings(tau, rate, epochs=10, random_state=3))
    x = [torch.from_numpy(one).double() for one in (pairs.image, pairs.text[pairs.first])]
    w = [torch.from_numpy(one).double().requires_grad_() for one in (start.image, start.text)]
    assert [round(float(one.detach().abs().max()) * one.shape[1] ** 0.5, 2) for one in w] == [1, 1]
    target = torch.from_numpy(pairs.first[:, None] == pairs.first[None, :]).double()
    target, optimizer = target / target.sum(1, keepdim=True), torch.optim.AdamW(w, rate)
    for _ in range(10):
        v, t = (a @ b.T / (a @ b.T).norm(dim=1, keepdim=True) for a, b in zip(x, w, strict=True))
        logits = v @ t.T / tau
        loss = -sum((target * (z - z.logsumexp(1, keepdim=True))).sum() for z in (logits, logits.T)) / (2 * len(logits))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for made, expected in zip((trained.image, trained.text), w, strict=True):
        difference = np.abs(made - expected.detach().numpy())
        assert difference.max() < 2e-4 and difference.mean() < 2e-6


def test_settings_features_and_heads_that_cannot_be_used_are_named(features, tmp_path, capsys):
    for temperature in (0, float("nan"), float("inf"), "warm"):
        with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
            Settings(temperature)
    with pytest.raises(ValueError, match="0 training"):
        study.train(replace(features, captions=features.captions.assign(split="test")), "common", "x", tmp_path)
    with pytest.raises(SystemExit, match="2"):
        study.main(["train", "flickr8k", "--name", "x", "--features", str(tmp_path)])
    said = capsys.readouterr().err
    assert said.startswith("error: no features in") and "`python studies/heads.py features flickr8k --root FOLDER`" in said
    save_file({"image": np.zeros((8, 4), np.float32), "text": np.zeros((8, 384), np.float32)}, tmp_path / "h.safetensors")
    with pytest.raises(ValueError, match="h.safetensors: image has shape .8, 4., expected n x 1280"):
        load_backbone("lit-small", weights=tmp_path / "h.safetensors")
    with pytest.raises(OSError, match="studies/heads.py train"):
        load_backbone("lit-small", weights=tmp_path / "absent.safetensors")


def test_features_of_all_variants_are_made_by_the_command(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(study, "tower_features", lambda *given: made.append(given))
    monkeypatch.setattr(study, "save_features", lambda features, folder: folder)
    study.main(["features", "ham10000", "--root", str(release("ham10000")), "--out", str(tmp_path)])
    (variants, command), *_ = made
    assert [(v.variant, v.report["split"]) for v in variants] == [("clean", "lesion-disjoint"), ("authors", "lesion-disjoint")]
    assert command == "python studies/heads.py features ham10000 --root ROOT"


def test_shipped_features_hold_every_image_and_no_text():
    for dataset, images, variants in (("flickr8k", 1000, ["common"]), ("ham10000", 5984, ["authors", "clean"])):
        features = shipped_features(dataset)
        own = features.captions.query("variant == @variants[0] and caption == 0")
        assert features.of_variant(variants[0], own=True)[["image", "text"]].equals(own[["image", "text"]])
        assert features.image.shape == (images, 1280) and features.text.shape[1] == 384
        assert sorted(features.captions["variant"].unique()) == variants
        assert pd.api.types.is_integer_dtype(features.captions["text"]) and "sentence" not in features.captions
