"""The branches that a search space can place on a backbone, each once: what has to be timed before a search."""

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

_ALWAYS = (PoolFc(pool="avg", size=1), PoolFc(pool="avg"), Fc(), sdn())
"""The branches of the static networks and of the designs that need no search."""


def drawable_branches(
    space: Space, profile: Profile, branch_macs: BranchMacs
) -> dict[tuple[Branch, FeatureShape], None]:
    """Every different branch at every different shape of features where it can stand and keeps the cost cap.

    Those of the baselines are among them, and of a branch whose family a search chooses the families. A cascade counts
    as the branch inside. Cells that a search makes up are not: there are too many, see `has_cells`.
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
        for branch in _ALWAYS:
            if _can_stand(branch, shape):
                found[branch, shape] = None
    return found


def has_cells(space: Space) -> bool:
    """Whether a draw may have a branch whose structure is made up by a search, so that nobody can time it before."""
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
