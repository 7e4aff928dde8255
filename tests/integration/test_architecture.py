"""docs/architecture.md shows the package as it is.

After a change of the rooms or their imports: `python -m tests.integration.test_architecture`
draws docs/rooms.svg anew.
"""

import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
DRAWING = ROOT / "docs" / "rooms.svg"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
WIDTH, HEIGHT, BOX, ROW = 860, 560, (150, 36), 84
ASIDE = {"reporting": 0.88, "io": 0.4, "progress": 0.9}  # out of the way of arrows


def layers() -> list[list[str]]:
    """The import contract's layers, from the top down."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [re.findall(r"\w+", layer) for layer in config["contracts"][0]["layers"]]


def imports() -> dict[str, set[str]]:
    """For each room the rooms that it imports."""
    graph = grimp.build_graph("toolkit", cache_dir=None)
    rooms = [room for layer in layers() for room in layer]
    for room in rooms:
        graph.squash_module(f"toolkit.{room}")
    return {
        room: {
            name.removeprefix("toolkit.")
            for name in graph.find_modules_directly_imported_by(f"toolkit.{room}")
            if name != "toolkit"
        }
        for room in rooms
    }


def below(room: str, graph: dict[str, set[str]]) -> set[str]:
    """All that a room imports, directly or not."""
    return graph[room].union(*(below(other, graph) for other in graph[room]))


def arrows(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports that do not follow from others."""
    return [
        (room, other)
        for room in graph
        for other in sorted(graph[room])
        if not any(other in below(between, graph) for between in graph[room] - {other})
    ]


def places() -> dict[str, tuple[float, float]]:
    """The middle of each room's box."""
    return {
        room: (ASIDE.get(room, (column + 0.5) / len(layer)) * WIDTH, 30 + row * ROW)
        for row, layer in enumerate(layers())
        for column, room in enumerate(layer)
    }


def drawing() -> str:
    """The rooms as boxes in their layers, and an arrow for each import that is needed."""
    at, (width, height) = places(), BOX
    lines = [
        f'  <path d="M{at[a][0]:.0f} {at[a][1] + height / 2:.0f}'
        f' L{at[b][0]:.0f} {at[b][1] - height / 2 - 3:.0f}"/>'
        for a, b in arrows(imports())
    ]
    boxes = [
        f'  <rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}"'
        f' height="{height}" rx="6"/>\n  <text x="{x:.0f}" y="{y + 5:.0f}">{room}</text>'
        for room, (x, y) in at.items()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"',
            '  markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#888"/>',
            "</marker></defs>",
            '<g stroke="#888" stroke-width="1.5" fill="none" marker-end="url(#tip)">',
            *lines,
            "</g>",
            '<g font-family="sans-serif" font-size="15" text-anchor="middle" fill="#123">',
            *(box.replace("<rect", '<rect fill="#d9efec" stroke="#0b7a75"') for box in boxes),
            "</g>",
            "</svg>\n",
        ]
    )


def test_the_drawing_is_made_from_the_imports():
    assert DRAWING.read_text() == drawing()


def test_the_table_names_every_room():
    rooms = {path.parent.name for path in (ROOT / "toolkit").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == rooms


def test_the_page_names_what_is_there():
    for name, path in re.findall(r"`([A-Z_]+)` in `([\w/.]+)`", PAGE):
        assert re.search(rf"^{name}\b", (ROOT / "toolkit" / path).read_text(), re.MULTILINE)
    for module in re.findall(r"`(\w+(?:\.\w+)+)` \|$", PAGE, re.MULTILINE):
        path = ROOT / "toolkit" / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module


if __name__ == "__main__":
    DRAWING.write_text(drawing())
