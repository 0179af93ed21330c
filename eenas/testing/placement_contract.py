"""The contract tests of placement: rules for every search space, chooser and learner, on any backbone."""

import json
import random
from collections.abc import Mapping
from typing import ClassVar

from eenas.branches.cascade import Cascade
from eenas.designs.design import Design, Placed
from eenas.designs.domains import Domain, FloatRange, Scalar
from eenas.designs.encode import encode
from eenas.designs.finding import Chooser, Found, Learner
from eenas.designs.placement import PLACEMENTS, candidates, is_own, placed_by
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.proposal import Proposal, draw
from eenas.designs.repair import BranchMacs, cost_limit
from eenas.designs.resolve import resolve
from eenas.designs.space import Space
from eenas.errors import InfeasibleError
from eenas.measurement.profile import Profile
from eenas.testing.named import home_of
from eenas.testing.stand_ins import stand_in_backbone, stand_in_profile


class PlacementContract:
    """A pytest class for a rule of placement. Derive from it and set `placement`.

        class TestMine(PlacementContract):
            placement = "./my_placement.py:place"

    `placement` is the kind of placement as in a search space.
    """

    placement: ClassVar[str]

    def test_its_positions(self) -> None:
        """On backbones of 1 to 12 cut points, every n gives n increasing positions, the same ones each time."""
        self.load()
        for count in range(1, 13):
            profile = stand_in_profile([(index + 1) / (count + 1) for index in range(count)])
            for n in range(1, len(candidates(profile)) + 1):
                found = placed_by(self.placement, n, profile)
                assert placed_by(self.placement, n, profile) == found, "the same n must give the same positions"

    def test_its_designs(self) -> None:
        """The resolved designs pass `check_placement`, and encoding them as proposals gives the same designs again."""
        self.load()
        branch = {"on": [True, False], "structure": "pool_fc"}
        space = Space.from_table({"branches": 4, "placement": {"kind": self.placement}, "branch": branch})
        backbone = stand_in_backbone()
        designs = check_placement(space, backbone)
        assert any(design.branches for design in designs), "no proposal placed a branch"
        for design in designs:
            proposal = encode(design, space, backbone.profile, branch_macs=backbone.branch_macs)
            again = resolve(proposal, space, backbone)
            assert again.architecture_digest == design.architecture_digest, (
                f"{design.label()} is lost by encoding it as a proposal"
            )

    def load(self) -> None:
        """Load the rule."""
        if is_own(self.placement):
            PLACEMENTS.find(self.placement, trust_code=True, relative_to=home_of(self))


def check_placement(
    space: Space,
    backbone: ProfiledBackbone,
    *,
    chooser: Chooser | None = None,
    learner: Learner | None = None,
    proposals: int = 8,
    seed: int = 0,
) -> list[Design]:
    """Check the designs that random proposals of `space` resolve to on this backbone, and return them.

    Branches are at candidate cut points in depth order, not more than the slots, each within the cost cap and with a
    known structure. The same proposal gives the same design. A design is canonical and equals its JSON. Infeasible
    proposals are skipped. Raises AssertionError with the violated rule.
    """
    generator, designs, profile = random.Random(seed), [], backbone.profile
    allowed = [profile.cut_points[index].name for index in candidates(profile)]

    def resolved(proposal: Proposal) -> Design:
        return resolve(proposal, space, backbone, chooser=chooser, learner=learner)

    for _ in range(proposals):
        proposal = draw(space, lambda name, domain: _drawn(domain, generator))
        try:
            design = resolved(proposal)
        except InfeasibleError:
            continue
        names = [placed.cut_point for placed in design.branches]
        assert names == [name for name in allowed if name in names], (
            f"cut points must be candidates in depth order, got {names}"
        )
        assert len(names) <= space.branches, f"{len(names)} branches for {space.branches} slots"
        for placed in design.branches:
            _check_placed(placed, space, profile, backbone.branch_macs)
        again = resolved(proposal)
        assert again.to_table() == design.to_table(), (
            f"one proposal gave two designs, {design.label()} and {again.label()}"
        )
        assert design.canonical() == design, "a resolved design must be canonical"
        assert Design.from_json(design.to_json()) == design, "a design must come back from its JSON"
        designs.append(design)
    return designs


def check_chooser(chooser: Chooser, candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
    """Check one choice among `candidates` (in depth order) with `values`, which contain `most`, and return it.

    It keeps between 1 and `most` candidates (exactly `count` if above 0), in depth order, unchanged unless they were
    open. It is the same each time, and its facts are JSON data. Raises AssertionError.
    """
    found = chooser(candidates, dict(values))
    kept = [placed.cut_point for placed in found.branches]
    assert kept, "a chooser must keep at least one branch"
    assert len(kept) <= int(values["most"]), f"a chooser must keep at most {values['most']} branches, got {len(kept)}"
    count = int(values.get("count", 0))
    assert not count or len(kept) == count, f"a chooser must keep {count} branches, got {len(kept)}"
    given = {placed.cut_point: placed.branch for placed in candidates}
    assert kept == [name for name in given if name in kept], f"branches must be candidates in depth order, got {kept}"
    for placed in found.branches:
        before = given[placed.cut_point]
        assert before.is_open or placed.branch == before, (
            f"{before.label()} is not open and became {placed.branch.label()}"
        )
    _check_facts(found)
    assert chooser(candidates, dict(values)) == found, "the same arguments must give the same result"
    return found


def check_learner(learner: Learner, placed: tuple[Placed, ...]) -> Found:
    """Check the structures found for `placed`, some of which are open, and return the result.

    No branch moves, no branch remains open, and branches that were not open are unchanged. The result is the same each
    time, and its facts are JSON data. Raises AssertionError.
    """
    found = learner(placed)
    assert [each.cut_point for each in found.branches] == [each.cut_point for each in placed], (
        "a learner must not move branches"
    )
    for before, after in zip(placed, found.branches, strict=True):
        assert not after.branch.is_open, f"{after.branch.label()} at {after.cut_point} is still open"
        assert before.branch.is_open or after == before, f"{before.branch.label()} is not open and was changed"
    _check_facts(found)
    assert learner(placed) == found, "the same arguments must give the same result"
    return found


def _check_placed(placed: Placed, space: Space, profile: Profile, branch_macs: BranchMacs) -> None:
    branch = placed.branch.branch if isinstance(placed.branch, Cascade) else placed.branch
    assert not branch.is_open, f"the structure at {placed.cut_point} is still open"
    index = profile.index(placed.cut_point)
    shape = profile.cut_points[index].shape
    branch.check(shape)
    macs, limit = branch_macs(branch, shape), cost_limit(space, profile, index)
    assert macs <= limit, f"{branch.label()} at {placed.cut_point} has {macs:,} MACs, above the cap of {limit:,.0f}"


def _check_facts(found: Found) -> None:
    facts = dict(found.facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts, "facts must be plain JSON data"


def _drawn(domain: Domain, generator: random.Random) -> Scalar:
    if isinstance(domain, FloatRange) and domain.step is None:
        return generator.uniform(domain.low, domain.high)
    return generator.choice(domain.values() or ())
