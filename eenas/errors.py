"""The exceptions of eenas, whose messages name the rule, the value and the fix."""

import difflib
from collections.abc import Iterable


class EenasError(Exception):
    """Base class of all exceptions that eenas raises. The command line prints the message and exits with status 2."""


class SpecError(EenasError):
    """A TOML table, a key in it or a value of `--set` violates its specification."""


class PluginError(EenasError):
    """A `package.module:name` or `./file.py:name` cannot be loaded or is not trusted."""


class TaskError(EenasError):
    """The data of a task are missing, damaged or inconsistent."""


class BackboneError(EenasError):
    """A backbone is unknown or cannot be built for this task."""


class WeightsError(BackboneError):
    """Weights cannot be loaded or do not fit the backbone."""


class CutError(BackboneError):
    """A backbone cannot be cut at the requested place."""


class BranchError(EenasError):
    """A branch structure is unknown or does not fit at a cut point."""


class DeviceError(EenasError):
    """A device is not available or a device setting is out of range."""


class MeasurementError(EenasError):
    """MACs or latency cannot be measured."""


class DesignError(EenasError):
    """A search space, proposal or design is inconsistent, or does not match its backbone."""


class InfeasibleError(DesignError):
    """No repair turns a proposal into a design. The study records the proposal as infeasible."""


class PolicyError(EenasError):
    """An exit table or a policy is invalid."""


class TrainingError(EenasError):
    """Training cannot continue."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """The device ran out of memory."""


class SimulationError(EenasError):
    """The settings or a trace of a simulation are invalid."""


class FrontError(EenasError):
    """No point on the front satisfies the request."""


class StorageError(EenasError):
    """The database or the artifact folder cannot be used."""


class MachineError(EenasError):
    """The machine lacks a general resource: memory, disk space, a folder or a device."""


class LinkError(EenasError):
    """The server of the rest of a model cannot be reached, is too slow, refuses, or gives a wrong answer."""


class StudyError(EenasError):
    """A study is missing, has another identity or cannot continue."""


class TimeOverError(StudyError):
    """The time limit of a search expired before a trial finished. Intermediate results are kept."""


class ExportError(EenasError):
    """A network cannot be exported, or an exported folder cannot be loaded."""


class ParityError(ExportError):
    """An exported program does not match the network."""


class InputError(EenasError):
    """A batch does not have the shape, type or values that a program accepts."""


class PictureError(EenasError):
    """An image cannot be read or used as an input."""


class ProtocolError(EenasError):
    """A message of the Open Inference Protocol is malformed or beyond a limit."""


def nearest(got: str, known: Iterable[str], limit: int = 3) -> str:
    """Return a clause for an error message: the known names closest to `got`, or all names if they are few.

    Examples are "nearest: 'resnet50', 'resnet50d'" and "known: 'a', 'b'"; "there is none" for an empty `known`.
    """
    names, got = list(dict.fromkeys(known)), got[:100]  # the search is quadratic in the length
    if not names:
        return "there is none"
    close = difflib.get_close_matches(got, names, n=limit, cutoff=0.6)
    if close:
        return "nearest: " + ", ".join(repr(name) for name in close)
    if len(names) <= 20:
        return "known: " + ", ".join(repr(name) for name in names)
    return f"none of the {len(names)} known names is close"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return a number and its noun: "1 trial", "3 trials", "2 branches" (with `nouns` given)."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
