"""What all pictures share: theme, colours, legend, PNG bytes that depend on the numbers alone.

Colours are Okabe and Ito's (2008), which colour-blind people can tell apart; arms differ in their
marker and line as well.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIXED = {"original": "#0072B2", "augmented": "#D55E00", "duplicated": "#009E73"}
FREE = ("#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7F7F7F")
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":")
LIGHT = {"back": "#ffffff", "ink": "#1f2933", "soft": "#5f6b7a", "grid": "#e4e7eb"}
DARK = {"back": "#1b1f24", "ink": "#e6e9ed", "soft": "#a3adb8", "grid": "#333a42"}
DPI = 144


def arm_styles(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and marker of each arm; well-known arms keep one colour in all pictures."""
    others = [arm for arm in arms if arm not in FIXED]
    free = {arm: FREE[index % len(FREE)] for index, arm in enumerate(others)}
    return {
        arm: {
            "color": FIXED.get(arm) or free[arm],
            "linestyle": LINES[index % len(LINES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, arm in enumerate(arms)
    }


def arm_legend(figure: "Figure", arms: Sequence[str], *, lines: bool) -> None:
    """Name the arms above the picture, by their lines or by their markers."""
    from matplotlib.lines import Line2D

    kind: dict[str, Any] = {"marker": ""} if lines else {"linestyle": "", "markersize": 7}
    handles = [Line2D([], [], **{**style, **kind}) for style in arm_styles(arms).values()]
    names = [short(arm, 24) for arm in arms]
    figure.legend(handles, names, loc="outside upper left", ncols=max(1, min(4, len(names))))


def title(figure: "Figure", text: str) -> None:
    """Write a title at the upper left."""
    if text:
        figure.suptitle(short(text, 90), x=0.012, ha="left", size=11, weight="bold")


def short(text: str, length: int) -> str:
    """One printable line of at most `length` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def new(width: float, height: float) -> "Figure":
    """An empty figure, in inches, that no window and no global state knows of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without the software's name in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()


@contextlib.contextmanager
def theme(dark: bool) -> Iterator[dict[str, str]]:
    """Matplotlib's own defaults with our colours, whatever the user's matplotlibrc says."""
    import matplotlib as mpl

    colours = DARK if dark else LIGHT
    settings: Any = mpl.rcParams
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")  # characters that the font does not have
        mpl.rcdefaults()
        settings.update(_settings(colours))
        yield colours


def _settings(colours: Mapping[str, str]) -> dict[str, Any]:
    back, ink, soft, grid = (colours[name] for name in ("back", "ink", "soft", "grid"))
    return {
        "text.parse_math": False,  # a class may have dollars in its name
        "font.size": 9.5,
        "text.color": ink,
        "figure.facecolor": back,
        "figure.constrained_layout.w_pad": 0.09,
        "axes.facecolor": back,
        "axes.edgecolor": grid,
        "axes.labelcolor": soft,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titlepad": 9,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": grid,
        "grid.linewidth": 0.8,
        "xtick.color": soft,
        "ytick.color": soft,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
    }
