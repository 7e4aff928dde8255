"""The page that photos are dropped on."""

from collections.abc import Sequence

from toolkit.reporting import html


def drop_page(
    title: str, classes: Sequence[str], decision: str, host: str, most: int, megabytes: int
) -> str:
    """Return the page as HTML: it sends each photo to `predict` on the server that it came from.

    `decision` says how a class is chosen; `most` photos of `megabytes` are taken at a time.
    """
    return html.render_template(
        "serve.html.j2",
        {
            "title": title,
            "classes": classes,
            "decision": decision,
            "host": host,
            "most": most,
            "megabytes": megabytes,
        },
        "serve.js",
    )
