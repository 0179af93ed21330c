"""One registry for every kind of plug-in: a name, `package.module:name` or `./file.py:name`, and what it stands for."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from eenas.errors import EenasError, PluginError, nearest
from eenas.escaping import shortened


def is_reference(text: str) -> bool:
    """Whether `text` has the form `package.module:name` or `./file.py:name` (unlike `npz:PATH`)."""
    place, colon, name = text.rpartition(":")
    if not (colon and name.isidentifier()):
        return False
    return place.endswith(".py") or all(part.isidentifier() for part in place.split("."))


def class_problem(found: Any, base: type, *, public: str = "") -> str | None:
    """Return why an object is not a concrete class of frozen values derived from `base`, or None if it is one.

    `public` is the class that an author derives from, as it is imported; the default is `base` from its step.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        public = public or ".".join((*base.__module__.split(".")[:2], base.__name__))
        return f"must be a class derived from {public}, got {described(found)}"
    parameters = vars(found).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        return f"{found.__name__} must be marked @dataclass(frozen=True, kw_only=True)"
    if inspect.isabstract(found):
        return f"{found.__name__} must define {', '.join(sorted(getattr(found, '__abstractmethods__', ())))}"
    return None


def call_problem(function: Callable[..., Any], *names: str) -> str | None:
    """Return why a function cannot be called with positional arguments called `names`, or None if it can.

    A function without a readable signature is taken as it is.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*names)
    except TypeError:
        name, given = getattr(function, "__name__", type(function).__name__), [each for each in names if each != "self"]
        count = f"{len(given)} argument{'s' * (len(given) != 1)}"
        return f"{name} must take {count}, {name}({', '.join(names)}), got {name}{signature}"
    return None


def method_problem(owner: type, method: str, *names: str) -> str | None:
    """Return why objects of a class cannot call a method with positional arguments called `names`, or None."""
    own = ("self",) if inspect.isfunction(inspect.getattr_static(owner, method)) else ()
    return call_problem(getattr(owner, method), *own, *names)


def described(found: Any) -> str:
    """Return an object of a plug-in for a message, without the private package that its file is imported in."""
    if isinstance(found, type):
        return f"the class {found.__name__}({', '.join(base.__name__ for base in found.__bases__)})"
    if inspect.isroutine(found):
        return f"the function {found.__name__}"
    return re.sub(r"eenas_plugin_[0-9a-f]+\.", "", shortened(found))


Plugin = TypeVar("Plugin")


class Registry(Generic[Plugin]):
    """One kind of plug-in: eenas's own objects by name, and the user's by reference.

    `kind` names it in messages, such as "policy". `own` maps the names of eenas's objects to them. `accept` gets a
    reference and the object found there, and returns what is used in its place; it raises `error`, with the rule and
    the fix, for an object that is not of this kind.
    """

    def __init__(
        self, kind: str, own: Mapping[str, Plugin], *, accept: Callable[[str, Any], Plugin], error: type[EenasError]
    ) -> None:
        self.kind, self._own, self._accept, self._error = kind, own, accept, error
        self._trusted: dict[str, Plugin] = {}

    def __iter__(self) -> Iterator[str]:
        """The names of eenas's own objects."""
        return iter(self._own)

    def __contains__(self, name: object) -> bool:
        """Whether `name` is one of eenas's own."""
        return name in self._own

    def find(self, name: str, *, trust_code: bool = False, relative_to: Path | None = None) -> Plugin:
        """The object of this name or reference; a `./file.py` is looked for as `load_object` says.

        An object that was loaded once with `trust_code` is found again in the same process without it, and where its
        file is not; also by a worker thread. Raises `error` for an unknown name and for what is not of this kind,
        PluginError for code that is not trusted or does not load.
        """
        if name in self._own:
            return self._own[name]
        if not is_reference(name):
            fix = f"a {self.kind} of your own is named ./file.py:name"
            raise self._error(f"unknown {self.kind} {shortened(name)}; {nearest(name, self._own)}; {fix}")
        try:
            loader = import_module("eenas.user_code")  # at run time: the runtime that an export carries has no loader
        except ImportError:
            raise PluginError(
                f"{name!r} is Python code, which needs eenas here; install it, import eenas.runtime"
            ) from None
        if name in self._trusted and not (trust_code and loader.is_there(name, relative_to)):
            return self._trusted[name]
        found = self._accept(name, loader.load_object(name, trust_code=trust_code, relative_to=relative_to))
        self._trusted[name] = found
        return found
