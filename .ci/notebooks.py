"""Run the notebooks in examples/ as a person would, the second one on drawn faces.

With `--write` the first one is kept with its outputs, without what is said on stderr.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import toolkit as tk

EXAMPLES = Path(__file__).parents[1] / "examples"
FACES = {"source": "synthetic", "counts": {"with_mask": 60, "without_mask": 20}, "size": 64}
SECONDS = 600  # that a cell may take


def run(name: str, folder: str, parameters: str = "") -> nbformat.NotebookNode:
    """Run a notebook's cells, but for those that install; `parameters` replace the tagged cell."""
    book = nbformat.read(EXAMPLES / name, nbformat.current_nbformat)
    for cell in book.cells:
        if "%pip" in cell.source:
            cell.source = ""
        elif "parameters" in cell.metadata.get("tags", ()):
            cell.source = parameters
    resources = {"metadata": {"path": folder}}
    NotebookClient(book, timeout=SECONDS, resources=resources).execute()
    return book


def main() -> None:
    """Run both."""
    with tempfile.TemporaryDirectory() as folder:
        first = run("first-steps.ipynb", folder)
        tk.fetch(f"{folder}/photos", source=FACES)
        run("kaggle.ipynb", folder, f"PHOTOS, PROJECT, SEEDS = '{folder}/photos', 'masks', [0]")
        if not Path(folder, "masks/reports/index.html").is_file():
            sys.exit("kaggle.ipynb: `dvc repro` has written no page")
    if "--write" in sys.argv:
        for cell in first.cells:
            if cell.cell_type == "code":
                cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
                cell.metadata.pop("execution", None)
        nbformat.write(first, EXAMPLES / "first-steps.ipynb")
    sys.stdout.write("both notebooks ran\n")


if __name__ == "__main__":
    main()
