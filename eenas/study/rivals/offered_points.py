"""The points a front is built from: the operating points of known networks that meet the limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from eenas.branches.cascade import Cascade
from eenas.designs.design import Design
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.costs import MACS, CostValues
from eenas.policies.operating_point import OperatingPoint
from eenas.study.rivals.known_networks import KnownNetwork, NetworkKind
from eenas.study.settings.limits import Limits

STATIC = " static"
"""The suffix of the name of a network that is truncated at one branch because all samples leave there."""


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """An operating point of the network `name`. `cost_shares` are its known costs as shares of the plain backbone's.

    `right` is the packed list of the validation samples that it classifies correctly (None if not recorded). On the
    front, `choice` marks the points that differ enough to choose between, and `recommended` and `knee` mark one of them
    each. `saves` marks points worth using instead of the plain backbone (all, if it is not on the front).
    `against_backbone` is the 95 % interval of the accuracy minus that of the backbone.
    """

    name: str
    kind: NetworkKind
    design: Design
    point: OperatingPoint
    cost_shares: CostValues
    trial: int | None = None
    right: str | None = None
    choice: bool = False
    knee: bool = False
    recommended: bool = False
    saves: bool = True
    against_backbone: tuple[float, float] | None = None

    @property
    def macs_share(self) -> float:
        """The expected MACs as a share of the plain backbone's."""
        return self.cost_shares[MACS]

    @property
    def ends_at(self) -> int | None:
        """The index of the branch at which every sample leaves, or None if samples may go on.

        It is also None if the answer there depends on more than the logits of that branch.
        """
        last, placed = self.point.policy.last_reachable, self.design.branches
        if self.point.shares[last] < 1 or last >= len(placed):
            return None
        alone = last == 0 or not (
            self.design.training.loss_weights == "boosted" or isinstance(placed[last].branch, Cascade)
        )
        return last if alone and self.point.policy.kind == "threshold" else None

    @property
    def label(self) -> str:
        """The name of the network that this point needs, "trial 3 static" if all samples leave at one branch."""
        return self.name if self.network.static == self.design.static else self.name + STATIC

    @property
    def network(self) -> Design:
        """The design that this point needs. It is static if every sample leaves at one branch."""
        return self.design if self.ends_at is None or self.design.static else self.design.static_at(self.ends_at)


def offered(networks: Sequence[KnownNetwork], backbone: BackboneFacts, limits: Limits) -> list[FrontPoint]:
    """Return all operating points that meet all limits, in the order of the networks."""
    return [
        item
        for network in networks
        for item in points_of(network, backbone)
        if all(by <= 1e-9 for by in violations(item, network, backbone, limits).values())
    ]


def points_of(network: KnownNetwork, backbone: BackboneFacts) -> list[FrontPoint]:
    """Return the operating points of one network, regardless of limits."""
    right: Sequence[str | None] = network.right or (None,) * len(network.points)
    found = []
    for point, text in zip(network.points, right, strict=True):
        shares = ((name, backbone.share(name, value)) for name, value in point.expected.items())
        found.append(
            FrontPoint(
                name=network.name,
                kind=network.kind,
                trial=network.trial,
                design=network.design,
                point=point,
                cost_shares=CostValues((name, share) for name, share in shares if share is not None),
                right=text,
            )
        )
    return found


def violations(item: FrontPoint, network: KnownNetwork, backbone: BackboneFacts, limits: Limits) -> dict[str, float]:
    """Return the amount by which a point exceeds each limit, computed for the network that it needs."""
    branches = len(item.network.exits) - 1
    return limits.violations(item.point, backbone_macs=backbone.macs, branches=branches, parameters=network.parameters)
