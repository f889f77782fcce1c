"""Write the content security policy of the built pages: scripts of the theme run, scripts within the content do not."""

import base64
import hashlib
import html
import re

INLINE = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.DOTALL)
HANDLER = re.compile(r"\son[a-z]+=\"(?P<code>[^\"]*)\"")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n?')
CHARSET = re.compile(r"<meta charset=[^>]*>\n?")


def theme_part(page: str) -> str:
    """Return a page's HTML without its article, to which notebooks and tables contribute."""
    before, article, rest = page.partition("<article")
    return before + rest.rpartition("</article>")[2] if article else page


def content_policy(page: str) -> str:
    """Return the policy of one page: it allows files of the book, and inline scripts and handlers of the theme by their SHA-256.

    Inline styles are allowed, because Plotly, MathJax and styled tables write them.
    """
    theme = theme_part(page)
    code = [m["code"] for m in INLINE.finditer(theme) if "src=" not in m["attributes"] and "type=" not in m["attributes"]]
    handlers = [html.unescape(m["code"]) for m in HANDLER.finditer(theme)]
    scripts = ["'self'", *(["'unsafe-hashes'"] if handlers else []), *sorted({_source(c) for c in code + handlers})]
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "frame-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ]
    )


def with_policy(page: str) -> str:
    """Return a page's HTML with its policy directly after the character set, in place of any older policy.

    Raises:
        ValueError: the page states no character set.
    """
    page = POLICY.sub("", page)
    if not (charset := CHARSET.search(page)):
        raise ValueError("the page states no character set, so its content security policy has no place; add <meta charset>")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{content_policy(page)}">\n'
    return page[: charset.end()] + meta + page[charset.end() :]


def _source(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"'sha256-{digest}'"
