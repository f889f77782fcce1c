"""Training projection heads is reproducible, ignores test rows and beats chance; loss and descent agree with oracles."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from miniatures import release
from photographs import synthetic_photographs
from safetensors.numpy import load_file, save_file

from helpers import load_backbone
from helpers.cli import main
from helpers.files import project_root
from helpers.heads import (
    Settings,
    TowerFeatures,
    TrainingPairs,
    contrastive_loss,
    initial_heads,
    tower_features,
    train,
    training_path,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return synthetic_photographs(tmp_path_factory.mktemp("heads"), n=30)


@pytest.fixture(scope="module")
def features(dataset):
    return tower_features([dataset])


def random_pairs(n: int, n_texts: int, random_state: int = 0) -> TrainingPairs:
    rng = np.random.default_rng(random_state)
    image, text = (rng.normal(size=shape).astype(np.float32) for shape in ((n, 1280), (n_texts, 384)))
    return TrainingPairs(image, text, [[i % n_texts] for i in range(n)])


def test_training_gives_the_same_bytes_again_and_from_stored_features_and_others_for_another_seed(features, tmp_path):
    stored = TowerFeatures.load(features.save(tmp_path / "features"))
    for out, seed, one in (("a", 0, features), ("b", 0, features), ("c", 0, stored), ("d", 1, features)):
        train(one, "common", "lit-small", tmp_path / out, Settings(epochs=3, random_state=seed))
    a, b, c, d = ((tmp_path / out / "lit-small.safetensors").read_bytes() for out in "abcd")
    assert a == b == c != d


@pytest.mark.parametrize("temperature", [0.01, "learned"])
def test_heads_learn_load_and_do_not_see_the_test_rows(dataset, features, tmp_path, temperature):
    settings = Settings(temperature, epochs=40)
    record = train(features, "common", "lit-small", tmp_path, settings)
    first, last = record["objective"]["loss_first_last_epoch"]
    assert last < 0.5 * first
    assert record["trained_on"]["pairs"] == 10 and record["held_out"]["pairs"] == 10
    backbone = load_backbone("lit-small", weights=tmp_path / "lit-small.safetensors")
    assert backbone.dim == 256 and backbone.encode_texts(["x"]).shape == (1, 256)
    before = (tmp_path / "lit-small.safetensors").read_bytes()
    other = features.text.copy()
    other[features.captions.loc[features.captions["split"] == "test", "text"]] = 1.0
    train(replace(features, text=other), "common", "lit-small", tmp_path, settings)
    assert (tmp_path / "lit-small.safetensors").read_bytes() == before
    assert str(tmp_path) not in json.dumps(record) and str(dataset.root) not in json.dumps(record)


def test_the_shipped_heads_are_what_the_command_trains(tmp_path):
    """Same bytes on the machine and thread count that made them; elsewhere the last bits of a matrix product may differ."""
    name = "lit-natural"
    record = json.loads((project_root() / f"data/heads/{name}.json").read_text())
    command = record["run"]["command"].split()[3:]
    threads = torch.get_num_threads()
    torch.set_num_threads(record["run"]["threads"])
    try:
        assert main([*command, "--out", str(tmp_path)]) == 0
    finally:
        torch.set_num_threads(threads)
    made, shipped = (load_file(folder / f"{name}.safetensors") for folder in (tmp_path, project_root() / "data/heads"))
    for modality in ("image", "text"):
        difference = np.abs(made[modality].astype(np.float64) - shipped[modality])
        assert difference.max() < 0.02 and difference.mean() < 5e-4


@pytest.mark.parametrize("texts", [[0, 1, 0, 2, 1, 0, 3], list(range(7))])
def test_several_positives_share_the_target_as_a_plain_loop_says(texts):
    rng = np.random.default_rng(1)
    v, t = (torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(7, 5))), dim=1) for _ in range(2))
    tau = 0.1
    t = t[torch.tensor([texts.index(k) for k in texts])]
    total = 0.0
    for a, b in ((v, t), (t, v)):
        for i in range(7):
            scores = [float(a[i] @ b[j]) / tau for j in range(7)]
            top = max(scores)
            log_sum = top + np.log(sum(np.exp(s - top) for s in scores))
            positives = [j for j in range(7) if texts[j] == texts[i]]
            total += sum(log_sum - scores[j] for j in positives) / len(positives) / 7 / 2
    assert float(contrastive_loss(v, t, 1 / tau, torch.tensor(texts))) == pytest.approx(total, abs=1e-12)


def test_ten_steps_of_training_against_float64():
    pairs, tau, rate = random_pairs(24, 9), 0.1, 1e-3
    *_, trained = training_path(pairs, Settings(tau, rate, epochs=10, random_state=3))
    x = [pairs.image.astype(np.float64), pairs.text[pairs.first].astype(np.float64)]
    start = initial_heads(3)
    w = [start[m].numpy().astype(np.float64) for m in ("image", "text")]
    moments = [[np.zeros_like(one), np.zeros_like(one)] for one in w]
    same = (pairs.first[:, None] == pairs.first[None, :]).astype(float)
    target = same / same.sum(1, keepdims=True)
    for step in range(1, 11):
        raw = [a @ b.T for a, b in zip(x, w, strict=True)]
        norms = [np.linalg.norm(r, axis=1, keepdims=True) for r in raw]
        unit = [r / n for r, n in zip(raw, norms, strict=True)]
        logits = unit[0] @ unit[1].T / tau
        rows, columns = (np.exp(z - z.max(1, keepdims=True)) for z in (logits, logits.T))
        rows, columns = rows / rows.sum(1, keepdims=True), columns / columns.sum(1, keepdims=True)
        slope = ((rows - target) + (columns - target).T) / (2 * len(logits) * tau)
        for m, outer in enumerate((slope @ unit[1], slope.T @ unit[0])):
            inner = (outer - unit[m] * (outer * unit[m]).sum(1, keepdims=True)) / norms[m]
            gradient = inner.T @ x[m]
            first, second = moments[m]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            w[m] *= 1 - rate * 0.01
            w[m] -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    for made, expected in zip((trained.image, trained.text), w, strict=True):
        assert np.abs(made - expected).max() < 2e-4 and np.abs(made - expected).mean() < 2e-6


@pytest.mark.parametrize("temperature", [0, float("nan"), float("inf"), "warm"])
def test_a_temperature_without_meaning_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        Settings(temperature)


def test_damaged_absent_or_insufficient_features_and_heads_are_named(features, tmp_path):
    with pytest.raises(ValueError, match="0 training"):
        train(replace(features, captions=features.captions.assign(split="test")), "common", "x", tmp_path)
    features.save(tmp_path / "features")
    with open(tmp_path / "features" / "text.safetensors", "ab") as stream:
        stream.write(b"x")
    with pytest.raises(ValueError, match="text.safetensors"):
        TowerFeatures.load(tmp_path / "features")
    with pytest.raises(FileNotFoundError, match="heads features"):
        TowerFeatures.load(tmp_path / "absent")
    save_file({"image": np.zeros((8, 4), np.float32), "text": np.zeros((8, 384), np.float32)}, tmp_path / "h.safetensors")
    with pytest.raises(ValueError, match=r"expected image \(d, 1280\)"):
        load_backbone("lit-small", weights=tmp_path / "h.safetensors")
    with pytest.raises(FileNotFoundError, match="heads train"):
        load_backbone("lit-small", weights=tmp_path / "absent.safetensors")


def test_features_of_all_variants_are_made_by_the_command(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("helpers.heads.tower_features", lambda variants, command: made.append((variants, command)) or TowerFeatures)
    monkeypatch.setattr(TowerFeatures, "save", lambda folder: folder)
    assert main(["heads", "features", "ham10000", "--root", str(release("ham10000")), "--out", str(tmp_path)]) == 0
    (variants, command), *_ = made
    assert [(v.variant, v.report["split"]) for v in variants] == [("clean", "lesion-disjoint"), ("authors", "lesion-disjoint")]
    assert command == "python -m helpers heads features ham10000 --root ROOT"


def test_shipped_features_hold_every_image_and_no_text():
    for dataset, images, variants in (("flickr8k", 1000, ["common"]), ("ham10000", 5984, ["authors", "clean"])):
        features = TowerFeatures.load(project_root() / "data/features" / dataset)
        assert features.image.shape == (images, 1280) and features.text.shape[1] == 384
        assert sorted(features.captions["variant"].unique()) == variants
        assert pd.api.types.is_integer_dtype(features.captions["text"]) and "sentence" not in features.captions


def test_the_width_before_any_head_is_that_of_the_pairs_of_one_variant(features):
    captions = pd.concat([features.captions, features.captions.assign(variant="other", image=0)])
    both = replace(features, captions=captions)
    unit = features.image / np.linalg.norm(features.image, axis=1, keepdims=True)
    assert both.resultants("common")["image"] == pytest.approx(np.linalg.norm(unit.mean(axis=0)), abs=1e-6)
    assert both.resultants("other")["image"] == pytest.approx(1, abs=1e-6)


def test_shipped_heads_and_the_page_that_trains_heads_have_the_default_settings():
    default = Settings()
    for name in ("lit-natural", "lit-derm"):
        objective = json.loads((project_root() / f"data/heads/{name}.json").read_text())["objective"]
        assert [objective[key] for key in ("temperature", "rate", "epochs")] == [default.temperature, default.rate, default.epochs]
    source = (project_root() / "notebooks/10_where_the_gap_comes_from.py").read_text(encoding="utf-8")
    assert f"rates = [{default.rate}]" in source and f"temperatures = [{default.temperature}]" in source
