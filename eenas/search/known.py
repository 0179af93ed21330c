"""The first trials of a study: designs that need no search, so that what a search buys is seen."""

import optuna

from eenas.designs.encode import encode
from eenas.designs.known import known_designs
from eenas.errors import DesignError
from eenas.progress import Notice
from eenas.search.preparation import Ground


def enqueue_known(study: optuna.Study, ground: Ground) -> None:
    """Queue the known designs that the space can say; for a study that has no trials yet."""
    if not ground.settings.search.known_designs:
        return
    space, profile = ground.settings.space, ground.profile
    uniform_counts = {space.branches, (space.branches + 1) // 2}
    for name, design in known_designs(
        space,
        profile,
        num_classes=ground.backbone.num_classes,
        input_size=ground.backbone.transform.size,
        branch_macs=ground.branch_macs,
        uniform_counts=sorted(uniform_counts),
    ):
        try:
            parameters = encode(design, space, profile, branch_macs=ground.branch_macs)
        except DesignError as error:
            ground.listener(Notice(f"known design {name!r} is left out: {error}"))
            continue
        study.enqueue_trial(dict(parameters), user_attrs={"origin": f"known: {name}"})
