"""Escaping of external text for its medium: terminal, JSON in a page, Markdown, figure; templates escape HTML."""

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Terminal controls (C0 but tab and newline, C1), direction controls, invisible characters, lone surrogates."""
_MARKDOWN = re.compile(r"[\\`*\[\]<|~$&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_SHORT = 80


def visible(text: str) -> str:
    r"""Return `text` with each control, invisible character and lone surrogate escaped as `\x1b` or `\u202e`."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0])), text)


def one_line(text: str) -> str:
    r"""Return `visible` text with line breaks and tabs escaped as `\n` and `\t`."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(value: object, limit: int = _SHORT) -> str:
    """Return a value for a message: its `repr` in one line, cut after `limit` characters."""
    if isinstance(value, str | bytes | bytearray):
        text = repr(value[:limit])
        return text if len(value) <= limit else f"{text[:limit]}... ({len(value):,} long)"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length():,} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number with too many digits
        return f"a {type(value).__name__}"
    text = one_line(text)
    return text if len(text) <= limit else f"{text[:limit]}..."


def json_in_html(text: str) -> str:
    """Escape JSON for `<script type="application/json">`, so that it cannot end the element or open a comment."""
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def json_for_terminal(text: str, *, ascii_only: bool = False) -> str:
    """Escape characters of JSON that control a terminal, or that it cannot write, without changing the values."""
    pattern = re.compile(r"[^\x00-\x7f]|\x7f") if ascii_only else _UNSEEN
    return pattern.sub(lambda found: _json_escape(found[0]), text)


def as_markdown(text: str, *, starts_line: bool = True) -> str:
    """Return `text` as one line of Markdown (CommonMark, its tables and mathematics) that shows it literally.

    `starts_line=False`, as in a table cell, leaves markers of headings, quotations and lists alone. An address in the
    text may become a link, which shows the address.
    """
    line = " ".join(visible(text).split())
    line = _MARKDOWN.sub(lambda found: "\\" + found[0], line)
    if not starts_line:
        return line
    if re.match(r"[-+=#>]", line):
        return "\\" + line
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)


def in_figure(text: str) -> str:
    """Escape `text` for a title, label, name or hover template of plotly: tags, entities and `%{...}`."""
    shown = one_line(text)
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        shown = shown.replace(letter, entity)
    return shown.replace("%{", "&#37;{").replace("$", "&#36;")


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
