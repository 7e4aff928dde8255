"""An HTML page that needs nothing else: no network, every text escaped.

Its policy allows the one style sheet and the one script that it holds, by their sha256, and
pictures within the page; without the script all texts and tables are there.
"""

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from toolkit.reporting.plots.style import COLOURS


def render_template(template: str, values: Mapping[str, Any]) -> str:
    """The page that a template, which extends base.html.j2, makes of plain values."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.filters |= {"minus": _minus, "prose": _prose, "numeric": _numeric}
    style, script = _colours() + _template("style.css"), _template("report.js")
    return environment.get_template(template).render(
        **values,
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _template(name: str) -> str:
    source = importlib.resources.files("toolkit.reporting") / "templates" / name
    return source.read_text(encoding="utf-8")


def _colours() -> str:
    """COLOURS as CSS variables. On paper the page is light."""
    light, dark = (
        "".join(f"--{name}:{pair[side]};" for name, pair in COLOURS.items()) for side in (0, 1)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls this style sheet or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _minus(text: str) -> str:
    """A hyphen before a number as the minus sign that it is."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "\u2212", text)


def _prose(text: str) -> Markup:
    """The same in HTML, with "G-mean" and its number on one line."""
    whole = Markup('<span class="whole">{}</span>')
    parts = re.split(r"(G-mean(?: [+-]?[\d.]*\d)?)", text)
    return Markup("").join(
        whole.format(_minus(part)) if part.startswith("G-mean") else escape(_minus(part))
        for part in parts
    )


def _numeric(table: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column of a table, header first, holds numbers: they stand at the right."""
    number = re.compile(r"([+\u2212-]?\d+(\.\d+)?|below \d.*)?( [(+]|$)")
    _, *body = table
    return [all(number.match(cell) for cell in column) for column in zip(*body, strict=True)]
