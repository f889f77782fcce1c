"""Extend Sphinx beyond its settings: serve MathJax from the book, let buttons open templates, resolve short references."""

import hashlib
import platform
import re
import shutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import jupyter_book
import yaml
from sphinx.errors import ConfigError, ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from ..page import commit
from .content_policy import with_policy

MATHJAX = "sphinx-mathjax-offline"
SCRIPT = "mathjax/tex-svg.js"  # draws with paths, so that it needs no font files
FREE = ("sphinx.config", "latex.latex_documents")  # settings that take any key below them
THEBE = re.compile(r"<script type=\"text/x-thebe-config\">.*?</script>|<script>kernelName = '[^'<]*'</script>", re.DOTALL)
LINKED_OR_IMAGE = re.compile(r"<a\b[^>]*>.*?</a>|<img\b[^>]*\bsrc=\"(?P<source>[^\"]*_images/[^\"]+)\"[^>]*>", re.DOTALL)
EXECUTED, TEMPLATES = "book/executed/", "notebooks/"


def setup(app) -> dict:
    """Register with Sphinx."""
    # Sphinx writes all pages anew when a setting of kind "html" has changed; so it does when this file has.
    app.add_config_value("book_hooks", hashlib.sha256(Path(__file__).read_bytes()).hexdigest(), "html")
    app.connect("config-inited", _refuse_unknown_settings)
    app.connect("config-inited", _serve_mathematics)
    app.connect("config-inited", _append_provenance)
    app.connect("html-page-context", _open_templates, priority=900)  # after the theme has made its buttons
    app.connect("html-page-context", _remove_thebe, priority=900)
    app.connect("html-page-context", _list_references)
    app.connect("html-page-context", _link_figures)
    app.connect("build-finished", _copy_mathematics)
    app.connect("build-finished", _refuse_missing_pages)
    app.connect("build-finished", _remove_icon_script)
    app.connect("build-finished", _write_content_policy)
    app.connect("autodoc-process-docstring", _keep_property_text, priority=400)  # before napoleon
    app.connect("missing-reference", _short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathjax_folder() -> Path:
    """Return the folder of the MathJax files in the package ``sphinx-mathjax-offline``.

    Raises:
        ModuleNotFoundError: the package is not installed; says how to get it.
    """
    spec = find_spec(MATHJAX)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{MATHJAX} is missing, but the book serves MathJax from it; run `pip install {MATHJAX}`")
    return Path(spec.submodule_search_locations[0]) / "static" / "mathjax"


def retarget(value):
    """Point links of the theme's buttons, however nested, from executed notebooks to their templates; downloads stay."""
    if isinstance(value, dict):
        return {key: retarget(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retarget(item) for item in value]
    opens = isinstance(value, str) and value.endswith(".ipynb") and "_sources/" not in value
    return value.replace(EXECUTED, TEMPLATES) if opens else value


def unknown_settings(config: dict) -> list[str]:
    """Return the keys of a ``_config.yml`` that Jupyter Book does not know and would ignore, such as misspelt ones."""
    known = yaml.safe_load((Path(jupyter_book.__file__).parent / "default_config.yml").read_text("utf-8"))
    unknown = [key for key in config if key not in known and key != "bibtex_bibfiles"]
    for section in set(config) & set(known):
        if isinstance(config[section], dict):
            unknown += [f"{section}.{k}" for k in config[section] if k not in known[section] and f"{section}.{k}" not in FREE]
    return unknown


def _refuse_unknown_settings(app, config) -> None:
    path = Path(app.srcdir) / "_config.yml"
    if path.is_file() and (unknown := unknown_settings(yaml.safe_load(path.read_text("utf-8")))):
        raise ConfigError(f"_config.yml sets {', '.join(unknown)}, which Jupyter Book does not know; correct or remove it")


def _serve_mathematics(app, config) -> None:
    mathjax_folder()
    config.mathjax_path = SCRIPT
    config.mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}


def _append_provenance(app, config) -> None:
    """End every page, including those without a run, with the state of the source and the software."""
    software = ", ".join(f"{name} {metadata.version(name)}" for name in ("jupyter-book", "sphinx"))
    said = f"Rendered from commit <code>{commit()}</code> with {software} and Python {platform.python_version()}."
    config.html_theme_options = {**config.html_theme_options, "extra_footer": said}


def _open_templates(app, pagename, templatename, context, doctree) -> None:
    if pagename.startswith(EXECUTED) and "header_buttons" in context:
        context["header_buttons"][:] = retarget(context["header_buttons"])


def _remove_thebe(app, pagename, templatename, context, doctree) -> None:
    """Remove the script of live cells, which the book does not offer and which would come from another host."""
    if "script_files" in context:
        context["script_files"] = [
            s for s in context["script_files"] if "thebe" not in f"{s} {getattr(s, 'attributes', '')}".lower()
        ]
    if "body" in context:
        context["body"] = THEBE.sub("", context["body"])


def _list_references(app, pagename, templatename, context, doctree) -> None:
    """Mark references as list items for screen readers, in place of a role of docutils that ARIA has withdrawn."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def link_figures(body: str) -> str:
    """Return a page's body in which every figure is a link to its file, where it opens at full size; linked images stay."""
    return LINKED_OR_IMAGE.sub(lambda m: f'<a class="figure-link" href="{m["source"]}">{m[0]}</a>' if m["source"] else m[0], body)


def _link_figures(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = link_figures(context["body"])


def _write_content_policy(app, exception) -> None:
    """Write into every page its policy on scripts."""
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            page = path.read_text("utf-8")
            if "<meta charset" in page:  # a whole page; redirects and the macros of the theme run no script
                path.write_text(with_policy(page), encoding="utf-8")


def _copy_mathematics(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "mathjax"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(mathjax_folder() / "tex-svg.js", target / "tex-svg.js")
        shutil.copytree(mathjax_folder() / "input/tex/extensions", target / "input/tex/extensions", dirs_exist_ok=True)


def _refuse_missing_pages(app, exception) -> None:
    """Fail if a page of the table of contents was not built, a case in which Jupyter Book exits with 0."""
    if exception is None and app.builder.format == "html":
        pages = parse_toc_yaml(Path(app.srcdir) / "_toc.yml").keys()
        missing = [page for page in pages if not (Path(app.outdir) / f"{page}.html").is_file()]
        if missing:
            raise ExtensionError(f"{', '.join(missing)} is in _toc.yml but was not built; see the warnings above")


def _remove_icon_script(app, exception) -> None:
    """Remove the script of icons, 1.5 MB on every page, because the theme also loads them as a web font."""
    script = Path(app.outdir) / "_static/scripts/fontawesome.js"
    if exception is None and script.is_file():
        script.write_text("// icons come from the web font\n", encoding="utf-8")


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
