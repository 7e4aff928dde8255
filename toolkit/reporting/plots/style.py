"""What all figures share: colors, theme, the styles of the arms, and PNG.

The colors are those of Okabe and Ito (2008), which color-blind readers can distinguish, two of them
darkened for white paper; arms also differ in marker and line. Equal figures give equal bytes.
"""

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.io.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {
    "back": ("#ffffff", "#15181c"),
    "panel": ("#f5f6f7", "#1e2227"),
    "ink": ("#1c242e", "#e9ebee"),
    "soft": ("#57626e", "#a7b0ba"),
    "line": ("#c3c9d0", "#4a525c"),
    "grid": ("#e7e9ec", "#2b3037"),
    "blue": ("#0072b2", "#5ab0e8"),
    "vermilion": ("#d55e00", "#f58b4c"),
    "green": ("#009e73", "#36c79c"),
    "purple": ("#b8628f", "#e3a0c8"),
    "ochre": ("#b07a00", "#f0b83c"),
    "sky": ("#3a93c8", "#9ad6f7"),
    "brown": ("#7d5a12", "#cfa652"),
    "gray": ("#7b7b7b", "#a9a9a9"),
}
"""Light and dark variant of each color. PNGs use the light one; a page has both as variables."""
FIXED = {"original": "blue", "augmented": "vermilion", "duplicated": "green"}
"""Colors of well-known arms; the others take those of FREE in turn."""
FREE = ("purple", "ochre", "sky", "brown", "gray")
MARKERS = "oDs^vPX*"
LINES = ("-", (0, (4, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
DPI = 144


def import_matplotlib() -> None:
    """Import all that draws, which takes .4 s, before workers are forked that share it then."""
    importlib.import_module("matplotlib.backends.backend_agg")


def hex_color(name: str) -> str:
    """Return the light variant of a color as #rrggbb."""
    return COLORS[name][0]


def arm_colors(arms: Sequence[str]) -> dict[str, str]:
    """Return the color name of each arm; well-known arms have the same color in all figures."""
    others = [arm for arm in arms if arm not in FIXED]
    return {arm: FIXED.get(arm) or FREE[others.index(arm) % len(FREE)] for arm in arms}


def arm_styles(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the color, line and marker of each arm, as keywords of matplotlib."""
    return {
        arm: {
            "color": hex_color(color),
            "linestyle": LINES[index % len(LINES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, (arm, color) in enumerate(arm_colors(arms).items())
    }


def arm_legend(figure: "Figure", arms: Sequence[str], *, lines: bool) -> None:
    """Draw a legend of the arms above the figure, with their lines or their markers."""
    from matplotlib.lines import Line2D

    kind: dict[str, Any] = {"marker": ""} if lines else {"linestyle": "", "markersize": 7}
    handles = [Line2D([], [], **{**style, **kind}) for style in arm_styles(arms).values()]
    names = [shorten(arm, 24) for arm in arms]
    figure.legend(handles, names, loc="outside upper left", ncols=max(1, min(4, len(names))))


def draw_title(figure: "Figure", text: str) -> None:
    """Draw a title at the upper left."""
    if text:
        figure.suptitle(shorten(text, 90), x=0.012, ha="left", size=11, weight="bold")


def new_figure(width: float, height: float, *, fitted: bool = True) -> "Figure":
    """Create a figure outside of pyplot's state; width and height in points (1/72 inch).

    Axes are `fitted` to what stands beside them, which takes a third of the time, or to be placed.
    """
    from matplotlib.figure import Figure

    size = width / 72, height / 72
    return Figure(figsize=size, dpi=DPI, layout="constrained" if fitted else None)


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """Use matplotlib's defaults with the settings of the toolkit, whatever matplotlibrc says."""
    import matplotlib as mpl

    settings: Any = mpl.rcParams
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")  # characters that the font lacks
        mpl.rcdefaults()
        settings.update(_settings())
        yield


def _settings() -> dict[str, Any]:
    return {
        "text.parse_math": False,  # class names may contain dollar signs
        "font.size": 11,
        "text.color": hex_color("ink"),
        "figure.facecolor": hex_color("back"),
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.05,
        "axes.facecolor": "none",
        "axes.edgecolor": hex_color("line"),
        "axes.labelcolor": hex_color("soft"),
        "axes.labelsize": 11,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titlepad": 9,
        "axes.titley": 1.0,  # above the axes, where nothing else is: a search takes a tenth longer
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": hex_color("grid"),
        "grid.linewidth": 1,
        "xtick.color": hex_color("soft"),
        "ytick.color": hex_color("soft"),
        "xtick.labelsize": 10.5,
        "ytick.labelsize": 10.5,
        "xtick.bottom": False,
        "ytick.left": False,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "toolkit",
    }


def to_png(figure: "Figure") -> bytes:
    """Return the figure as PNG, without the name of the software."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()
