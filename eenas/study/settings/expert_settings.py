"""The table `[experts]` of a study: experts for distorted images, trained at the end of a full training."""

from dataclasses import dataclass, field, replace

from eenas.designs.design import Design
from eenas.designs.space import Space, may_have_experts, values_of
from eenas.designs.training_choice import NO_EXPERTS
from eenas.errors import EenasError, SpecError
from eenas.frozen.experts.expert_building import BatchNorm, ExpertSpec
from eenas.frozen.experts.expert_training import ExpertTraining
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.distortions.strengths import SEVERITIES


@dataclass(frozen=True, kw_only=True)
class ExpertSettings:
    """The experts that full training adds to its network, or to each network that draws them."""

    kinds: tuple[str, ...] = ()
    """Kinds of distortion with an expert of their own; by default those of `[task.distortions]`."""
    severities: tuple[int, ...] = ()
    """Severities to train for; by default those of `[task.distortions]`, else 1 to 5."""
    share: float = 0.5
    """Share of distorted images in the training of an expert."""
    training: ExpertTraining = field(default_factory=ExpertTraining)
    """Training of each expert."""
    batch_norm: BatchNorm = "auto"
    """Batch normalisation of the backbone: shared by all experts, statistics per kind, or tuned scales and shifts per
    kind too, unless it is drawn."""
    trial_samples: int = 4000
    """Training images of each expert in a trial."""

    def __post_init__(self) -> None:
        """Raise SpecError unless `trial_samples` is a positive whole number."""
        if self.trial_samples < 1:
            raise SpecError(f"experts.trial_samples must be at least 1, got {self.trial_samples}")

    def brief(self, batch_norm: BatchNorm) -> "ExpertSettings":
        """Return the settings of the experts of a trial that draws this batch normalisation."""
        samples = min(self.trial_samples, self.training.samples)
        return replace(self, batch_norm=batch_norm, training=replace(self.training, samples=samples))

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


def check_experts(given: ExpertSettings | None, space: Space, distortions: DistortionsSpec | None) -> None:
    """Raise SpecError unless a task with these distortions can have the experts that are asked for or drawn."""
    is_drawn = may_have_experts(space)
    if is_drawn and distortions is None:
        raise SpecError(
            "training.experts of the search space needs distorted samples; name kinds in [task.distortions], or set "
            f"training.experts to {NO_EXPERTS!r}"
        )
    if given is not None or is_drawn:
        (given or ExpertSettings()).spec(distortions)


def check_distorted_training(space: Space, distortions: DistortionsSpec | None) -> None:
    """Raise SpecError if training on pristine images is drawn, but a task with these distortions has no others."""
    if set(values_of(space, "training.distorted")) != {True} and (distortions is None or not distortions.share):
        raise SpecError(
            "training.distorted of the search space needs distorted training images; set task.distortions.share above "
            "0, or leave training.distorted out"
        )


def experts_for(given: ExpertSettings | None, space: Space, design: Design) -> ExpertSettings | None:
    """Return the experts that full training adds to the network of a design, or None.

    If the space draws experts, the design decides.
    """
    if not may_have_experts(space):
        return given
    drawn = design.canonical().training.experts
    return None if drawn == NO_EXPERTS else replace(given or ExpertSettings(), batch_norm=drawn)
