"""Masking of passwords in URLs and messages before they are shown or stored."""

import re
from collections.abc import Collection
from urllib.parse import unquote

from eenas.escaping import one_line

_SHOWN = (
    *("host", "hostaddr", "port", "user", "dbname", "connect_timeout", "timeout", "application_name"),
    *("client_encoding", "sslmode", "channel_binding", "gssencmode", "target_session_attrs", "load_balance_hosts"),
    *("mode", "uri", "cache", "immutable", "nolock", "psow", "vfs", "check_same_thread", "isolation_level"),
)
"""The parameters of a database URL whose values are shown. Values of others can be secret."""
_DATABASE = re.compile(r"(?i)\b(?:postgres|sqlite|mysql|mariadb|oracle|mssql)[\w+]*://[^\s'\"]*[^\s'\":;,.)]")
_PORT = r"\d{1,5}(?=[/?,]|$)"
_SHORT = 4  # secrets below this length are masked only as whole words


def masked_url(text: str) -> str:
    """Return a URL in one line with its possible secrets masked.

    These are the part before the last `@`, a port that is not a number, and the values of parameters that are not known
    to be harmless.
    """
    hidden = re.sub(r"(?s)(://[^:/@\s]*):.*@", r"\1:***@", text)
    hidden = re.sub(rf"(?s)(://[^:/@\s\[]*):(?!\*\*\*@|{_PORT})[^?]*", r"\1:***", hidden)
    return one_line(_parameters(_query(hidden)))


def masked(text: str, secrets: Collection[str] = ()) -> str:
    """Return a message, for example of a library, with passwords of URLs and all `secrets` masked."""
    for secret in secrets:
        there = re.escape(secret)
        text = re.sub(there if len(secret) >= _SHORT else rf"(?<!\w){there}(?!\w)", "***", text)
    text = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return _parameters(_DATABASE.sub(lambda found: _query(found[0]), text))


def secrets_of(url: str) -> list[str]:
    """Return the possible secrets of a database URL in all forms that a message can repeat, longest first."""
    found: set[str] = set()
    _, _, rest = url.partition("://")
    user, at, _ = rest.rpartition("@")
    if at and ":" in user:
        password = user.partition(":")[2]
        found |= {password, *re.split("[@?/#:]", password)}
    for part in _split_query(url)[1:]:
        name, _, value = part.partition("=")
        if name.lower() not in _SHOWN:
            found |= {value, *re.split(r"[\s=]+", unquote(value.replace("+", " ")))[1:]}
    found |= {unquote(each) for each in found}
    return sorted((each for each in found if re.search(r"\w", each)), key=lambda each: (-len(each), each))


def _split_query(url: str) -> list[str]:
    """Return the URL before its parameters, then each parameter. A `?` in a password starts none."""
    start = url.find("?", url.rfind("@") + 1)
    if start < 0:
        return [url]
    return [url[:start], *url[start + 1 :].split("&")]


def _query(url: str) -> str:
    before, *parameters = _split_query(url)
    if not parameters:
        return url
    shown = []
    for part in parameters:
        name, equals, _ = part.partition("=")
        shown.append(part if name.lower() in _SHOWN or not equals else f"{name}=***")
    return f"{before}?{'&'.join(shown)}"


def _parameters(text: str) -> str:
    name, hidden = r"(\w*(?:password|passwd))", r"\*{3}(?=[\s:;,.&)'\"]|$)"
    value = r"'[^']*'|\"[^\"]*\"|[^&\s,;'\"]*"
    return re.sub(rf"(?i)\b{name}(\s*(?:=|%3D)\s*|['\"]\s*:\s*)(?!{hidden})({value})", r"\1\2***", text)
