"""Self-contained HTML pages: no network access, all text escaped, nothing hidden.

The Content-Security-Policy allows one style sheet and one script, by their sha256, and images
embedded in the page. All text and tables are available without the script.
"""

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from toolkit.io.text import escape_hidden, one_line
from toolkit.reporting.plots.style import COLORS


def render_template(template: str, values: Mapping[str, Any], code: str = "report.js") -> str:
    """Render a template that extends base.html.j2, with a script of the same folder."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.filters |= {"line": one_line, "minus": _minus, "prose": _prose, "numeric": _numeric}
    style, script = _color_variables() + _template("style.css"), _template(code)
    page = environment.get_template(template).render(
        **values,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return escape_hidden(page)


def _template(name: str) -> str:
    source = importlib.resources.files("toolkit.reporting") / "templates" / name
    return source.read_text(encoding="utf-8")


def _color_variables() -> str:
    """Return COLORS as CSS variables; dark ones only on screens."""
    light, dark = (
        "".join(f"--{name}:{pair[side]};" for name, pair in COLORS.items()) for side in (0, 1)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _hash(text: str) -> str:
    """Return the hash of a style sheet or script for the Content-Security-Policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _minus(text: str) -> str:
    """Replace the hyphen before a number by a minus sign."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "\u2212", text)


def _prose(text: str) -> Markup:
    """Escape text, with minus signs, and keep "G-mean" and its number on one line."""
    unbroken = Markup('<span class="whole">{}</span>')
    parts = re.split(r"(G-mean(?: [+-]?[\d.]*\d)?)", text)
    return Markup("").join(
        unbroken.format(_minus(part)) if part.startswith("G-mean") else escape(_minus(part))
        for part in parts
    )


def _numeric(table: Sequence[Sequence[str]]) -> list[bool]:
    """Return for each column of a table (header first) whether it holds numbers only."""
    number = re.compile(r"([+\u2212-]?\d+(\.\d+)?|< \d.*)?( [(+]|$)")
    _, *body = table
    return [all(number.match(cell) for cell in column) for column in zip(*body, strict=True)]
