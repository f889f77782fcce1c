"""Sentences of pages hold for the sets and protocols that were asked for, and parameters are checked before heavy imports."""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from page_code import functions_of
from PIL import Image

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.datasets import check

SWEEP = functions_of("03_lambda_sweep")
CHECKED_FIRST = ("01", "02", "03", "05", "06", "07", "08", "09", "11", "12")  # pages that import torch only after the check


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
        "Under `converged` λ = 0.5 changes the joint test AUC by -0.0266 over 1 embedding set. Of the 95 % intervals, 1 of 1 "
    )
    assert "by +0.0004 to +0.0100 over 2 embedding sets" in two and "1 of 2 exclude zero and 1 lie within ±0.005" in two
    assert SWEEP.change_sentence("converged", effects(0.0), 0.0) == "Under `converged` no λ above 0 was swept."


def test_early_stopping_is_said_to_act_rarely_only_where_it_does():
    rows = pd.DataFrame({"epochs": [100, 100, 30], "trained": [100, 100, 40]})
    assert SWEEP.epochs_sentence("paper", rows).endswith("for 67% of 3 probes: early stopping rarely acts, the epochs run out.")
    assert (
        SWEEP.epochs_sentence("paper", rows.iloc[2:]) == "Under `paper` the best epoch is the last one allowed for 0% of 1 probe."
    )


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
        "Path": Path,
    }
    for start in ("if own:", "if not own:"):
        exec(cell("08_adapt", start), names)
    text = " ".join(said)
    assert ("easy-VQA" in text) == ("small and synthetic" in text) == (not own) and ("pairs.csv" in text) == own


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
    page = {"check": check, "where": where, "columns": {"group": "group"}, "credentialed": False, "backbone": "clip"}
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
