"""Text from outside made harmless for the medium that shows it: terminal, HTML, JSON in a page, Markdown, figure."""

import html
import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls of terminals (C0 but tab and newline, C1), controls of direction, invisible characters, lone surrogates."""
_MARKDOWN = re.compile(r"[\\`*\[\]<|~$&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_SHORT = 80


def visible(text: str) -> str:
    r"""`text` with each control, invisible character and lone surrogate as an escape such as `\x1b` or `\u202e`."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0])), text)


def one_line(text: str) -> str:
    r"""`visible` text without line breaks and tabs, which become `\n` and `\t`."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(value: object, limit: int = _SHORT) -> str:
    """A value as a message quotes it: its `repr` in one line, cut off after `limit` characters."""
    if isinstance(value, str | bytes | bytearray):
        text = repr(value[:limit])
        return text if len(value) <= limit else f"{text[:limit]}... ({len(value):,} long)"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length():,} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number too long for decimal digits
        return f"a {type(value).__name__}"
    text = one_line(text)
    return text if len(text) <= limit else f"{text[:limit]}..."


def as_html(text: str) -> str:
    """`text` for an element or a quoted attribute of an HTML page."""
    return html.escape(visible(text))


def json_in_html(text: str) -> str:
    """JSON for a `<script type="application/json">`: nothing in it ends the element, opens a comment or a line."""
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def json_for_terminal(text: str, *, ascii_only: bool = False) -> str:
    """JSON with everything that a terminal would obey, or could not write, as the escapes of JSON; the same values."""
    pattern = re.compile(r"[^\x00-\x7f]|\x7f") if ascii_only else _UNSEEN
    return pattern.sub(lambda found: _json_escape(found[0]), text)


def as_markdown(text: str, *, starts_line: bool = True) -> str:
    """`text` as one line of Markdown (CommonMark, its tables and mathematics) that shows it letter by letter.

    Without `starts_line`, as in the cell of a table, it is no heading, quotation or list, whatever it begins with.
    An address in it may become a link, which shows the address.
    """
    line = " ".join(visible(text).split())
    line = _MARKDOWN.sub(lambda found: "\\" + found[0], line)
    if not starts_line:
        return line
    if re.match(r"[-+=#>]", line):
        return "\\" + line
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)


def in_figure(text: str) -> str:
    """`text` for a title, label, name or hover template of plotly, which would read tags, entities and `%{...}`."""
    shown = one_line(text)
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        shown = shown.replace(letter, entity)
    return shown.replace("%{", "&#37;{").replace("$", "&#36;")


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python reads it from a folder
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
