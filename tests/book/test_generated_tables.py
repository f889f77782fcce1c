"""The book's configuration, its tables made before each build, and what it asks of Sphinx."""

import re
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT
from sphinx.errors import ConfigError
from summary import PAGE

from helpers.book import sphinx_hooks as sphinx_book
from helpers.book import tables as pages


def test_what_the_book_includes_is_written(tmp_path):
    written = {path.name for path in pages.write(tmp_path)}
    included = {
        n for page in (ROOT / "book").glob("*.md") for n in re.findall(r"\{include\} generated/(\S+)", page.read_text("utf-8"))
    }
    assert included == written | {PAGE.name}  # the summary of a run is written by the workflow
    assert all(path.stat().st_size > 100 for path in tmp_path.iterdir())


def test_every_citation_has_an_entry():
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text("utf-8"), re.M))
    prose = [p.read_text("utf-8") for p in (ROOT / "book").glob("*.md")] + [make() for make in pages.PAGES.values()]
    cited = {key.strip() for text in prose for group in re.findall(r"\{cite\}`([^`]+)`", text) for key in group.split(",")}
    assert cited and cited <= keys


def test_configuration_has_known_keys_only(tmp_path):
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert sphinx_book.unknown_settings(config) == []
    config["html"] |= {"favcon": "x"}
    assert sphinx_book.unknown_settings(config | {"titel": "x"}) == ["titel", "html.favcon"]
    (tmp_path / "_config.yml").write_text("titel: x")
    with pytest.raises(ConfigError, match="sets titel, which Jupyter Book does not know"):
        sphinx_book._refuse_unknown_settings(SimpleNamespace(srcdir=tmp_path), None)


def test_contents_name_pages_that_exist():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    for file in files:
        folder, name = file.rsplit("/", 1)
        source = ROOT / "notebooks" / f"{name}.ipynb" if folder == "book/executed" else ROOT / f"{file}.md"
        assert source.is_file(), file
    pages_there = {f"book/{p.stem}" for p in (ROOT / "book").glob("*.md")} | {
        f"book/executed/{p.stem}" for p in (ROOT / "notebooks").glob("*.ipynb")
    }
    assert set(files) == pages_there


def test_launch_buttons_open_the_template_and_other_links_stay():
    buttons = [
        {"url": "https://mybinder.org/v2/gh/o/r/main?urlpath=lab/tree/book/executed/a.ipynb"},
        {"buttons": ["../../_sources/book/executed/a.ipynb"]},
    ]
    context = {"header_buttons": buttons}
    sphinx_book._open_templates(None, "book/executed/a", "page.html", context, None)
    assert context["header_buttons"][0]["url"].endswith("lab/tree/notebooks/a.ipynb")
    assert context["header_buttons"][1] == {"buttons": ["../../_sources/book/executed/a.ipynb"]}


def test_script_of_another_host_is_left_out():
    announced = SimpleNamespace(attributes={"body": 'const THEBE_JS_URL = "https://unpkg.com/x"'})
    context = {"script_files": ["_static/sphinx-thebe.js", announced, "_static/book.js"]}
    sphinx_book._remove_thebe(None, "p", "page.html", context, None)
    assert context["script_files"] == ["_static/book.js"]


def test_missing_mathematics_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sphinx_book, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install sphinx-mathjax-offline"):
        sphinx_book.mathjax_folder()


# What is no number: code, mathematics, roles, targets of links.
NO_PROSE = (r"(?ms)^(`{3,}|:{3,}).*?^\1\s*$", r"(?s)\$\$.*?\$\$", r"\{[\w:]+\}`[^`]*`", r"`[^`]*`", r"\$[^$]*\$", r"\]\([^)]*\)")
# What prose may state: definitions, not results. Whatever was measured is glued.
STATED = {
    "01_cone_effect": ["32 by 32"],  # size to which images are reduced
    "08_adapt": ["70 %", "10 %", "20 %"],  # default shares of a split
    "09_data": ["77 tokens"],  # CLIP's context
    "07_leakage_audit": ["0.5"],  # AUC of chance
    "methods": ["momentum 0.9", "decay 0.01", "batch 512, 100 epochs, patience 10"],  # held to the code below
    "reexecute": ["Python 3.11", "at least 120"],  # the seconds that SLURM lists an ended job
    "data_and_encoders": ["fixed at 0.01"],  # held to the records of the heads
    "10_where_the_gap_comes_from": ["Recall@10", "200 pairs"],  # the held-out pairs of the records
    "11_what_lambda_closes": ["It is 0.5 when", "0.5 is chance", "Recall@10"],  # values by chance or without a pairing; a name
}


def test_numbers_in_the_prose_are_glued_not_typed():
    import jupytext

    texts = {p.stem: p.read_text("utf-8") for p in (ROOT / "book").glob("*.md")}
    for path in (ROOT / "notebooks").glob("*.py"):
        texts[path.stem] = "\n\n".join(c.source for c in jupytext.read(path).cells if c.cell_type == "markdown")
    typed = []
    for name, text in texts.items():
        for pattern in NO_PROSE:
            text = re.sub(pattern, " ", text)
        for stated in ["95 %", *STATED.get(name, [])]:  # 95 % is the level of every interval
            text = text.replace(stated, " ")
        numbers = re.findall(r"(?<![\w.])(?:\d[\d,]*\.\d+|\d[\d,]*\d|\d(?= ?%))(?: ?%)?(?!\w)", text)
        typed += [f"{name}: {number}" for number in numbers]
    assert typed == []


def test_stated_settings_are_those_of_the_code():
    from helpers import PROTOCOLS

    for protocol in (PROTOCOLS["paper"], PROTOCOLS["authors-code"]):
        assert (protocol.batch_size, protocol.max_epochs, protocol.patience, protocol.lr) == (512, 100, 10, 3e-4)
    assert PROTOCOLS["authors-code"].weight_decay == 0.01


def test_commands_in_the_prose_exist():
    import subprocess
    import sys

    prose = "".join(p.read_text("utf-8") for p in [*(ROOT / "book").glob("*.md"), ROOT / "README.md"])
    named = set(re.findall(r"python -m helpers ([a-z]+)", prose))
    said = subprocess.run([sys.executable, "-m", "helpers", "--help"], capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^    ([a-z]+)\b", said, re.M))
    assert named and named <= offered
