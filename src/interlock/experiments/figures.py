"""Draw the figures of plotting libraries into files."""

from __future__ import annotations

import importlib
import io
from typing import Any

from interlock.core.errors import InvalidInput

PLOTLY_SCRIPT = "plotly.min.js"
_DPI = 120


def drawn(figure: Any) -> dict[str, bytes]:
    """Return a figure as files by their ending, the one to show first.

    Takes what matplotlib, plotly, Altair, Bokeh, seaborn and plotnine make; axes stand for their figure.

    Raises:
        InvalidInput: It is no figure.
    """
    if hasattr(figure, "to_plotly_json"):
        return _plotly(figure)
    if hasattr(figure, "draw") and hasattr(figure, "save") and type(figure).__module__.startswith("plotnine"):
        figure = figure.draw()
    canvas = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None) or getattr(figure, "fig", None)
    if canvas is not None and hasattr(canvas, "savefig"):
        data = io.BytesIO()
        canvas.savefig(data, format="png", dpi=_DPI, bbox_inches="tight")
        return {"png": data.getvalue()}
    if hasattr(figure, "to_json") and hasattr(figure, "mark_point"):
        return {"vega.json": str(figure.to_json()).encode()}
    raise InvalidInput(
        f"a {type(figure).__name__} is no figure",
        why="expected a figure of matplotlib, plotly, Altair, seaborn or plotnine",
        fix='log_figure("roc", figure)',
    )


def _plotly(figure: Any) -> dict[str, bytes]:
    """Return a plotly figure as a page and as JSON; its script is a file beside it, the same for all figures."""
    page = figure.to_html(include_plotlyjs="directory", full_html=True)
    return {"html": page.encode(), "plotly.json": str(figure.to_json()).encode()}


def plotly_script() -> bytes:
    """Return the script that plotly's pages ask for."""
    return str(importlib.import_module("plotly.offline").get_plotlyjs()).encode()
