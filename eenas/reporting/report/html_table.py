"""An HTML table with escaped texts."""

from collections.abc import Iterable, Sequence

from eenas.escaping import as_html


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, is_text: bool = False) -> str:
    """Return a table. The first column is left-aligned; with `is_text` all others are, too."""
    head = "".join(f"<th>{as_html(text)}</th>" for text in heads) if any(heads) else ""
    body = "".join("<tr>" + "".join(f"<td>{as_html(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    kind = "text" if is_text else "numbers"
    return f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
