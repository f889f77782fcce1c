"""Run pages in this process, and small tables of own runs for page 04."""

import ast
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import jupytext
import numpy as np
import pandas as pd
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from helpers.page import write_result
from helpers.published import authors_pca
from helpers.schemas import READ


def code_cells(name: str) -> list[str]:
    return [cell.source for cell in jupytext.read(ROOT / f"notebooks/{name}.py").cells if cell.cell_type == "code"]


def definitions(name: str) -> dict:
    """Return what a page imports, its functions and its constants, without running it."""
    names: dict = {}
    for node in ast.parse("\n".join(code_cells(name))).body:
        constant = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper()
        if constant or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            exec(compile(ast.Module([node], []), name, "exec"), names)
    return names


def run_page(name: str, **parameters) -> dict:
    """Run the code cells of a page, with parameters after its first cell as papermill sets them, and return its names."""
    first, *others = code_cells(name)
    given = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
    InteractiveShell.clear_instance()  # another test's names would pass for parameters
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        for source in (first, given, *others):
            shell.run_cell(source, store_history=True).raise_error()
        return shell.user_ns
    finally:
        InteractiveShell.clear_instance()


def ledger(geometry=None, sweep=None, selected=None, **parameters) -> pd.DataFrame:
    """Return the table of claims that page 04 writes from own runs; small tables of the test bench where none are given."""
    folder = Path(mkdtemp())
    for name, table in {"cone_effect": geometry, "lambda_sweep": sweep, "lambda_selected": selected}.items():
        whole = (BENCH[name]() if table is None else table).reindex(columns=list(READ[name]))
        write_result(folder / f"{name}.parquet", whole)
    write_result(folder / "authors_gaps.parquet", definitions("01_cone_effect")["gap_bounds"](authors_pca()))
    run_page("04_discussion", results=str(folder), **parameters)
    return pd.read_parquet(folder / "claims.parquet")


@cache
def published_ledger() -> pd.DataFrame:
    """Return the claims beside runs of the test bench, which decide nothing."""
    return ledger()


def claim(table: pd.DataFrame, fragment: str) -> dict:
    """Return the one row of a ledger whose claim contains a fragment."""
    (row,) = table[table["claim"].str.contains(fragment, regex=False)].to_dict("records")
    return row


def geometry() -> pd.DataFrame:
    cells = [("ham10000", "medical", "R", 0.7), ("flickr8k", "natural", "R", 0.25), ("ham10000", "medical", "effective_rank", 31.5)]
    row = dict(variant="authors", backbone="lit-natural", modality="image", low=np.nan, high=np.nan, route="extracted")
    return pd.DataFrame(cells, columns=["dataset", "domain", "quantity", "value"]).assign(**row)


def sweep(protocol="converged", metric="auc", scores=(0.90, 0.92, 0.91)) -> pd.DataFrame:
    row = dict(dataset="ham10000", variant="clean", backbone="lit-derm", protocol=protocol, alignment="lambda", features="joint")
    row |= {"seed": 0, "split": "test", "metric": metric, "class": None, "route": "extracted"}
    lambdas = [0.0, 0.5, 1.0]
    return pd.DataFrame({"lambda_image": lambdas, "lambda_text": lambdas, "value": scores}).assign(**row)


def selected() -> pd.DataFrame:
    row = dict(dataset="ham10000", variant="clean", backbone="lit-derm", protocol="converged", features="joint", lambda_image=0.4)
    row |= {"alignment": "lambda", "lambda_text": 0.4, "auc_at_zero": 0.9, "auc": 0.903}
    return pd.DataFrame([{**row, "difference": 0.003, "low": 0.001, "high": 0.005}])


def of_the_paper(values: dict[str, tuple[float, float]], quantity="gap_norm", **other) -> pd.DataFrame:
    """Return own geometry of data sets under CLIP and MedSigLIP."""
    row = dict(variant="authors", domain="", modality="joint", quantity=quantity, low=np.nan, high=np.nan, route="imported") | other
    cells = [(d, b, v) for d, pair in values.items() for b, v in zip(("clip", "medsiglip"), pair, strict=True)]
    return pd.DataFrame(cells, columns=["dataset", "backbone", "value"]).assign(**row)


BENCH = {"cone_effect": geometry, "lambda_sweep": sweep, "lambda_selected": selected}
GAPS = {"brset": (1.0, 0.8), "ham10000": (1.1, 0.8), "daquar": (0.9, 0.8)}
