"""What pages tell a reader to type exists at that entrance, and each line of the checklist leads to a page of the book."""

import re
import shlex

import typer
from conftest import ROOT
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.cli import app
from helpers.page import notebook_defaults

TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py"))
}


def commands(start: str) -> list[tuple[str, list[str]]]:
    """Return (page, words) of every command of the pages that begins so, in a block or in a sentence."""
    found = []
    for page, text in TEXTS.items():
        text = re.sub(r"(?m)^# ?", "", text) if page.endswith(".py") else text
        whole = text.replace("\\\n", " ")
        for line in re.findall(rf"(?m)^ *({start} .*)$|`({start} [^`]*)`", whole):
            words = shlex.split(" ".join("".join(line).split()), comments=True)
            found.append((page, words[start.count(" ") + 1 :]))
    return found


def test_every_command_of_the_pages_has_the_options_it_is_given():
    both = commands("python -m helpers") + commands("modality-gap")
    typed = [(page, words) for page, words in both if words[0] not in ("COMMAND", "...", "--help")]
    assert len(typed) > 20 and any(page == "README.md" for page, _ in commands("modality-gap"))
    known = typer.main.get_command(app).commands
    for page, (name, *rest) in typed:
        assert name in known, f"{page}: {name}"
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert [word for word in rest if word.startswith("--") and word not in options] == [], f"{page}: {name}"


def test_every_parameter_of_a_papermill_line_is_one_of_its_notebook():
    typed = [(page, words) for page, words in commands("papermill") if words and words[0].startswith("notebooks/")]
    assert len(typed) >= 4
    for page, words in typed:
        names = [words[i + 1] for i, word in enumerate(words) if word in ("-p", "-y")]
        assert set(names) <= set(notebook_defaults(ROOT / words[0])), f"{page}: {words[0]}"


def test_each_line_of_the_checklist_leads_to_a_page_of_the_book():
    written = (ROOT / "notebooks/05_is_lambda_worth_it.py").read_text("utf-8")
    lines = re.findall(r"(?m)^# - \*\*.*(?:\n#   .*)*", written)
    named = [re.findall(r"\{doc\}`([^`<]+)`", line) for line in lines]
    targets = {name[1:] if name.startswith("/") else f"book/executed/{name}" for names in named for name in names}
    assert len(lines) == 10 and all(names or "this page" in line for names, line in zip(named, lines, strict=True))
    assert targets <= set(parse_toc_yaml(ROOT / "_toc.yml"))
