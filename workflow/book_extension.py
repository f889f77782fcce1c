"""Extend Sphinx: MathJax from the book itself, buttons that open templates, folded parameters, no script from elsewhere."""

import base64
import hashlib
import html
import itertools
import platform
import re
import shutil
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import yaml
from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.files import project_root
from helpers.page import commit

MATHJAX = "sphinx-mathjax-offline"  # its files are used, not its extension, which would serve fonts too
SCRIPT = "tex-svg.js"  # draws with paths, so that it needs no font files
EXECUTED, TEMPLATES = "book/executed/", "notebooks/"
NESTED = '<summary><span class="toctree-toggle" role="presentation">'  # of the theme's contents, without a name for a screen reader
NAMED = NESTED.replace("<summary>", '<summary aria-label="Pages of this chapter">')
TABLES = "downloads/tables"  # of the site: the data of its figures
PARAMETERS = {"tag_parameters", "tag_injected-parameters"}
THEBE = re.compile(r"<script type=\"text/x-thebe-config\">.*?</script>|<script>kernelName = '[^'<]*'</script>", re.DOTALL)
LINKED_OR_IMAGE = re.compile(r"<a\b[^>]*>.*?</a>|<img\b[^>]*\bsrc=\"(?P<source>[^\"]*_images/[^\"]+)\"[^>]*>", re.DOTALL)
INLINE = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.DOTALL)
HANDLER = re.compile(r"\son[a-z]+=\"(?P<code>[^\"]*)\"")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n?')
CHARSET = re.compile(r"<meta charset=[^>]*>\n?")
CAPTION = re.compile(r'(<caption[^>]*>)(?:<span class="caption-number">.*?</span>)?')
PERCENT = re.compile(r"(<(?:pre|code|script)\b.*?</(?:pre|code|script)>)|(?<=\d) %(?!\w)", re.DOTALL)


class AuthorYear(BaseLabelStyle):
    """Label references as the pages cite them, such as ``Nakayama et al., 2024``, with a letter where two would be alike."""

    def format_labels(self, entries) -> list[str]:
        found: list[str] = []
        for entry in entries:
            first, *others = [" ".join(map(str, person.rich_last_names)) for person in entry.persons["author"]]
            authors = f"{first} et al." if len(others) > 1 else " and ".join([first, *others])
            found.append(f"{authors}, {entry.fields['year']}")
        return [f"{label}{chr(97 + found[:i].count(label)) if found.count(label) > 1 else ''}" for i, label in enumerate(found)]


class References(Style):
    """Style of the list of references."""

    default_label_style = AuthorYear


def setup(app) -> dict:
    """Register with Sphinx."""
    register_plugin("pybtex.style.formatting", "author_year", References)
    # Sphinx writes all pages anew, and copies static files, when a setting of kind "html" has changed: here when these files have.
    changing = [Path(__file__), *sorted((Path(app.srcdir) / "book/_static").glob("*.*"))]
    app.add_config_value("book_extension", hashlib.sha256(b"".join(p.read_bytes() for p in changing)).hexdigest(), "html")
    app.connect("config-inited", _configure)
    app.connect("doctree-resolved", _fold_parameters)
    app.connect("doctree-resolved", _serve_figures)
    app.connect("html-page-context", _change_page, priority=900)  # after the theme has made its buttons
    app.connect("build-finished", _finish)
    app.connect("autodoc-process-docstring", _keep_property_text, priority=400)  # before napoleon
    app.connect("missing-reference", _short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathjax_folder() -> Path:
    """Return the folder of the MathJax files in the package ``sphinx-mathjax-offline``."""
    return Path(str(files(MATHJAX) / "static/mathjax"))


def _configure(app, config) -> None:
    """Serve MathJax from the book, and end every page with the state of the source and the software."""
    config.mathjax_path = f"mathjax/{SCRIPT}"
    config.mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}
    software = ", ".join(f"{name} {metadata.version(name)}" for name in ("jupyter-book", "sphinx"))
    said = f"Rendered from commit <code>{commit()}</code> with {software} and Python {platform.python_version()}."
    config.html_theme_options = {**config.html_theme_options, "extra_footer": said}


def _fold_parameters(app, doctree, docname) -> None:
    """Put the parameter cells of a page, the declared and the injected, under one line."""
    cells = [n for n in doctree.findall(nodes.container) if not PARAMETERS.isdisjoint(n.get("classes", []))]
    if cells and app.builder.format == "html":
        fold = nodes.container(classes=["parameters"])
        opening = '<details class="parameters"><summary>Parameters of this page</summary>'
        cells[0].replace_self(fold)
        for cell in cells[1:]:
            cell.parent.remove(cell)
        fold += [nodes.raw("", opening, format="html"), *cells, nodes.raw("", "</details>", format="html")]


def _serve_figures(app, doctree, docname) -> None:
    """Put a line under each figure of an executed page: its data, the cell that draws it, and how to cite it."""
    numbers = app.env.toc_fignumbers.get(docname, {}).get("figure", {})
    cells = [cell for cell in doctree.findall(nodes.container) if cell.get("nb_element") == "cell_code"]
    for cell in cells if app.builder.format == "html" else ():
        for figure in list(cell.findall(nodes.figure)):
            name = figure["ids"][0]
            cell["ids"] = [f"source-{name}"]
            number = ".".join(map(str, numbers.get(name, ())))
            tables = cell.get("cell_metadata", {}).get("tables", [])
            line = figure_line(name, number, app.env.titles[docname].astext(), tables, "../" * docname.count("/"))
            figure.parent.insert(figure.parent.index(figure) + 1, nodes.raw("", line, format="html"))


def figure_line(name: str, number: str, title: str, tables: list[str], root: str) -> str:
    """Return the line under a figure as HTML; ``root`` leads from its page to the folder of the site."""
    links = [f'<a class="reference internal" href="{root}{TABLES}/{table}.csv">{table.rpartition("/")[2]}</a>' for table in tables]
    book = _citation()
    cite = f"{book['authors'][0]['name']}, “{title}”, Fig. {number}, in {book['title']}, version {book['version']}, {commit()}, "
    data = f"<span>data (CSV): {', '.join(links)}</span>" if links else ""
    return (
        f'<div class="figure-line">{data}<a class="reference internal source" href="#source-{name}">source cell</a>'
        f"<details><summary>cite</summary><p>{html.escape(cite + book['repository-code'])}</p></details></div>"
    )


@cache
def _citation() -> dict:
    return yaml.safe_load((project_root() / "CITATION.cff").read_text("utf-8"))


def _change_page(app, pagename, templatename, context, doctree) -> None:
    if pagename.startswith(EXECUTED) and "header_buttons" in context:
        context["header_buttons"][:] = retarget(context["header_buttons"])
    if "script_files" in context:  # live cells, which the book does not offer, would come from another host
        named = [(script, f"{script} {getattr(script, 'attributes', '')}".lower()) for script in context["script_files"]]
        context["script_files"] = [script for script, name in named if "thebe" not in name]
    if "body" in context:
        # Screen readers: references are list items, in place of a role of docutils that ARIA has withdrawn.
        body = THEBE.sub("", context["body"]).replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = PERCENT.sub(lambda m: m[1] or "\N{NO-BREAK SPACE}%", letter_tables(link_figures(body)))


def retarget(value):
    """Point links of the theme's buttons, however nested, from executed notebooks to their templates; downloads stay."""
    if isinstance(value, dict):
        return {key: retarget(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retarget(item) for item in value]
    opens = isinstance(value, str) and value.endswith(".ipynb") and "_sources/" not in value
    return value.replace(EXECUTED, TEMPLATES) if opens else value


def link_figures(body: str) -> str:
    """Return a page's body in which every figure is a link to its file, where it opens at full size; linked images stay."""
    return LINKED_OR_IMAGE.sub(lambda m: f'<a class="figure-link" href="{m["source"]}">{m[0]}</a>' if m["source"] else m[0], body)


def letter_tables(body: str) -> str:
    """Return a page's body whose tables have letters, so that none is taken for a table of the paper."""
    count = itertools.count()
    return CAPTION.sub(lambda m: f"{m[1]}<i>Table {chr(ord('A') + next(count))}.</i> ", body)


def _finish(app, exception) -> None:
    """Copy MathJax, remove a script that is loaded twice, and write each page's policy; fail if a page is missing."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    missing = [page for page in parse_toc_yaml(Path(app.srcdir) / "_toc.yml") if not (out / f"{page}.html").is_file()]
    if missing:  # Jupyter Book would exit with 0
        raise ExtensionError(f"{', '.join(missing)} is in _toc.yml but was not built; see the warnings above")
    target = out / "_static" / "mathjax"
    shutil.copytree(mathjax_folder() / "input/tex/extensions", target / "input/tex/extensions", dirs_exist_ok=True)
    shutil.copy(mathjax_folder() / SCRIPT, target / SCRIPT)
    icons = out / "_static/scripts/fontawesome.js"
    if icons.is_file():  # 1.5 MB on every page; the theme loads its icons as a web font too
        icons.write_text("// icons come from the web font\n", encoding="utf-8")
    for path in out.rglob("*.html"):
        page = path.read_text("utf-8")
        if CHARSET.search(page):  # a whole page; redirects and the macros of the theme run no script
            path.write_text(with_policy(page.replace(NESTED, NAMED)), encoding="utf-8")


def content_policy(page: str) -> str:
    """Return the content security policy of one page: it allows files of the book and the theme's inline scripts by their SHA-256.

    Scripts in the article are not allowed. Inline styles are, because Plotly, MathJax and styled tables write them.
    """
    before, article, rest = page.partition("<article")
    theme = before + rest.rpartition("</article>")[2] if article else page
    scripts = [m["code"] for m in INLINE.finditer(theme) if "src=" not in m["attributes"] and "type=" not in m["attributes"]]
    handlers = [html.unescape(m["code"]) for m in HANDLER.finditer(theme)]
    hashes = sorted({f"'sha256-{base64.b64encode(hashlib.sha256(c.encode()).digest()).decode()}'" for c in scripts + handlers})
    allowed = " ".join(["'self'", *(["'unsafe-hashes'"] if handlers else []), *hashes])
    return (
        f"default-src 'self'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; object-src 'none'; frame-src 'none'; base-uri 'none'; form-action 'self'"
    )


def with_policy(page: str) -> str:
    """Return a page's HTML with its policy directly after the character set, in place of any older policy."""
    page = POLICY.sub("", page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{content_policy(page)}">\n'
    return CHARSET.sub(lambda charset: charset[0] + policy, page, count=1)


def _keep_property_text(app, what, name, obj, options, lines) -> None:
    if what == "property":
        lines[:0] = ["..", ""]  # an empty comment: napoleon takes words before a colon in the first line for a type


def _short_name(app, env, node, contnode):
    """Resolve a docstring's ``gap_vector`` or ``helpers.gap_vector`` to the one documented object of that last name."""
    if node.get("refdomain") != "py":
        return None
    domain, last = env.get_domain("py"), "." + node["reftarget"].removeprefix("helpers.")
    # An object that one module defines and another re-exports has two names and one place.
    found = {(entry.docname, entry.node_id): name for name, entry in domain.objects.items() if name.endswith(last)}
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], *found.values(), node, contnode)
