"""Passwords taken out of URLs and of messages that may hold one, before anything is shown or kept."""

import re

from eenas.escaping import one_line

_SECRETS = ("password", "passwd", "sslpassword", "pgpassword")


def masked_url(text: str) -> str:
    """A URL in one line, as it was written but for its passwords; what stands before its last `@` counts as one."""
    return one_line(_parameters(re.sub(r"(?s)(://[^:/@\s]*):.*@", r"\1:***@", text)))


def masked(text: str) -> str:
    """A message, such as that of a library, with the passwords of the URLs in it left out."""
    return _parameters(re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text))


def _parameters(text: str) -> str:
    names = "|".join(_SECRETS)
    return re.sub(rf"(?i)\b({names})(\s*=\s*|['\"]\s*:\s*)('[^']*'|\"[^\"]*\"|[^&\s,;'\"]*)", r"\1\2***", text)
