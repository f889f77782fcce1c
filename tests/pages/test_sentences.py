"""Sentences of pages hold for the sets and protocols that were asked for, and parameters are checked before heavy imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, small_set
from page_code import functions_of
from PIL import Image
from runs import SMALL
from test_missing_sets import run_page

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.datasets import check
from helpers.page import notebook_defaults
from helpers.published import authors_sweep
from helpers.schemas import shipped_table
from helpers.statistics import MARGIN

SWEEP = functions_of("03_lambda_sweep")
CHECKED_FIRST = ("01", "02", "03", "05", "07", "08", "09", "11", "12")  # pages that import torch only after the check


def effects(*changes: float) -> pd.DataFrame:
    return pd.DataFrame({"difference": changes, "low": [c - 0.001 for c in changes], "high": [c + 0.001 for c in changes]})


@pytest.mark.parametrize(
    ("trained", "shown"),
    [
        (["converged"], ("converged", None)), (["paper"], ("paper", None)), (["converged-balanced"], ("converged-balanced", None)),
        (["paper", "authors-code", "converged"], ("converged", "authors-code")),
        (["paper", "converged-balanced"], ("converged-balanced", "paper")),
        (["converged", "paper-matched"], ("converged", "paper-matched")), (["paper", "authors-code"], ("paper", "authors-code")),
    ],
)  # fmt: skip
def test_only_a_protocol_that_is_not_trained_to_convergence_is_called_so(trained, shown):
    assert SWEEP.protocols_to_show(trained) == shown
    for name in filter(None, shown):
        said = "not trained to convergence" in SWEEP.change_sentence(name, effects(0.01), 1.0)
        assert said == ("converged" not in name)


def test_one_set_has_one_value_and_a_range_has_two():
    one, two = (SWEEP.change_sentence("converged", effects(*changes), 0.5) for changes in ([-0.02663], [0.01, 0.0004]))
    assert one.startswith(
        "On 1 embedding set under `converged`, λ = 0.5 changes the test AUC of the joint probe by −0.0266. Of the 95 % intervals, "
    )
    assert ", 1 of 1 exclude zero and 0 of 1 lie within ±0.005, " in one
    assert "On 2 embedding sets " in two and "by +0.0004 to +0.0100. " in two and "1 of 2 exclude zero and 1 of 2 lie within" in two
    assert SWEEP.change_sentence("converged", effects(0.0), 0.0) == "Under `converged` no λ above 0 was swept."


def test_a_set_whose_gain_does_not_shrink_is_named_as_an_exception():
    audit = functions_of("12_protocol_audit", "SETS", "TEXTS")
    gains = pd.DataFrame(
        {"dataset": ["flickr8k", "ham10000"], "variant": "common", "backbone": "b", "gain": [-0.001, 0.01], "auc": 0.9}
    )
    limit, unaligned = gains.assign(gain=[0.003, 0.001]), gains.assign(gain=0.0, auc=[0.8, 0.95])
    said = audit.training_sentence(gains, limit, unaligned)
    assert "shrinks on 1 of 2 sets. It does not shrink on Flickr8k · b (-0.0010, then +0.0030). " in said
    assert said.endswith("than with λ = 1 after these updates on 1 of 2.")
    assert "It does not" not in audit.training_sentence(gains.iloc[1:], limit.iloc[1:], unaligned.iloc[1:])


def test_early_stopping_is_said_not_to_act_only_where_it_does_not():
    rows = pd.DataFrame({"epochs": [100, 100, 30], "trained": [100, 100, 40]})
    said = [SWEEP.epochs_sentence("paper", of) for of in (rows, rows[:2], rows[:1], rows[2:])]
    assert said[0].endswith("the last epoch is the best for 67% of 3 probes, so early stopping rarely triggered.")
    assert said[1].endswith("early stopping never triggered: all 2 probes were still improving at the last epoch.")
    assert said[2].endswith("early stopping never triggered: the probe was still improving at the last epoch.")
    assert said[3] == "Under `paper` the last epoch is the best for 0% of 1 probe."


def test_headings_that_state_a_finding_hold_in_the_tables_that_their_sections_show():
    """A table that is measured anew and says something else makes the heading of its section wrong."""
    headings = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "notebooks").glob("*.py")))
    matched, redrawn, heads = (
        shipped_table(f"measured/{name}", dtype={"split": str}) for name in ("matched_sensitivity", "repeated_splits", "gap_heads")
    )
    by_temperature = heads.pivot(index=["dataset", "rate", "random_state"], columns="temperature", values="gap")
    of_splits = redrawn[redrawn["split"] != "fixed"].groupby(["dataset", "variant", "backbone"])["gain"]

    def at_one(sweep):
        return sweep[sweep["lambda"] == 1].set_index(["dataset", "backbone"])["gain"]

    longer = at_one(authors_sweep(longer=True))
    held = {
        "With matched rows, HAM10000 gains more than Flickr8k": matched.loc[matched["dataset"].str.contains("minus"), "gain"] > 0,
        "On the shipped sets, the gain of a converged probe stays small over redrawn splits": of_splits.mean().abs() < MARGIN,
        "A fixed low temperature keeps the gap wider than a learned one": by_temperature["0.01"] > by_temperature["learned"],
        "Trained longer, the authors' own probe gains less": longer < at_one(authors_sweep()).loc[longer.index],
    }
    for heading, holds in held.items():
        assert f"# ## {heading}\n" in headings and len(holds) and holds.all(), heading


def test_a_stored_study_is_read_for_the_sets_encoders_and_text_of_the_page_alone():
    study = pd.read_csv(ROOT / "data/measured/channel_factorial.csv")
    table = pd.DataFrame({"dataset": "ham10000", "variant": ["clean", "clean"], "backbone": "lit-derm", "protocol": "converged"})
    found = SWEEP.of_this_page(study, table)
    assert set(found["backbone"]) == {"lit-derm"} and set(found["protocol"]) == {"converged"} and list(found) == list(study)
    assert len(found) == len(study.query("dataset == 'ham10000' and backbone == 'lit-derm' and protocol == 'converged'"))
    assert SWEEP.of_this_page(study, table.assign(variant="authors")).empty


def test_an_answer_from_untrained_probes_says_so():
    caveat = functions_of("05_is_lambda_worth_it").caveat
    assert caveat("converged") == caveat("converged-balanced") == ""
    assert "`paper` are not trained to convergence" in caveat("paper") and "no advice" in caveat("authors-code")


def test_the_contrast_of_the_test_bench_is_claimed_only_where_all_of_it_is_shown():
    shows = functions_of("01_cone_effect").shows_the_contrast
    every = [(d, b) for d in ("flickr8k", "ham10000", "own") for b in ("lit-natural", "lit-derm")]
    assert shows(every) and not shows(every[1:]) and not shows([])


def cell(page: str, start: str) -> str:
    """Return the code of the one cell of a notebook whose first line starts so."""
    cells = [part.partition("\n")[2] for part in (ROOT / f"notebooks/{page}.py").read_text("utf-8").split("\n# %%")]
    (found,) = [code for code in cells if code.startswith(start)]
    return found


@pytest.mark.parametrize("own", [True, False])
def test_an_own_table_is_not_called_pictures_of_easy_vqa(own):
    said: list[str] = []
    page = SimpleNamespace(show_text=lambda sentence, **values: said.append(sentence.format(**values)))
    names = {
        "own": own,
        "page": page,
        "table": "study/pairs.csv",
        "root": None,
        "rows": pd.DataFrame(),
        "display": lambda _: None,
        "format_table": lambda *_, **__: None,
        "Path": Path,
    }
    for start in ("if own:", "if not own:"):
        exec(cell("08_adapt", start), names)
    text = " ".join(said)
    assert ("easy-VQA" in text) == ("small and synthetic" in text) == (not own) and ("pairs.csv" in text) == own


def test_every_sentence_of_a_page_is_shown_by_the_one_function_that_formats_numbers():
    """Markdown is made from a constant, or from what ``printed``, ``fill`` (which prints) or ``Page.show_text`` returns."""
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Markdown":
                (content,) = node.args
                made_by = ast.unparse(content.func) if isinstance(content, ast.Call) else None
                assert isinstance(content, ast.Constant) or made_by in ("printed", "fill"), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    ("column", "cells", "answer"),
    [
        ("label", ["a", "b", "NA", "b", "a", "-1"], "has 2 missing value(s) (1 NA, 1 -1), first at "),
        ("group", ["p", "p", "q", "q", "r", None], "has 1 missing value(s) (1 empty), first at "),
        (
            "label",
            ['["a"]', '["a", "b"]', "[]", '["nan"]', '["b"]', '["a"]'],
            "has a name that reads as missing",
        ),
        ("label", ['["a"]', '["a", "b"]', "[]", "b", '["b"]', '["a"]'], "holds lists of words, and something else in "),
    ],
)
def test_one_bad_column_has_one_answer_at_every_entrance(column, cells, answer, tmp_path, capsys):
    rows = pd.DataFrame(
        {"image": "a.png", "text": [f"text {i}" for i in range(6)], "label": list("ababab"), "group": list("ppqqrr")}
    )
    rows[column] = cells
    image, text = np.random.default_rng(0).normal(size=(2, 6, 4))
    for name, x in (("img_emb_", image), ("text_emb_", text)):
        rows = rows.join(pd.DataFrame(x).add_prefix(name))
    rows.to_csv(tmp_path / "e.csv", index=False)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    where = {"root": str(tmp_path / "e.csv"), "table": None}
    page = {
        "check": check,
        "where": where,
        "columns": {"group": "group"},
        "credentialed": False,
        "backbone": "clip",
        "on_error": "fail",
    }
    names = ["--group", "group", "--dataset", "d", "--backbone", "b", "--out", str(tmp_path / "s")]
    for entrance in (
        lambda: EmbeddingSet.from_csv(tmp_path / "e.csv", group="group"),
        lambda: EmbeddingSet.from_arrays(image, text, rows["label"].tolist(), groups=rows["group"].tolist()),
        lambda: exec(cell("08_adapt", "report = check("), page),
    ):
        with pytest.raises(ValueError) as caught:
            entrance()
        assert answer in str(caught.value)
    for command, code in (
        (["import", where["root"], *names], 2),
        (["check", "manifest", "--root", where["root"], "--option", "group=group"], 1),
    ):
        assert main(command) == code
        assert answer in "".join(capsys.readouterr())


def test_parameters_are_checked_before_torch_is_imported():
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        if path.name[:2] in CHECKED_FIRST:
            before, _, _ = path.read_text("utf-8").partition("\npage = Page(")
            imports = [n for n in ast.parse(before).body if isinstance(n, ast.Import | ast.ImportFrom)]
            code = "\n".join(map(ast.unparse, imports)) + "\nimport sys; sys.exit('torch' in sys.modules)"
            assert subprocess.run([sys.executable, "-c", code]).returncode == 0, path.name


@pytest.mark.parametrize(
    ("split", "labelled", "said"),
    [
        (("train", "val", "test"), False, "has no labels, which say what is relevant"),
        (("train", "train", "test"), True, "has no validation rows, whose texts search"),
        (("train", "train", "train"), False, None),
    ],
)
def test_page_11_measures_an_own_set_without_labels_or_validation_rows_and_says_what_it_leaves_out(split, labelled, said, tmp_path):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(60, 8)) + 1
    labels = np.array(["a", "b"])[np.arange(60) % 2] if labelled else None
    vectors = image, image + rng.normal(size=(60, 8)) - 2
    own = EmbeddingSet.from_arrays(*vectors, labels, np.repeat(split, 20), dataset="own", variant="clean", backbone="clip")
    shown, tables = [], {}
    page = SimpleNamespace(
        show_text=lambda sentence, **values: shown.append(sentence.format(**values)),
        save_table=lambda table, name: tables.setdefault(name, table),
    )
    names = vars(functions_of("11_what_lambda_closes")) | {
        "embeddings_for": lambda *_: own, "dataset": "own", "backbone": "clip", "n_boot": 20, "page": page,
    }  # fmt: skip
    starts = "def penalty_of_renormalising", "def cosine_counts", "CHANGES = "
    if said is None:
        with pytest.raises(ValueError, match="own has no test rows"):
            exec(cell("11_what_lambda_closes", starts[0]), names)
        return
    for start in starts:
        exec(cell("11_what_lambda_closes", start), names)
    assert set(tables) == {"alignment_penalty", "alignment_cosines"} and f"Not measured: own / clean / clip {said}." in shown[-1]


ONE_OF_MANY = r"\b1 (?:embedding set|data set|encoder|curve|probe|seed|sweep|group|row|random choice)s\b"
EVERYWHERE = ONE_OF_MANY + r"|(?<![\d.])([-+]?\d[\d.]*%?) to \1(?![\d.%])|\bnan\b"
OTHERS = r"Flickr8k|HAM10000|lit-natural|lit-derm"  # sets and encoders of the tests that are not in the case
CASES = {  # case: what its pages must not say, and the pages it is run on
    "one": (r"Flickr8k|lit-natural|[Uu]nder `(?:paper|converged)`|both kinds", ("01", "02", "03", "05")),
    "own": (OTHERS, ("01", "02", "03", "05", "07", "09", "12")),
    "unlabelled beside": (OTHERS, ("01", "02", "03", "05", "09", "12")),
    "unlabelled alone": (OTHERS + r"|\bAUC\b", ("01", "02", "09", "12")),
}
SHIPPED_STUDIES = ("07", "09", "12")  # pages that also show shipped tables or other raw data, whose sets they may name


def sets_of(case: str, folder: Path) -> Path:
    """Store the sets of a case: one of two shipped names under one of two encoders, an own set, or pairs without labels."""
    own = small_set("mine", "clean", "enc", False, 3)
    if case == "one":
        for seed, (dataset, encoder) in enumerate(
            [("ham10000", "lit-derm"), ("ham10000", "lit-natural"), ("flickr8k", "lit-derm")]
        ):
            small_set(dataset, "clean", encoder, False, seed).save(folder / dataset / "clean" / encoder)
    elif case != "unlabelled alone":
        own.save(folder / "mine/clean/enc")
    if case.startswith("unlabelled"):
        loose = EmbeddingSet.from_arrays(own.image_of(), own.text_of(), dataset="loose", variant="clean", backbone="enc")
        loose.save(folder / "loose/clean/enc")
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize(("case", "number"), [(case, number) for case, (_, pages) in CASES.items() for number in pages])
def test_a_page_says_nothing_that_its_case_forbids(case, number, tmp_path):
    name = next(page for page in SMALL if page.startswith(number))
    asked = (
        {"datasets": ["ham10000"], "backbones": ["lit-derm"], "dataset": "ham10000", "backbone": "lit-derm"}
        if case == "one"
        else {}
    )
    asked |= {"dataset": "mine", "backbone": "enc"} if number == "05" and case != "one" else {}
    given = SMALL[name] | asked | {"variant": ["clean"] if number == "03" else "clean", "sweeps": str(tmp_path / "sweeps")}
    given |= {"store": str(sets_of(case, tmp_path / "store")), "results": str(tmp_path / "results")}
    _, said = run_page(name, **{k: v for k, v in given.items() if k in notebook_defaults(ROOT / f"notebooks/{name}.ipynb")})
    prose = re.sub(r"(?s)<(table|style|svg|script|div).*?</\1>", "", said.partition("Run this page again")[0])
    prose = re.sub(r"No embeddings of .* are stored here.*", "", prose)
    assert re.findall(EVERYWHERE, prose) == [], prose[:1500]
    assert number in SHIPPED_STUDIES or re.findall(CASES[case][0], prose) == [], prose[:1500]
    told = "Without labels, which a probe needs, and so not among the probes: loose under enc." in prose
    assert told == (case.startswith("unlabelled") and number in ("03", "12"))


@pytest.mark.parametrize("number", ["03", "05"])
def test_a_page_of_probes_refuses_unlabelled_pairs_alone_in_one_sentence(number, tmp_path):
    name = next(page for page in SMALL if page.startswith(number))
    store = str(sets_of("unlabelled alone", tmp_path / "store"))
    given = {"variant": ["clean"]} if number == "03" else {"dataset": "loose", "backbone": "enc"}
    with pytest.raises(ValueError, match="this set has no labels, which a probe needs; make it again with labels"):
        run_page(name, **SMALL[name] | given | {"store": store, "results": str(tmp_path / "results")})
