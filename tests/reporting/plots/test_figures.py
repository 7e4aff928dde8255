"""The PNGs of the stages."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from tests.helpers.pages import CLASSES, NASTY, history, result
from toolkit.evaluation.comparison import compare_results
from toolkit.metrics.confusion import matrix_of
from toolkit.reporting.plots import figures

RUNS = [
    result(arm, recipe, seed)
    for recipe in ("net", "deep")
    for arm in ("original", "augmented", NASTY)
    for seed in (0, 1)
]
PICTURES = {
    "curves": lambda: figures.curve_figure(history(), NASTY),
    "short curves": lambda: figures.curve_figure(history(epochs=1)),
    "confusion": lambda: figures.confusion_figure(matrix_of(RUNS[0].predictions), CLASSES, NASTY),
    "large confusion": lambda: figures.confusion_figure(
        np.eye(50, dtype=np.int64), [str(n) for n in range(50)]
    ),
    "empty confusion": lambda: figures.confusion_figure(np.zeros((2, 2), dtype=np.int64), CLASSES),
    "overlay": lambda: figures.overlay_figure(RUNS),
    "empty overlay": lambda: figures.overlay_figure([]),
    "comparison": lambda: figures.comparison_figure(
        compare_results(RUNS, control=NASTY, resamples=200)
    ),
    "one arm": lambda: figures.comparison_figure(compare_results(RUNS[:1], resamples=200)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_the_same_bytes_each_time(name):
    """Whatever is set in matplotlib, and with names that its font and its mathtext do not like."""
    first = PICTURES[name]()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 10}):
        assert PICTURES[name]() == first
        assert mpl.rcParams["font.size"] == 20
    assert b"Software" not in first


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_drawn_on_white(name):
    pixels = np.asarray(Image.open(io.BytesIO(PICTURES[name]())).convert("RGB"))
    assert tuple(pixels[0, -1]) == (255, 255, 255)


def test_the_comparison_grows_with_what_is_compared():
    def height(runs):
        picture = figures.comparison_figure(compare_results(runs, resamples=200))
        return Image.open(io.BytesIO(picture)).height

    assert height(RUNS) > height(RUNS[:6]) > height(RUNS[:1])


@pytest.mark.parametrize("loss", [1e-7, 9_999.0, 100_000.0, 4e7])
def test_labels_of_any_loss_lie_within_the_curves_picture(loss):
    epochs = history(epochs=4)
    epochs["valid_loss"] = [0.0, loss / 3, loss / 2, loss]
    picture = Image.open(io.BytesIO(figures.curve_figure(epochs, "a run"))).convert("L")
    assert np.asarray(picture)[:, 0].min() == 255
