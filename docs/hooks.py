"""What MkDocs adds to docs/ when it builds: the front page, the command line, the package."""

import importlib
import re
import textwrap
from pathlib import Path

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
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
    rooms = sorted(path.parent.name for path in (ROOT / "toolkit").glob("*/__init__.pyi"))
    pages |= {f"api/{room}.md": face(f"toolkit.{room}", level=1) for room in rooms}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    for name in ("LICENSE", "CITATION.cff"):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Add the package's face to its page, and point links at the site's pages."""
    if page.file.src_uri == "python.md":
        markdown += face("toolkit", level=2)
    for source, target in PAGES.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}", f"]({target}", markdown)
    return re.sub(r"\]\((\.\./)?docs/", "](", markdown)


def face(module: str, *, level: int) -> str:
    """Return the Markdown that shows what a module offers to others."""
    names = importlib.import_module(module).__all__
    return f"\n\n::: {module}\n    options: {{members: {names}, heading_level: {level}}}\n"


def commands() -> str:
    """Return the reference of all commands, as `--help` has it."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(
        obj=command, ctx=typer.Context(command), name="toolkit", title="Command line"
    )
    return re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)


class Plain(griffe.Extension):
    """Docstrings are plain text: their examples are code, and `<class>/file` is no HTML."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite the docstring of one object as Markdown."""
        if obj.docstring:
            code = r"(?ms)^>>>.*?(?=\n\n|\Z)|`[^`]*`|<"
            obj.docstring.value = re.sub(code, _as_markdown, obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Rewrite the docstring of the package."""
        self.on_object(obj=pkg)


def _as_markdown(match: re.Match[str]) -> str:
    text = match[0]
    return "&lt;" if text == "<" else textwrap.indent(text, "    " * text.startswith(">>>"))
