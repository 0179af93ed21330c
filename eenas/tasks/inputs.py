"""The description of samples: named tensors, each with a type and axes, some of variable length."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eenas.bounds import located
from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.plugins import is_reference
from eenas.specs import read_fields

Kind = str
"""A kind of input: one of KINDS, or the reference of a plug-in (`./file.py:name`)."""
KINDS: tuple[Kind, ...] = ("images", "series", "text", "graphs")
OF_ARRAYS: tuple[Kind, ...] = ("images", "series")
"""The kinds that plain arrays can hold."""
DTYPES = ("uint8", "int64", "float32")
_MAX_LENGTH = 1 << 28  # of an axis
_MAX_ENTRIES = 8  # tensors of a sample, axes of a tensor, and options


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor, not the batch axis: its name and its length. None is a variable or open length."""

    name: str
    size: int | None = None

    def __post_init__(self) -> None:
        """Raise SpecError for an empty name or a length out of range."""
        if not self.name:
            raise SpecError("an axis of an input needs a name, got an empty one; name it")
        size = self.size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _MAX_LENGTH):
            raise SpecError(f"the axis {self.name!r} of an input has a length of at least 1, got {shortened(size)}")

    def __str__(self) -> str:
        return f"{self.name} {'any' if self.size is None else self.size}"


@dataclass(frozen=True)
class TensorSpec:
    """The type of a tensor and its axes in order, without the batch axis."""

    dtype: str
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        """Raise SpecError for an unknown type."""
        if self.dtype not in DTYPES:
            raise SpecError(f"an input's type is one of {', '.join(DTYPES)}, got {shortened(self.dtype)}")

    def size(self, axis: str) -> int | None:
        """Return the length of an axis, or None if it varies.

        Raises SpecError for an unknown axis.
        """
        sizes = {each.name: each.size for each in self.axes}
        if axis not in sizes:
            raise SpecError(f"the input has no axis {axis!r}; {nearest(axis, sizes)}")
        return sizes[axis]

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.axes))}]"


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Samples of one `kind`: `tensors` by name, and `options` of their preparation.

    It describes the samples of a task, the input of a transform, and the input of the network in a design or a
    manifest.
    """

    kind: Kind
    tensors: tuple[tuple[str, TensorSpec], ...]
    options: tuple[tuple[str, str | int], ...] = ()

    def __post_init__(self) -> None:
        """Raise SpecError for an unknown kind, or for samples without a tensor."""
        if self.kind not in KINDS and not is_reference(self.kind):
            raise SpecError(f"an input is one of {', '.join(KINDS)}, got {shortened(self.kind)}")
        if not self.tensors:
            raise SpecError("an input has at least one tensor, got none")

    @property
    def tensor(self) -> TensorSpec:
        """The first tensor, for samples with one tensor."""
        return self.tensors[0][1]

    @property
    def channels(self) -> int | None:
        """The length of the axis "channel" of the first tensor, or None if it is open or there is none."""
        return next((axis.size for axis in self.tensor.axes if axis.name == "channel"), None)

    def size(self, axis: str) -> int | None:
        """Return the length of an axis of the first tensor, or None if it varies.

        Raises SpecError for an unknown axis.
        """
        return self.tensor.size(axis)

    def with_size(self, axis: str, size: int) -> "InputSpec":
        """Return the same spec with another length of an axis of the first tensor.

        Raises SpecError for an unknown axis.
        """
        self.size(axis)
        (name, tensor), *others = self.tensors
        axes = tuple(Axis(axis, size) if each.name == axis else each for each in tensor.axes)
        return replace(self, tensors=((name, replace(tensor, axes=axes)), *others))

    def option(self, name: str) -> str | int | None:
        """Return the value of an option, or None if it is not set."""
        return dict(self.options).get(name)

    def agrees(self, other: "InputSpec") -> bool:
        """Whether the same samples can match both specs.

        The kind and the names, types and axes of the tensors are equal, and so are the lengths that both specs state.
        """
        if self.kind != other.kind or [name for name, _ in self.tensors] != [name for name, _ in other.tensors]:
            return False
        pairs = [(one, two) for (_, one), (_, two) in zip(self.tensors, other.tensors, strict=True)]
        return all(
            one.dtype == two.dtype
            and len(one.axes) == len(two.axes)
            and all(
                a.name == b.name and (a.size is None or b.size is None or a.size == b.size)
                for a, b in zip(one.axes, two.axes, strict=True)
            )
            for one, two in pairs
        )

    def __str__(self) -> str:
        """Return text such as "series: float32 [channel 3, time 96]"."""
        return f"{self.kind}: {', '.join(str(each) for _, each in self.tensors)}"

    def to_table(self) -> dict[str, Any]:
        """Return the spec as plain data, the inverse of `from_table`. A variable axis has length 0."""
        tensors = {
            name: {"dtype": each.dtype, "axes": [[axis.name, axis.size or 0] for axis in each.axes]}
            for name, each in self.tensors
        }
        return {"kind": self.kind, "tensors": tensors, **({"options": dict(self.options)} if self.options else {})}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "InputSpec":
        """Return the spec from the plain data of `to_table`.

        Raises SpecError for other data.
        """
        given = read_fields(_InputTable, table, file=file, key=key)
        try:
            tensors = tuple((name, each.spec()) for name, each in given.tensors.items())
            return cls(kind=given.kind, tensors=tensors, options=tuple(sorted(given.options.items())))
        except SpecError as error:
            raise SpecError(f"{located(file, key) or 'an input'}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _TensorTable:
    """The plain data of a tensor; an axis is a pair of name and length, 0 for a variable one."""

    dtype: str
    axes: tuple[tuple[str | int, ...], ...]

    def __post_init__(self) -> None:
        """Raise SpecError for too many axes and for axes that are not pairs."""
        pairs = all(len(axis) == 2 and isinstance(axis[0], str) for axis in self.axes)
        if not (pairs and 1 <= len(self.axes) <= _MAX_ENTRIES):
            raise SpecError(f"axes must be 1 to {_MAX_ENTRIES} pairs of name and length, got {shortened(self.axes)}")

    def spec(self) -> TensorSpec:
        """Return the tensor. Raises SpecError for invalid types and lengths."""
        return TensorSpec(self.dtype, tuple(Axis(str(name), _length(size)) for name, size in self.axes))


@dataclass(frozen=True, kw_only=True)
class _InputTable:
    """The plain data of an input."""

    kind: Kind
    tensors: dict[str, _TensorTable]
    options: dict[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise SpecError for too many tensors or options."""
        if (count := max(len(self.tensors), len(self.options))) > _MAX_ENTRIES:
            raise SpecError(f"an input has at most {_MAX_ENTRIES} tensors and options, got {count}")


def _length(size: str | int) -> int | None:
    return None if size == 0 else size  # type: ignore[return-value]  # Axis raises for text
