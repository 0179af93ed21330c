"""Writing one figure to a file: a page that opens offline, or a picture."""

from pathlib import Path

import plotly.graph_objects as go

from eenas.errors import EenasError
from eenas.files import write_atomically, write_text

PAGE, PICTURE = ".html", ".png"


def check_figure_file(path: Path) -> None:
    """Raise EenasError unless the name of a figure's file ends in .html or .png."""
    if path.suffix.lower() not in (PAGE, PICTURE):
        raise EenasError(f"{path}: a figure's name must end in {PAGE} or {PICTURE}")


def write_figure(drawing: go.Figure, path: Path) -> None:
    """Write a figure as an HTML page that contains its scripts, or as a PNG picture.

    Raises EenasError for another ending, and for a picture if kaleido or its browser is not installed.
    """
    check_figure_file(path)
    if path.suffix.lower() == PAGE:
        write_text(path, drawing.to_html(include_plotlyjs=True, config={"displayModeBar": False}))
        return
    try:
        picture = drawing.to_image(format="png", width=1200, height=drawing.layout.height, scale=2)
    except Exception as error:  # plotly, kaleido and choreographer raise many kinds if a part is missing
        raise EenasError(
            f"{path}: a picture needs kaleido and Chrome ({type(error).__name__}); run `pip install kaleido`, or give "
            f"a name that ends in {PAGE}"
        ) from None
    write_atomically(path, lambda file: file.write_bytes(picture))
