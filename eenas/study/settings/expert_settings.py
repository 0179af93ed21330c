"""The table `[experts]` of a study: experts for distorted images, trained at the end of a full training."""

from dataclasses import dataclass, field

from eenas.errors import EenasError, SpecError
from eenas.frozen.experts.expert_building import BatchNorm, ExpertSpec
from eenas.frozen.experts.expert_training import ExpertTraining
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.distortions.strengths import SEVERITIES


@dataclass(frozen=True, kw_only=True)
class ExpertSettings:
    """The experts that full training adds to its network.

    `kinds` and `severities` default to those of the task's distortions. `share` of the training images of an expert are
    distorted. `training` is that of each expert, `batch_norm` that of the backbone (see
    `eenas.frozen.experts.expert_building`).
    """

    kinds: tuple[str, ...] = ()
    severities: tuple[int, ...] = ()
    share: float = 0.5
    training: ExpertTraining = field(default_factory=ExpertTraining)
    batch_norm: BatchNorm = "shared"

    def spec(self, distortions: DistortionsSpec | None) -> ExpertSpec:
        """Return the experts for a task with these distortions. Raises SpecError for impossible values."""
        known, levels = ((), SEVERITIES) if distortions is None else (distortions.kinds, distortions.severities)
        if not self.kinds and not known:
            raise SpecError("experts need kinds of distortion; name some in [task.distortions] or as experts.kinds")
        try:
            return ExpertSpec(
                kinds=self.kinds or known,
                severities=self.severities or levels,
                share=self.share,
                training=self.training,
                batch_norm=self.batch_norm,
            )
        except EenasError as error:
            raise SpecError(f"experts: {error}" + ("" if self.kinds else "; or name others as experts.kinds")) from None
