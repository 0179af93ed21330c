"""The one family of exceptions of eenas: every message names the rule, the value and the fix."""

import difflib
from collections.abc import Iterable


class EenasError(Exception):
    """Root of everything eenas raises on purpose; the command line prints the message and exits with status 2."""


class SpecError(EenasError):
    """A TOML table, a key in it or a value of a `--set` is not what its specification allows."""


class PluginError(EenasError):
    """A `package.module:name` or `./file.py:name` could not be loaded, or was not trusted."""


class TaskError(EenasError):
    """The data of a task are missing, broken or contradict each other."""


class BackboneError(EenasError):
    """A backbone is unknown or cannot be built for this task."""


class WeightsError(BackboneError):
    """Weights could not be reached or do not fit the backbone."""


class CutError(BackboneError):
    """A backbone cannot be cut where it was asked to be cut."""


class BranchError(EenasError):
    """A branch structure is unknown or cannot stand at a cut point."""


class DeviceError(EenasError):
    """A device is not there."""


class MeasurementError(EenasError):
    """MACs or latency could not be measured."""


class DesignError(EenasError):
    """A search space, proposal or design contradicts itself or its backbone."""


class InfeasibleError(DesignError):
    """A proposal that no repair turns into a design; the study records it as infeasible."""


class PolicyError(EenasError):
    """An exit table or a policy is invalid."""


class TrainingError(EenasError):
    """Training could not go on."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """The device ran out of memory."""


class FrontError(EenasError):
    """Nothing on the front satisfies the request."""


class StorageError(EenasError):
    """The database or the artifact folder cannot be used."""


class MachineError(EenasError):
    """The machine lacks what any work needs: memory, room on a disk, a folder, a device."""


class StudyError(EenasError):
    """A study is missing, belongs to another identity or cannot go on."""


class TimeOverError(StudyError):
    """The time limit of a search ended before a trial finished; what was done is kept."""


class ExportError(EenasError):
    """A network could not be exported, or an exported folder not be loaded."""


class ParityError(ExportError):
    """An exported program does not do what the network does."""


class InputError(EenasError):
    """A batch has another shape, type or value than a program takes."""


class PictureError(EenasError):
    """A picture cannot be read or shown to a network."""


def nearest(got: str, known: Iterable[str], limit: int = 3) -> str:
    """A clause for an error message: the known names closest to `got`, or all of them where they are few.

    Returns a text such as "nearest: 'resnet50', 'resnet50d'" or "known: 'a', 'b'"; never empty for a non-empty `known`.
    """
    names, got = list(dict.fromkeys(known)), got[:100]  # the search is quadratic in the length
    close = difflib.get_close_matches(got, names, n=limit, cutoff=0.6)
    if close:
        return "nearest: " + ", ".join(repr(name) for name in close)
    if len(names) <= 20:
        return "known: " + ", ".join(repr(name) for name in names)
    return f"none of the {len(names)} known names is close"
