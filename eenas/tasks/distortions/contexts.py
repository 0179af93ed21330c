"""Names of contexts: the circumstances of a sample, such as "clean" or "gaussian_blur:3"."""

CLEAN = "clean"
"""The context of an undistorted sample."""


def context_of(kind: str, severity: int) -> str:
    """Return the context of a sample distorted by `kind` at `severity`."""
    return f"{kind}:{severity}"


def kind_of_context(context: str) -> str:
    """Return the kind of a context, without the severity: "gaussian_blur" for "gaussian_blur:3"."""
    return context.rpartition(":")[0] or context


def severity_of_context(context: str) -> int:
    """Return the severity of a context. A context without one has severity 0."""
    severity = context.rpartition(":")[2]
    return int(severity) if ":" in context and severity.isdecimal() else 0
