"""The different branches that a search space can place on a backbone, all of which a profile times."""

from collections.abc import Iterator

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import sdn
from eenas.designs.placement import candidates
from eenas.designs.repair import BranchMacs, obstacle
from eenas.designs.routes import Routes
from eenas.designs.space import Space, values_of
from eenas.errors import BranchError
from eenas.measurement.profile import Profile

_BASELINES = (PoolFc(pool="avg", size=1), PoolFc(pool="avg"), Fc(), sdn())
"""The branches of the static networks and of the known designs."""


def drawable_branches(
    space: Space, profile: Profile, branch_macs: BranchMacs
) -> dict[tuple[Branch, FeatureShape], None]:
    """Return every different branch, with every feature shape, that can be placed within the cost cap.

    They include those of the baselines and, for a branch whose family a search chooses, all families. A cascade counts
    as the branch inside it. Cells found by a search are too many to include; see `has_cells`.
    """
    routes = Routes(space, profile, branch_macs)
    found: dict[tuple[Branch, FeatureShape], None] = {}
    for position, index in enumerate(candidates(profile)):
        shape = profile.cut_points[index].shape
        for slot in range(1, space.branches + 1):
            for branch in routes.fits(slot, position).branches:
                for form in _forms(branch, shape):
                    if form is branch or obstacle(form, space, profile, index, branch_macs) is None:
                        found[form, shape] = None
        for branch in _BASELINES:
            if _can_stand(branch, shape):
                found[branch, shape] = None
    return found


def has_cells(space: Space) -> bool:
    """Whether a draw can have a branch whose structure is found by a search, so that it cannot be timed beforehand."""
    slots = range(1, space.branches + 1)
    return any("learned_cell" in values_of(space, f"slot{slot}.structure") for slot in slots)


def _forms(branch: Branch, shape: FeatureShape) -> Iterator[Branch]:
    if not branch.is_open:
        yield branch
    elif isinstance(branch, Learned):
        yield from branch.forms(shape)


def _can_stand(branch: Branch, shape: FeatureShape) -> bool:
    try:
        branch.check(shape)
    except BranchError:
        return False
    return True
