"""From a Matplotlib figure to markup: line plots as inline SVG in the colours of the page, images as small PNG."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The palette of Okabe and Ito, which stays distinct in the common forms of colour blindness.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
YELLOW = "#f0e442"
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)

# Stand-ins that become the colours of the page, so that a figure follows light and dark mode.
INK, MUTED, RULE = "#010203", "#040506", "#070809"
_PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}

LINE_WIDTH_IN, LINE_HEIGHT_IN = 7.2, 2.9
IMAGE_WIDTH_IN, IMAGE_DPI = 9.0, 100

_STYLE: Any = {
    "svg.hashsalt": "lbpneuro",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "path.simplify": True,
    "text.parse_math": False,  # names of muscles and regions are the user's
}
_IMAGE_STYLE: Any = {
    **_STYLE,
    "text.color": "white",
    "axes.titlecolor": "white",
    "axes.labelcolor": "white",
    "xtick.labelcolor": "white",
    "ytick.labelcolor": "white",
    "xtick.color": "white",
    "ytick.color": "white",
    "figure.facecolor": "black",
    "savefig.facecolor": "black",
    "axes.facecolor": "black",
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure as markup that may stand in a page as it is; ``note`` adds numbers to the caption."""

    markup: str
    note: str = ""


@contextmanager
def line_style() -> Iterator[None]:
    """Use the style of line plots within the block."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


@contextmanager
def image_style() -> Iterator[None]:
    """Use the style of images (white on black) within the block."""
    import matplotlib as mpl

    with mpl.rc_context(_IMAGE_STYLE):
        yield


def new_figure(
    width: float = LINE_WIDTH_IN, height: float = LINE_HEIGHT_IN, *, layout: str | None = "constrained"
) -> Figure:
    """Return an empty figure of ``width`` x ``height`` inches that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]


def with_own_ids(markup: str, name: str) -> str:
    """Return ``markup`` with ``name`` before every id and every reference to one, so that figures do not clash."""
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", markup)


def as_svg(figure: Figure) -> str:
    """Return ``figure`` as an inline SVG element in the colours and letters of the page.

    The bytes depend on the drawing alone: no date, no random id.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    markup = stream.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    markup = re.sub(r' xmlns(:xlink)?="[^"]*"', "", markup).replace("xlink:href", "href")
    markup = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--sans)", markup)
    for stand_in, colour in _PAGE_COLOURS.items():
        markup = markup.replace(stand_in, colour)
    markup = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', markup, count=1)
    return re.sub(r"\n\s*", "\n", markup)


def as_png(figure: Figure) -> str:
    """Return ``figure`` as an image element whose PNG has a palette of 256 colours and no metadata."""
    from PIL import Image

    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=IMAGE_DPI, metadata={"Software": None})
    small = Image.open(raw).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    small.save(packed, format="PNG", optimize=True)
    data = base64.b64encode(packed.getvalue()).decode("ascii")
    return f'<img width="{small.width}" height="{small.height}" src="data:image/png;base64,{data}" alt="">'
