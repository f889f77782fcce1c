"""Every data set is read, put into words, labelled and split as its miniature release says."""

import zipfile

import pandas as pd
import pytest
from miniatures import EVERY, edit, release, spoilable
from PIL import Image

from helpers.datasets import check, load_dataset
from helpers.datasets.mimic_cxr import LABELS, section
from helpers.datasets.splits import seen_in_train, straddling


def load(name, variant="authors", split=None, **options):
    return load_dataset(name, release(name), variant, split, **options)


def overlap(dataset) -> pd.Series:
    return seen_in_train(dataset.rows).mean()


def edited(name, file, change, tmp_path) -> list[pd.DataFrame]:
    """Return the rows of both variants in the order of a table that ``change`` has edited."""
    root = spoilable(name, tmp_path)
    edit(root / file, change)
    ids = pd.read_csv(root / file)[{"ham10000": "image_id", "brset": "image_id", "mbrset": "file"}[name]]
    return [load_dataset(name, root, variant).rows.set_index("pair_id").reindex(ids) for variant in ("authors", "clean")]


@pytest.mark.parametrize("name, variant, split", EVERY)
def test_a_miniature_is_usable_and_keeps_groups_whole(name, variant, split):
    report = check(name, release(name), variant, split)
    assert report.usable, str(report)
    dataset = load(name, variant, split)
    assert all((dataset.root / image).is_file() for image in dataset.rows["image"])
    assert overlap(dataset)["group"] > 0.3 if split == "by-image" else straddling(dataset.rows).empty


def test_ham10000_texts(tmp_path):
    def change(table):
        table.loc[0, ["dx_type", "age", "sex", "localization"]] = ["histo", "35.0", "female", "lower extremity"]
        table.loc[1, ["dx_type", "age", "sex", "localization"]] = ["consensus", "", "unknown", ""]

    authors, clean = edited("ham10000", "HAM10000_metadata.csv", change, tmp_path)
    missing = "Age: No data reported years. Sex: unknown. Localization: No data reported."
    assert authors["text"].iloc[:2].tolist() == [
        "Patient diagnosed via histo. Age: 35 years. Sex: female. Localization: lower extremity.",
        f"Patient diagnosed via consensus. {missing}",
    ]
    assert clean["text"].iloc[1] == missing and clean["subgroup_age"].iloc[:2].tolist() == ["under 40", "unknown"]


def test_brset_texts(tmp_path):
    findings = ["scar", "nevus", "amd", "vascular_occlusion", "drusens", "retinal_detachment", "myopic_fundus"]

    def change(table):
        table.loc[:2, [*findings, "increased_cup_disc", "other", "macular_edema", "hemorrhage"]] = "0"
        table.loc[:2, ["optic_disc", "vessels", "macula"]] = ["1", "2", "1"]
        columns = ["exam_eye", "patient_sex", "patient_age", "comorbidities", "diabetes_time_y", "insuline", "DR_ICDR"]
        table.loc[0, columns] = ["2", "1", "6O", "HAS", "12,5", "no", "3"]
        table.loc[1, columns] = ["3", "", "", "", "Não", "", "0"]
        table.loc[0, "hemorrhage"] = "1"

    authors, clean = edited("brset", "labels_brset.csv", change, tmp_path)
    person = (
        "An image from the left eye of a male patient, aged 60.0 years, with comorbidities: HAS, "
        "diabetes diagnosed for 12.5 years, not using insulin."
    )
    seen = (
        " The optic disc is present, vessels are absent, and the macula is present. Conditions include macular edema: absent, "
        "scar: absent, nevus: absent, amd: absent, vascular occlusion: absent, drusens: absent, hemorrhage: present, "
        "retinal detachment: absent, myopic fundus: absent, increased cup disc ratio: absent, and other conditions: absent."
    )
    assert authors["text"].iloc[0] == person + seen and clean["text"].iloc[0] == person
    nobody = (
        "An image from the no eye reported eye of a no sex reported patient, aged no age reported years, "
        "with no comorbidities reported, with no diabetes duration reported, "
    )
    assert authors["text"].iloc[1].startswith(nobody + "using insulin.")  # as the authors say of a missing value
    assert clean["text"].iloc[1] == nobody + "with insulin use not reported."
    assert clean["label"].iloc[:2].tolist() == ["retinopathy", "no retinopathy"]


def test_mbrset_texts(tmp_path):
    yes_no = ["insulin", "oraltreatment_dm", "systemic_hypertension", "alcohol_consumption", "smoking", "obesity"]
    yes_no += ["vascular_disease", "acute_myocardial_infarction", "nephropathy", "neuropathy", "diabetic_foot"]

    def change(table):
        table.loc[0, ["sex", "age", "dm_time", "educational_level"]] = ["1", "63", "15.0", "3.0"]
        table.loc[0, yes_no] = ["1.0", "0.0", *["1.0"] * 4, "", *["0.0"] * 3, ""]

    authors, clean = (rows["text"].iloc[0] for rows in edited("mbrset", "labels_mbrset.csv", change, tmp_path))
    assert authors == (
        "A male patient aged 63 years, diagnosed with diabetes for 15.0 years, using insulin, and not on oral treatment for "
        "diabetes. The patient is with systemic hypertension, consumes alcohol, smokes, with obesity, and does not have vascular "
        "disease. Medical history includes: no history of acute myocardial infarction, without nephropathy, without neuropathy, "
        "and does not have diabetic foot. The patient is with complete primary education."
    )
    assert "and not on oral treatment for diabetes." in clean and load("mbrset").report["rows_without_grade"] > 0
    assert "vascular disease not reported." in clean and "and diabetic foot not reported." in clean


def test_mimic_clean_text_never_holds_findings():
    authors, clean = load("mimic_cxr"), load("mimic_cxr", "clean")
    assert authors.rows["text"].str.contains("FINDINGS").all()
    for word in ("atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "FINDINGS", "IMPRESSION"):
        assert not clean.rows["text"].str.contains(word).any(), word
    assert clean.rows["text"].str.startswith("___ year old with").all()
    assert clean.report["rows_without_text"] > 0 and clean.report["images_not_frontal"] > 0
    official = pd.read_csv(release("mimic_cxr") / "mimic-cxr-2.0.0-split.csv.gz").set_index("dicom_id")["split"]
    for rows in (authors.rows, clean.rows):
        assert (rows["split"].to_numpy() == official[rows["pair_id"]].replace("validate", "val")).all()
    assert authors.task.classes == tuple(sorted([*clean.task.classes, "No Finding"])) and len(clean.task.classes) == 5


def test_mimic_uncertain_labels():
    sizes, positives = {}, {}
    for policy in ("drop", "zero", "one"):
        dataset = load("mimic_cxr", "authors", uncertain=policy)
        sizes[policy], positives[policy] = len(dataset), int(dataset.rows[dataset.task.columns].sum().sum())
    tables = pd.concat(pd.read_csv(release("mimic_cxr") / f"{part}.csv") for part in ("train", "valid", "test"))
    doubtful = tables[list(LABELS["authors"])] == -1
    assert sizes["zero"] == sizes["one"] == len(tables) and sizes["drop"] == (~doubtful.any(axis=1)).sum()
    assert positives["one"] - positives["zero"] == doubtful.sum().sum() > 0


def test_mimic_reports_from_folders(tmp_path):
    root = spoilable("mimic_cxr", tmp_path)
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip") as archive:
        archive.extractall(root)
    (root / "mimic-cxr-reports.zip").unlink()
    pd.testing.assert_frame_equal(load_dataset("mimic_cxr", root, "clean").rows, load("mimic_cxr", "clean").rows)


SECTIONS = [
    (" INDICATION:  Fever.\n\n FINDINGS:  Effusion.\n", "Fever."),
    (" INDICATION:  Fever.\n FINDINGS:  Effusion.\n", "Fever."),
    (" History: Fever. FINDINGS: Effusion.", "Fever."),
    (" INDICATION:  Fever and\n   cough.\n\n  The lungs show effusion.\n", "Fever and cough."),
    (" INDICATION:\n\n  Effusion.\n", ""),
    (" REASON FOR EXAM: Fall.\n\n CLINICAL HISTORY: Cough.\n\n IMPRESSION: Effusion.", "Fall. Cough."),
    (" FINDINGS:  History of effusion.\n", ""),
]


@pytest.mark.parametrize("report, said", SECTIONS)
def test_sections_before_the_reading(report, said):
    assert section(report) == said


def test_daquar_image_numbers_and_frequent_answers():
    authors, clean = load("daquar"), load("daquar", "clean")
    assert authors.rows["text"].str.contains(r"image\d+ \?$").all() and not clean.rows["text"].str.contains("image").any()
    assert clean.rows["text"][0] == "what is the colour of the table ?" and authors.report["repeated_questions"] == 60
    for part, dataset in (("train", clean), ("test", authors)):
        lines = (release("daquar") / f"qa.894.raw.{part}.txt").read_text().splitlines()
        pairs = dict(zip(lines[::2], lines[1::2], strict=True))  # a repeated question overwrites itself
        counts = pd.Series([a.strip() for answer in pairs.values() for a in answer.split(",")]).value_counts()
        assert set(dataset.task.classes) == set(counts.index[counts >= 100])
    two = load("daquar", min_count=1)
    assert (two.rows[two.task.columns].sum(axis=1) == 2).any()


def test_coco_qa_reads_the_names_of_2014_and_of_2017(tmp_path):
    before, root = load("coco_qa"), spoilable("coco_qa", tmp_path)
    (root / "images").mkdir()
    for path in root.glob("*2014/*.jpg"):
        path.rename(root / "images" / f"{path.stem[-12:]}.jpg")
    after = load_dataset("coco_qa", root)
    assert before.rows["image"][0] == "train2014/COCO_train2014_000000000009.jpg"
    assert after.rows["image"][0] == "images/000000000009.jpg"
    pd.testing.assert_frame_equal(before.rows.drop(columns="image"), after.rows.drop(columns="image"))
    assert before.report["repeated_questions"] == 12 and set(before.rows["split"]) == {"train", "test"}


def test_recipes5k_label_and_text_belong_to_the_recipe():
    row = load("recipes5k").rows.set_index("pair_id").loc["ramen/3_ramen.jpg"]
    ingredients = (release("recipes5k") / "annotations" / "ingredients_Recipes5k.txt").read_text(encoding="utf-8").splitlines()
    assert row[["text", "label", "split"]].tolist() == [ingredients[19], "ramen", "val"]


def test_fakeddit_samples_a_fifth_and_drops_reposts():
    authors, clean, half = load("fakeddit"), load("fakeddit", "clean"), load("fakeddit", share=0.5)
    assert len(authors) + authors.report["rows_without_image"] + authors.report["rows_without_text"] == pytest.approx(300, abs=3)
    assert len(half) > 2 * len(authors) and clean.report["rows_without_image"] > 0
    assert clean.report["rows_with_a_title_of_an_earlier_part"] == 2 and overlap(clean)["text"] == 0
    assert overlap(load("fakeddit", share=1))["text"] > 0
    assert clean.report["rows_marked_as_text_only"] == 3 and "tr00008" not in set(clean.rows["pair_id"])
    with pytest.raises(FileNotFoundError, match=r"fakeddit: 60 of .* first row 9 \(tr00010\)"):
        load("fakeddit", "clean", missing_images="error")


def test_easy_vqa_official_and_by_question():
    official, leaking = load_dataset("easy_vqa"), load_dataset("easy_vqa", split="by-question")
    assert official.rows["split"].value_counts().to_dict() == {"train": 38575, "test": 9673}
    assert overlap(official)["group"] == 0 and overlap(official)["text"] == 1 and overlap(leaking)["image"] > 0.99
    assert len(official.task.classes) == 13 and official.rows["image"].nunique() == 5000


def test_flickr8k(tmp_path):
    (tmp_path / "Images").mkdir()
    lines = ["image,caption"]
    for i in range(100):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "Images" / f"{i}.jpg")
        thing, again = ("dog", "Dogs") if i % 2 else ("hotdog", "doggy")
        others = [f"a {thing} runs", f"{again} run on grass" if i % 4 < 2 else "nothing", "hotdogs", "a man"]
        lines += [f'{i}.jpg,"a puppy, number {i}"', *(f"{i}.jpg,{other}" for other in others)]
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n")
    dataset = load_dataset("flickr8k", tmp_path, min_test_positives=2)
    rows = dataset.rows
    assert dataset.task.classes == ("dog",) and rows["text"][3] == "a puppy, number 3"
    assert rows["label_dog"][:4].tolist() == [0, 1, 0, 0]
    assert rows["split"].value_counts().to_dict() == {"train": 70, "test": 20, "val": 10}
    assert dataset.report["input_caption_names_label"] == {"dog": 1.0}
    with pytest.raises(ValueError, match="objects in test images: none occurs 20 times"):
        load_dataset("flickr8k", tmp_path)
