"""The result of a recalibration: figures before and after, and the policies that were fitted."""

from dataclasses import dataclass

from eenas.policies.costs import KNOWN, CostFacts
from eenas.policies.operating_point import OperatingPoint


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The result of a recalibration: the old and the new policy on `samples` samples that were not used for the fit.

    Both points refer to the same samples and costs. `before` is None if there was no policy. `fitted_on` is the number
    of samples for the fit of temperatures and thresholds. `final_accuracy` is that of the final exit on the others.
    `left_out` names unreadable images that were skipped. `warning` is set if the network is more accurate on these
    data than on the test split at export: it was probably trained on them, and the thresholds are too low. `unused` is
    the number of samples in the train and validation splits, which were not used. `cautions` are sentences: the fit
    rests on few samples, or the model no longer stops early. `declined` are sentences on parts of the model's
    rule, such as a learned kind, that the policy leaves out because they did not win.
    """

    before: OperatingPoint | None
    after: OperatingPoint
    final_accuracy: float
    backbone_macs: float
    samples: int
    fitted_on: int
    warning: str | None = None
    left_out: tuple[str, ...] = ()
    unused: int = 0
    cautions: tuple[str, ...] = ()
    declined: tuple[str, ...] = ()
    costs: tuple[CostFacts, ...] = tuple(KNOWN.values())
