"""Code and packages that results depend on, by imports."""

import ast
import sys
from pathlib import Path

import toolkit
from toolkit.io import closure

PACKAGE = Path(toolkit.__file__).parent
HARMLESS = {
    "ctypes", "dvc", "dvc_data", "dvclive", "filelock", "lazy_loader", "markupsafe", "pydantic",
    "pydantic_core", "psutil", "rich", "ruamel", "safetensors", "threadpoolctl",
    "typer", "fastapi", "starlette", "uvicorn", "mlflow", "wandb",
}  # fmt: skip
"""Packages that carry, check and print values, and do not make them."""


def test_the_code_is_that_of_all_imports_and_of_the_files_they_read():
    code = closure.trace_imports("toolkit.reporting.comparison").code
    assert {"toolkit.reporting.comparison", "toolkit.metrics.confusion", "toolkit.io.files"} <= {
        *code
    }
    assert "reporting/templates/style.css" in code
    assert not {name for name in code if name.startswith("toolkit.training")}


def test_training_depends_on_how_images_are_read():
    """An earlier list by hand lacked these."""
    found = closure.trace_imports("toolkit.training.train")
    names = ("io.images", "io.color", "io.shards", "io.manifest", "training.streaming")
    assert {f"toolkit.{name}" for name in names} <= set(found.code)
    assert {"python", "numpy", "pillow", "torch", "torchvision"} <= set(found.versions)


def test_imports_are_found_in_every_kind_of_block():
    source = """
try: import a
except OSError: import b
else: import c
finally:
    with x: import d
async def f():
    async for y in z: import e
    else: import f
    match z:
        case 1: import g
class A:
    if x: import h
    elif y: import i
    else:
        while z: import j
"""
    assert sorted(closure._names(ast.parse(source))) == list("abcdefghij")


def test_every_package_is_known_to_decide_results_or_not():
    tops = {name.split(".")[0] for path in PACKAGE.rglob("*.py") for name in closure._imports(path)}
    others = tops - set(sys.stdlib_module_names) - {"toolkit"}
    assert others - set(closure.DECIDING) <= HARMLESS


def test_what_python_is_compiling_is_no_resource(tmp_path):
    module = tmp_path / "module.py"
    for name in ("style.css", "other.py", "__pycache__/other.cpython-311.pyc.140123"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(closure._resources(module)) == [tmp_path / "style.css"]


def test_a_package_that_is_not_installed_has_no_version():
    assert closure.find_version("no-such-package") is None
