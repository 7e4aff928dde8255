"""The page that photos are dropped on."""

from collections.abc import Sequence

from toolkit.reporting import html


def drop_page(
    title: str,
    classes: Sequence[str],
    decision: str,
    host: str,
    most: int,
    size: int,
    *,
    nearest: bool = False,
) -> str:
    """Return the page as HTML: it sends each photo to `predict` on the server that it came from.

    `decision` says how a class is chosen; `most` photos of at most `size` bytes are taken at a
    time. With `nearest` the page says what the training photos beside each are.
    """
    return html.render_template(
        "serve.html.j2",
        {
            "title": title,
            "classes": classes,
            "decision": decision,
            "host": host,
            "most": most,
            "size": size,
            "nearest": nearest,
        },
        "serve.js",
    )
