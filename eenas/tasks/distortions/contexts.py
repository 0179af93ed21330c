"""Names of contexts: "clean" for a pristine sample, "gaussian_blur:3" for one that is blurred at severity 3."""

CLEAN = "clean"
"""The context of an undistorted sample."""


def context_of(kind: str, severity: int) -> str:
    """Return the context of a sample distorted by `kind` at `severity`."""
    return f"{kind}:{severity}"


def kind_of(context: str) -> str:
    """Return the kind of a context of `context_of`; "clean" is its own kind."""
    return context.partition(":")[0]


def severity_of(context: str) -> int:
    """Return the severity of a context of `context_of`, and 0 for "clean"."""
    return int(context.partition(":")[2] or 0)
