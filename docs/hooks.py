"""What MkDocs adds to docs/ when it builds: the front page, the command line, a page a room."""

import re
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from toolkit.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Files outside docs/ that are pages of the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files and from the code."""
    pages = {page: (ROOT / source).read_text() for source, page in PAGES.items()}
    pages["cli.md"] = commands()
    rooms = sorted(path.parent.name for path in (ROOT / "toolkit").glob("*/__init__.py"))
    pages |= {f"api/{room}.md": f"::: toolkit.{room}\n" for room in rooms}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    for name in ("LICENSE", "CITATION.cff"):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links between the repository's files at the site's pages."""
    for source, page in PAGES.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}", f"]({page}", markdown)
    return re.sub(r"\]\((\.\./)?docs/", "](", markdown)


def commands() -> str:
    """Return the reference of all commands, as `--help` has it."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(
        obj=command, ctx=typer.Context(command), name="toolkit", title="Command line"
    )
    return re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
