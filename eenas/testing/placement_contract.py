"""The contract tests of placement: what every search space, chooser and learner keeps, on any backbone."""

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
from eenas.designs.proposal import Proposal, draw
from eenas.designs.repair import BranchMacs, cost_limit
from eenas.designs.resolve import resolve
from eenas.designs.space import Space
from eenas.errors import InfeasibleError
from eenas.measurement.profile import Profile
from eenas.tasks.images.image_input import image_input
from eenas.tasks.inputs import InputSpec
from eenas.testing.named import home_of
from eenas.testing.stand_ins import stand_in_macs, stand_in_profile


class PlacementContract:
    """A pytest class for a rule of placement: derive from it and name the rule.

        class TestMine(PlacementContract):
            placement = "./my_placement.py:place"

    `placement` is the kind of placement as a search space names it.
    """

    placement: ClassVar[str]

    def test_its_positions(self) -> None:
        """On backbones of 1 to 12 cut points: n rising positions for every n, the same ones each time."""
        self.load()
        for count in range(1, 13):
            profile = stand_in_profile([(index + 1) / (count + 1) for index in range(count)])
            for n in range(1, len(candidates(profile)) + 1):
                found = placed_by(self.placement, n, profile)
                assert placed_by(self.placement, n, profile) == found, "the same question must have the same answer"

    def test_its_designs(self) -> None:
        """What proposals with it resolve to keeps `check_placement`, and is said by a proposal again."""
        self.load()
        branch = {"on": [True, False], "structure": "pool_fc"}
        space = Space.from_table({"branches": 4, "placement": {"kind": self.placement}, "branch": branch})
        profile = stand_in_profile()
        designs = check_placement(space, profile, num_classes=10, inputs=image_input(32), branch_macs=stand_in_macs)
        assert any(design.branches for design in designs), "no proposal placed a branch"
        for design in designs:
            proposal = encode(design, space, profile, branch_macs=stand_in_macs)
            again = resolve(proposal, space, profile, num_classes=10, inputs=image_input(32), branch_macs=stand_in_macs)
            assert again.architecture_digest == design.architecture_digest, f"{design.label()} is not said again"

    def load(self) -> None:
        """Load the rule."""
        if is_own(self.placement):
            PLACEMENTS.find(self.placement, trust_code=True, relative_to=home_of(self))


def check_placement(
    space: Space,
    profile: Profile,
    *,
    num_classes: int,
    inputs: InputSpec,
    branch_macs: BranchMacs,
    chooser: Chooser | None = None,
    learner: Learner | None = None,
    proposals: int = 8,
    seed: int = 0,
) -> list[Design]:
    """Check what random proposals of `space` resolve to on this backbone; gives the designs.

    Branches stand at candidate cut points in depth order, no more than there are slots, each within the cost cap and
    with its structure named; the same proposal gives the same design; a design is canonical and comes back from its
    JSON. Proposals that nothing can be built from are passed over. Raises AssertionError that says what does not hold.
    """
    generator, designs = random.Random(seed), []
    allowed = [profile.cut_points[index].name for index in candidates(profile)]

    def resolved(proposal: Proposal) -> Design:
        return resolve(
            proposal,
            space,
            profile,
            num_classes=num_classes,
            inputs=inputs,
            branch_macs=branch_macs,
            chooser=chooser,
            learner=learner,
        )

    for _ in range(proposals):
        proposal = draw(space, lambda name, domain: _drawn(domain, generator))
        try:
            design = resolved(proposal)
        except InfeasibleError:
            continue
        names = [placed.cut_point for placed in design.branches]
        assert names == [name for name in allowed if name in names], f"not candidates in depth order: {names}"
        assert len(names) <= space.branches, f"{len(names)} branches and the space has {space.branches} slots"
        for placed in design.branches:
            _check_standing(placed, space, profile, branch_macs)
        again = resolved(proposal)
        assert again.to_table() == design.to_table(), (
            f"one proposal gave two designs, {design.label()}, {again.label()}"
        )
        assert design.canonical() == design, "a design that was resolved must be canonical"
        assert Design.from_json(design.to_json()) == design, "a design must come back from its JSON"
        designs.append(design)
    return designs


def check_chooser(chooser: Chooser, candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
    """Check one choice among `candidates` (in depth order) under `values`, which hold `most`; gives what was found.

    At least one candidate is kept and at most `most` (with a `count` above 0: exactly so many), in depth order, each as
    it was unless it was open; twice the same; the facts are JSON data. Raises AssertionError.
    """
    found = chooser(candidates, dict(values))
    kept = [placed.cut_point for placed in found.branches]
    assert kept, "a chooser keeps at least one branch"
    assert len(kept) <= int(values["most"]), f"a chooser keeps at most {values['most']} branches, got {len(kept)}"
    count = int(values.get("count", 0))
    assert not count or len(kept) == count, f"{count} branches were asked for and {len(kept)} kept"
    given = {placed.cut_point: placed.branch for placed in candidates}
    assert kept == [name for name in given if name in kept], f"not candidates in depth order: {kept}"
    for placed in found.branches:
        before = given[placed.cut_point]
        assert before.is_open or placed.branch == before, f"{before.label()} became {placed.branch.label()}"
    _check_facts(found)
    assert chooser(candidates, dict(values)) == found, "the same question must have the same answer"
    return found


def check_learner(learner: Learner, placed: tuple[Placed, ...]) -> Found:
    """Check what is found for `placed`, some of which are open; gives it.

    Nothing moves, nothing is open afterwards, what was not open is as it was; twice the same; the facts are JSON data.
    Raises AssertionError.
    """
    found = learner(placed)
    assert [each.cut_point for each in found.branches] == [each.cut_point for each in placed], "a learner moves nothing"
    for before, after in zip(placed, found.branches, strict=True):
        assert not after.branch.is_open, f"{after.branch.label()} at {after.cut_point} is still open"
        assert before.branch.is_open or after == before, f"{before.branch.label()} was not open and was changed"
    _check_facts(found)
    assert learner(placed) == found, "the same question must have the same answer"
    return found


def _check_standing(placed: Placed, space: Space, profile: Profile, branch_macs: BranchMacs) -> None:
    branch = placed.branch.branch if isinstance(placed.branch, Cascade) else placed.branch
    assert not branch.is_open, f"the structure at {placed.cut_point} is open"
    index = profile.index(placed.cut_point)
    shape = profile.cut_points[index].shape
    branch.check(shape)
    macs, limit = branch_macs(branch, shape), cost_limit(space, profile, index)
    assert macs <= limit, f"{branch.label()} at {placed.cut_point} costs {macs:,} MACs, over the cap of {limit:,.0f}"


def _check_facts(found: Found) -> None:
    facts = dict(found.facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts, "facts must be plain JSON data"


def _drawn(domain: Domain, generator: random.Random) -> Scalar:
    if isinstance(domain, FloatRange) and domain.step is None:
        return generator.uniform(domain.low, domain.high)
    return generator.choice(domain.values() or ())
