"""Pages 05 and 08 give their answer in the executed notebook itself, and leave an alignment that was evaluated."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT

from helpers import GapAlignment


def run(name: str, folder, **parameters) -> str:
    """Return the texts that an executed notebook shows below its cells."""
    given = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    command = [sys.executable, "-m", "papermill", ROOT / f"notebooks/{name}.ipynb", folder / "out.ipynb", *given]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((folder / "out.ipynb").read_text())["cells"]
    assert not [c for c in cells if c["cell_type"] == "markdown" and "{glue:" in "".join(c["source"])]
    return "\n".join("".join(o["data"].get("text/markdown", "")) for c in cells for o in c.get("outputs", ()) if "data" in o)


@pytest.mark.parametrize("lambdas", [[0, 0.5], [0, 0.0001]], ids=["apart", "equals"])  # of equals the smallest is chosen: none
def test_whether_lambda_is_worth_it_is_said_where_it_was_run(store, tmp_path, lambdas):
    quick = {"protocol": "authors-code", "n_boot": 100, "lambdas": lambdas, "seeds": [1], "alignments": "centring"}
    text = run("05_is_lambda_worth_it", tmp_path, dataset="ham10000", backbone="lit-derm", store=store, results=tmp_path, **quick)
    chosen = pd.read_parquet(tmp_path / "worth_it.parquet").set_index("features").loc["joint", "lambda_image"]
    assert chosen == (0.5 if lambdas[1] == 0.5 else 0)
    answer = f"select λ = {chosen:g} (" if chosen else "select no alignment (λ = 0)."
    assert f"For HAM10000 under lit-derm, validation rows {answer}" in text
    path = tmp_path / "ham10000--clean--lit-derm.safetensors"
    assert path.is_file() == (f'GapAlignment.load("{path}")' in text) == (chosen > 0)
    if chosen:
        assert GapAlignment.load(path).lam == chosen
    table = pd.read_parquet(tmp_path / "worth_it_alignments.parquet")
    assert list(table["alignment"]) == ["none", "centring"] and "Do nothing" in text or "Use centring" in text


def test_what_alignment_does_to_own_data_is_said_where_it_was_run(tmp_path):
    text = run("08_adapt", tmp_path, n_images=40, protocol="authors-code", n_boot=100, results=tmp_path)
    assert "pairs of 40 images and " in text and "At λ = 1 the AUC of the joint probe changes by " in text
