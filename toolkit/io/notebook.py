"""How results show themselves in a notebook: small pieces of HTML."""

import base64
from collections.abc import Iterable, Sequence

from toolkit.io.text import escape_hidden


def html_table(rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table as HTML; the first of `rows` is the header. All text is escaped."""
    import html  # slow to import

    header, *body = ([html.escape(escape_hidden(str(cell))) for cell in row] for row in rows)
    title = f"<caption>{html.escape(escape_hidden(caption))}</caption>" if caption else ""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def html_image(png: bytes, alt: str) -> str:
    """Return a PNG as an <img> that holds its own data."""
    import html

    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(escape_hidden(alt))}">'
