"""Exported test scores are enough to recompute every interval, without the package."""

import importlib.util
import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from samples import embedding_set

from helpers import PROTOCOLS, sweep
from helpers.cli import main
from helpers.probing.result import score_table, write_scores

SCRIPT = ROOT / "tests/verification/recompute_intervals.py"
QUICK = {"batch_size": 32, "max_epochs": 4, "lr": 0.3}
N_BOOT = 60
TABLES = ("lambda_effects", "channel_effects", "lambda_selected")


def test_every_interval_of_the_page_is_recomputed_and_one_that_differs_is_found(tmp_path, monkeypatch, capsys):
    swept, kinds = {"lambda": [], "alignments": []}, ("binary", "multiclass", "multiclass", "multilabel")
    for kind, name in zip(kinds, ("paper", "paper", "authors-code", "authors-code"), strict=True):
        embeddings = embedding_set(kind, groups=np.arange(150) // 3, val=False)
        protocol = PROTOCOLS[name].replace(name=f"{name} {kind}", **QUICK)
        options = {"seeds": (1, 2), "protocol": protocol, "progress": False, "workers": 1}
        swept["lambda"].append(sweep(embeddings, [0, 0.5, 1], **options))
        swept["alignments"].append(sweep(embeddings, [0, 1], alignments=("lambda", "spread", "centred"), **options))
    tables = {part: [score_table(r, part) for r in results] for part, results in swept.items()}
    write_scores([t for ts in tables.values() for t in ts[:3]], tmp_path / "first.parquet")
    write_scores([ts[3] for ts in tables.values()], tmp_path / "second.csv.gz")
    names = ("dataset", "backbone", "protocol")
    chosen = [r.selected(n_boot=N_BOOT).assign(**{name: r.provenance[name] for name in names}) for r in swept["lambda"]]
    page = [*([r.effects(n_boot=N_BOOT) for r in results] for results in swept.values()), chosen]
    for name, frames in zip(TABLES, page, strict=True):
        pd.concat(frames, ignore_index=True).to_parquet(tmp_path / f"{name}.parquet")
    spec = importlib.util.spec_from_file_location("recompute_intervals", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert not re.search(r"(from|import) (helpers|\.)", SCRIPT.read_text("utf-8"))
    files = [str(tmp_path / name) for name in ("first.parquet", "second.csv.gz")]
    monkeypatch.setattr("sys.argv", ["recompute", *files, "--tables", str(tmp_path), "--n-boot", str(N_BOOT)])
    assert script.main() == 0
    found = capsys.readouterr().out
    assert all(name in found for name in TABLES)
    intervals, other = script.recompute(files[1:], ["joint"], N_BOOT, 0), tmp_path / "other"
    other.mkdir()
    for name in TABLES:
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        table = table[table["protocol"].str.endswith("multilabel")]
        table.assign(high=table["high"] + 1e-4 * (name == "channel_effects")).to_parquet(other / f"{name}.parquet")
    found = script.compare(intervals, other).set_index("table")
    assert (found["intervals"] == found["recomputed"]).all()
    assert found["largest difference"].round(6).to_dict() == dict(zip(TABLES, (0, 1e-4, 0), strict=True))


def test_export_has_no_ids_and_is_refused_for_credentialed_sets():
    embeddings = embedding_set("binary")
    result = sweep(embeddings, [0, 1], seeds=(1,), protocol=PROTOCOLS["paper"].replace(**QUICK), progress=False)
    table = score_table(result, "lambda")
    assert len(table) == 2 * len(embeddings.rows("test")) and not set(table) & {"pair_id", "image", "text"}
    result.provenance["dataset"] = "brset"
    with pytest.raises(ValueError, match="test scores of brset are not exported"):
        score_table(result, "lambda")


def test_the_command_exports_both_parts(store, tmp_path):
    out = tmp_path / "scores.parquet"
    settings = '{"protocol": ["authors-code"], "lambdas": [0, 1], "seeds": [1], "features": ["joint"], "alignments": ["spread"]}'
    where = ["--store", str(store), "--sweeps", str(tmp_path / "sweeps")]
    arguments = ["sweep", "ham10000", "lit-derm", *where, "--settings", settings]
    assert main([*arguments, "--export", str(out)]) == 0
    assert set(pd.read_parquet(out)["part"]) == {"lambda", "alignments"}
    assert main([*arguments, "--export", str(tmp_path / "scores.txt")]) == 2
