"""Known designs, which need no search: no branches, published ones, uniform placement, and SDN's."""

from collections.abc import Sequence
from typing import Any

from eenas.branches.branch import POOLS, Branch
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import SDN_SHARES, branchynet_alexnet_1, branchynet_alexnet_2, branchynet_lenet, sdn
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.designs.domains import Domain
from eenas.designs.keys import POLICY, TRAINING
from eenas.designs.placement import at_shares, candidates, shares, uniform
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.repair import BranchMacs, obstacle
from eenas.designs.resolve import cascaded
from eenas.designs.space import Space, values_of
from eenas.designs.training_choice import NO_EXPERTS, without_contradiction
from eenas.measurement.profile import Profile

BRANCHYNET = {
    "branchynet_lenet": (Placed(cut_point="conv1", branch=branchynet_lenet()),),
    "branchynet_alexnet": (
        Placed(cut_point="conv2", branch=branchynet_alexnet_1()),
        Placed(cut_point="conv3", branch=branchynet_alexnet_2()),
    ),
}
"""The branches of BranchyNet's own networks, by backbone (Teerapittayanon et al. 2016)."""


def known_designs(
    space: Space,
    backbone: ProfiledBackbone,
    *,
    uniform_counts: Sequence[int] | None = None,
) -> list[tuple[str, Design]]:
    """Return named designs for the first trials and the baselines.

    They are "no branch", "branchynet" on BranchyNet's own backbones, "uniform 1 fc" to "uniform N fc", and "sdn six". N
    is the number of slots of `space`, at most the number of cut points; `uniform_counts` selects fewer counts. A
    uniform branch is `fc` if it keeps the cost cap at its cut point, else `pool_fc`, as far as the space names these
    (both if it names neither); without either the place stays empty. SDN's six are `pool_fc` with mixed pooling at 15
    to 90 % of the MACs (Kaya et al., ICML 2019).

    Training and policy have the space's fixed values, else the allowed values nearest to the defaults. If the space
    fixes a cascade, the branches form one. A design equal to an earlier one is left out. A space may be unable to
    express a design; `encode` checks this.
    """
    profile = backbone.profile
    points = candidates(profile)
    training, policy = default_choices(space)
    plain = _plain(space)

    def stand(positions: Sequence[int], families: Sequence[Branch]) -> list[Placed]:
        return [
            Placed(cut_point=profile.cut_points[points[position]].name, branch=branch)
            for position in positions
            if (branch := _first_allowed(families, space, profile, points[position], backbone.branch_macs)) is not None
        ]

    def design(placed: Sequence[Placed]) -> Design:
        return Design(
            backbone=profile.backbone,
            num_classes=backbone.num_classes,
            inputs=backbone.inputs,
            branches=cascaded(placed) if space.setting("network.cascade") is True else tuple(placed),
            training=training,
            policy=policy,
        ).canonical()

    found = [("no branch", design(()))]
    published = BRANCHYNET.get(profile.backbone, ())
    if published and {placed.cut_point for placed in published} <= {profile.cut_points[i].name for i in points}:
        found.append(("branchynet", design(published)))
    most = min(space.branches, len(points))
    counts = range(1, most + 1) if uniform_counts is None else [n for n in uniform_counts if 1 <= n <= most]
    found += [(f"uniform {n} fc", design(stand(uniform(n, len(points)), plain))) for n in counts]
    if len(SDN_SHARES) <= most:
        positions = at_shares(SDN_SHARES, shares(profile, "macs"))
        found.append(("sdn six", design(stand(positions, (sdn(),)))))
    different: dict[str, tuple[str, Design]] = {}
    for name, each in found:
        different.setdefault(each.architecture_digest, (name, each))
    return list(different.values())


def default_choices(space: Space) -> tuple[TrainingChoice, PolicyChoice]:
    """Return training and policy of designs that were not drawn: fixed values, else the nearest to the defaults.

    They have no experts, which only trials train.
    """
    values = {**without_contradiction(_defaults(space, "training"))[0], "experts": NO_EXPERTS}
    training = TrainingChoice(**values)
    return training, PolicyChoice(**_defaults(space, "policy"))


def _plain(space: Space) -> tuple[Branch, ...]:
    """Return the one-layer branches on all features and on pooled features, as far as the space names them."""
    said = {
        (structure, pool)
        for slot in range(1, space.branches + 1)
        for structure in values_of(space, f"slot{slot}.structure")
        for pool in values_of(space, f"slot{slot}.pool")
    }
    pooled = [PoolFc(pool=pool) for pool in POOLS if ("pool_fc", pool) in said]
    plain = [Fc()] if any(structure == "fc" for structure, _ in said) else []
    return (*plain, *pooled[:1]) or (Fc(), PoolFc(pool="avg"))


def _first_allowed(
    families: Sequence[Branch], space: Space, profile: Profile, index: int, branch_macs: BranchMacs
) -> Branch | None:
    standing = (branch for branch in families if obstacle(branch, space, profile, index, branch_macs) is None)
    return next(standing, None)


def _defaults(space: Space, section: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, known in (TRAINING if section == "training" else POLICY).items():
        setting = space.setting(f"{section}.{key}")
        values[key] = setting.nearest(known.default) if isinstance(setting, Domain) else setting
    return values
