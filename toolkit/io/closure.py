"""What results depend on besides params and data: code and packages, by the imports of a module."""

import ast
import functools
import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toolkit.io import files

PACKAGE = Path(__file__).parents[1]
WORDS = ("toolkit", "toolkit.errors", "toolkit.progress")
"""Modules without influence on results."""
DECIDING = {
    "PIL": "pillow",
    "albumentations": "albumentations",
    "cleanlab": "cleanlab",
    "imblearn": "imbalanced-learn",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pi_heif": "pi-heif",
    "pydicom": "pydicom",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
}
"""Imported name -> distribution of each package whose version decides results."""


BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
"""Fields of a statement of `ast` that hold statements, or what holds statements."""


@dataclass(frozen=True)
class Closure:
    """Module -> hash of its source, and package -> version, None for one that is not installed.

    The files that a module reads with importlib.resources are listed as modules are.
    """

    code: dict[str, str]
    versions: dict[str, str | None]


@functools.cache
def trace_imports(module: str) -> Closure:
    """Return all that `module` imports, directly or not, inside functions too, and itself."""
    code, packages, pending = dict[str, str](), set[str](), [module]
    while pending:
        name = pending.pop()
        if name in code or name in WORDS:
            continue
        path = _source(name)
        code[name] = _digest(path)
        names = _imports(path)
        pending += [other for other in names if _is_ours(other)]
        packages |= {DECIDING[top] for other in names if (top := other.split(".")[0]) in DECIDING}
        if "importlib.resources" in names:
            code |= {
                data.relative_to(PACKAGE).as_posix(): _digest(data) for data in _resources(path)
            }
    versions = {name: find_version(name) for name in sorted(packages)}
    python = ".".join(platform.python_version_tuple()[:2])
    return Closure(dict(sorted(code.items())), {"python": python, **versions})


@functools.cache
def package_digest() -> str:
    """Return a hash of all code of the package and of the metadata of the packages in DECIDING.

    For work that is begun anew after any change: an eighth of the time of `trace_imports`.
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    described = [_metadata_text(name) for name in DECIDING.values()]
    digest.update(repr(described).encode())
    return digest.hexdigest()


def _metadata_text(distribution: str) -> str | None:
    """Return the metadata, version included, of a distribution: to parse it takes a millisecond."""
    try:
        return metadata.distribution(distribution).read_text("METADATA")
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def find_version(distribution: str) -> str | None:
    """Return the installed version of a distribution, None where there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports: modules, and names that may be modules."""
    return frozenset(_names(ast.parse(path.read_bytes())))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _statements(block: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a block and of its blocks; `ast.walk` yields 13 times as much."""
    for field in BLOCKS:
        for node in getattr(block, field, ()):
            yield node
            yield from _statements(node)


def _is_ours(name: str) -> bool:
    """Return whether this is a module of the package, not another's and not a name in a module."""
    return name.split(".")[0] == PACKAGE.name and _source(name).is_file()


@functools.cache
def _source(module: str) -> Path:
    """Return the file of a module of the package."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _resources(module: Path) -> Iterator[Path]:
    """Yield the files beside a module and below that are no code, nor what Python makes of code.

    Another process may be writing the latter, under names that are gone a moment later.
    """
    for path in module.parent.rglob("*"):
        compiled = "__pycache__" in path.parts
        if path.is_file() and not compiled and path.suffix not in (".py", ".pyi"):
            yield path


@functools.cache
def _digest(path: Path) -> str:
    return files.sha256(path)[:16]
