"""The book's prose pages: the tables made for them, their citations and contents, and numbers that nobody typed."""

import re

import book_tables
import jupytext
from conftest import ROOT
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers import PROTOCOLS
from helpers.images import SHORTER_SIDE
from helpers.probing.sweep import MOST_CLASSES
from helpers.statistics import MARGIN

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_what_the_book_includes_is_written(tmp_path):
    written = {path.name for path in book_tables.write(tmp_path)}
    prose = "".join(page.read_text("utf-8") for page in (ROOT / "book").glob("*.md"))
    assert set(re.findall(r"\{include\} generated/(\S+)", prose)) == written | {"run_summary.md"}  # the last by the workflow
    assert all(path.stat().st_size > 100 for path in tmp_path.iterdir())


def test_every_citation_has_an_entry():
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text("utf-8"), re.M))
    prose = [p.read_text("utf-8") for p in (ROOT / "book").glob("*.md")] + [make() for make in book_tables.PAGES.values()]
    cited = {key.strip() for text in prose for group in re.findall(r"\{cite(?::t)?\}`([^`]+)`", text) for key in group.split(",")}
    assert cited and cited <= keys


def test_every_table_of_the_prose_has_a_caption(tmp_path):
    book_tables.write(tmp_path)
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "book/_static").glob("*.md"), *tmp_path.iterdir()]
    header = r"(\|.*)\n\|[-: |]+\|$"
    for text in (page.read_text("utf-8") for page in pages):
        assert re.findall(rf"(?m)^{header}", text) == re.findall(rf"(?m)^:::\{{table\}} \S.*\n\n{header}", text)


def test_contents_name_every_page_once():
    prose = [f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")]
    assert sorted(parse_toc_yaml(ROOT / "_toc.yml")) == sorted(prose + [f"book/executed/{p.stem}" for p in NOTEBOOKS])


# What is no number: code, mathematics, roles, targets of links.
NO_PROSE = (r"(?ms)^(`{3,}|:{3,}).*?^\1\s*$", r"(?s)\$\$.*?\$\$", r"\{[\w:]+\}`[^`]*`", r"`[^`]*`", r"\$[^$]*\$", r"\]\([^)]*\)")
# What prose may state: definitions, not results. Whatever was measured is glued.
STATED = {
    "01_cone_effect": ["32 by 32"],  # size to which images are reduced
    "08_adapt": ["70 %", "10 %", "20 %"],  # default shares of a split
    "09_data": ["77 tokens"],  # CLIP's context
    "trust": ["1,024 pixels", "more than 500"],  # held to the code below
    "07_leakage_audit": ["0.5"],  # AUC of chance
    "methods": ["momentum 0.9", "decay 0.01", "batch 512, 100 epochs, patience 10", "±0.005", "at 2.5 %"],  # held to the code below
    "reexecute": ["Python 3.11", "at least 120"],  # the seconds that SLURM lists an ended job
    "data_and_encoders": ["fixed at 0.01"],  # held to the records of the heads
    "10_where_the_gap_comes_from": ["Recall@10", "200 pairs"],  # the held-out pairs of the records
    "14_what_the_probe_lacks": [
        "batches of 32 at a learning rate of 1e-3 instead of 512 at 3e-4, at most 36,600 updates instead of 2,300",
        "2,300 updates",
        "layer of 128",
    ],
    "11_what_lambda_closes": [
        "It is 0.5 when",
        "0.5 is chance",
        "Recall@10",
        "16 levels",
    ],  # values by chance or without a pairing; a name
    "13_information": ["at most 500 of them"],  # held to the study below
}


def test_numbers_in_the_prose_are_glued_not_typed():
    texts = {p.stem: p.read_text("utf-8") for p in (ROOT / "book").glob("*.md")}
    for path in NOTEBOOKS:
        texts[path.stem] = "\n\n".join(c.source for c in jupytext.read(path).cells if c.cell_type == "markdown")
    typed = []
    for name, text in texts.items():
        for pattern in NO_PROSE:
            text = re.sub(pattern, " ", text)
        for stated in ["95 %", *STATED.get(name, [])]:  # 95 % is the level of every interval
            text = text.replace(stated, " ")
        numbers = re.findall(r"(?<![\w.])(?:\d[\d,]*\.\d+|\d[\d,]*\d|\d(?= ?%))(?: ?%)?(?!\w)", text)
        typed += [f"{name}: {number}" for number in numbers]
    assert typed == [], typed


def test_stated_settings_are_those_of_the_code():
    assert "\nMOST = 500 " in (ROOT / "studies/information.py").read_text("utf-8")
    for protocol in (PROTOCOLS["paper"], PROTOCOLS["authors-code"]):
        assert (protocol.batch_size, protocol.max_epochs, protocol.patience, protocol.lr) == (512, 100, 10, 3e-4)
    assert PROTOCOLS["authors-code"].weight_decay == 0.01
    assert MARGIN == 0.005
    assert (SHORTER_SIDE, MOST_CLASSES) == (1024, 500)
