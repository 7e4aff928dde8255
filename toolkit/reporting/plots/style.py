"""What all pictures share: colours, theme, arms' styles, the figure as PNG.

Colours are Okabe and Ito's (2008), which colour-blind people can tell apart, two of them darkened
to show on white; arms differ in their marker and line as well. Equal figures give equal bytes.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.io.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
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
    "grey": ("#7b7b7b", "#a9a9a9"),
}
"""Name -> the colour in the light and in the dark. PNGs are light; a page has both as variables."""
FIXED = {"original": "blue", "augmented": "vermilion", "duplicated": "green"}
FREE = ("purple", "ochre", "sky", "brown", "grey")
MARKERS = "oDs^vPX*"
LINES = ("-", (0, (4, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
DPI = 144


def tint(name: str) -> str:
    """The colour as a picture on white has it."""
    return COLOURS[name][0]


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """The name of each arm's colour; well-known arms keep one in all pictures."""
    others = [arm for arm in arms if arm not in FIXED]
    return {arm: FIXED.get(arm) or FREE[others.index(arm) % len(FREE)] for arm in arms}


def arm_styles(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and marker of each arm."""
    return {
        arm: {
            "color": tint(colour),
            "linestyle": LINES[index % len(LINES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, (arm, colour) in enumerate(arm_colours(arms).items())
    }


def arm_legend(figure: "Figure", arms: Sequence[str], *, lines: bool) -> None:
    """Name the arms above the picture, by their lines or by their markers."""
    from matplotlib.lines import Line2D

    kind: dict[str, Any] = {"marker": ""} if lines else {"linestyle": "", "markersize": 7}
    handles = [Line2D([], [], **{**style, **kind}) for style in arm_styles(arms).values()]
    names = [shorten(arm, 24) for arm in arms]
    figure.legend(handles, names, loc="outside upper left", ncols=max(1, min(4, len(names))))


def draw_title(figure: "Figure", text: str) -> None:
    """Write a title at the upper left."""
    if text:
        figure.suptitle(shorten(text, 90), x=0.012, ha="left", size=11, weight="bold")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that no window and no global state knows of; sides in points (1/72 inch)."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=DPI, layout="constrained")


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """Matplotlib's own defaults with our settings, whatever the user's matplotlibrc says."""
    import matplotlib as mpl

    settings: Any = mpl.rcParams
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")  # characters that the font does not have
        mpl.rcdefaults()
        settings.update(_settings())
        yield


def _settings() -> dict[str, Any]:
    return {
        "text.parse_math": False,  # a class may have dollars in its name
        "font.size": 11,
        "text.color": tint("ink"),
        "figure.facecolor": tint("back"),
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.05,
        "axes.facecolor": "none",
        "axes.edgecolor": tint("line"),
        "axes.labelcolor": tint("soft"),
        "axes.labelsize": 11,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titlepad": 9,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": tint("grid"),
        "grid.linewidth": 1,
        "xtick.color": tint("soft"),
        "ytick.color": tint("soft"),
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
    """The figure as PNG, without the software's name in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()
