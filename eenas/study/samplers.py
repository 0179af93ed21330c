"""The samplers by their names in a study file, with a separate seed for each trial."""

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from eenas.seeding import derive
from eenas.study.experimental import experimental
from eenas.study.settings.search_spec import SamplerName


class SeededByTrial(BaseSampler):
    """A sampler with proposals that depend only on the study's seed, the trial's number and the earlier trials.

    `build(seed)` returns the sampler for one trial. Trial numbers are unique in a study, so two workers never draw the
    same random numbers and a resumed study does not repeat its startup trials. An interrupted worker proposes the same
    as an uninterrupted one. Samplers read earlier trials from the storage each time.
    """

    def __init__(self, build: Callable[[int], BaseSampler], seed: int) -> None:
        self._build, self._seed = build, seed
        self._open: dict[int, BaseSampler] = {}

    def __str__(self) -> str:
        """The name of the wrapped sampler."""
        return str(self._build(self._seed))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See `BaseSampler.infer_relative_search_space`."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `BaseSampler.sample_relative`."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See `BaseSampler.sample_independent`."""
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """See `BaseSampler.before_trial`."""
        self._of(trial).before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """See `BaseSampler.after_trial`. The sampler of the trial is dropped."""
        self._of(trial).after_trial(study, trial, state, values)
        del self._open[trial.number]

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        """Return the sampler of one trial. Several trials may be open at once."""
        if trial.number not in self._open:
            self._open[trial.number] = self._build(derive(self._seed, "sampler", trial.number))
        return self._open[trial.number]


def build_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """Return the sampler of a study. It gets constraints from the trials themselves."""

    def build(trial_seed: int) -> BaseSampler:
        with experimental():
            if name == "tpe":
                return optuna.samplers.TPESampler(seed=trial_seed, n_startup_trials=10, multivariate=True)
            if name == "nsgaii":
                return optuna.samplers.NSGAIISampler(seed=trial_seed, population_size=20)
            if name == "nsgaiii":
                return optuna.samplers.NSGAIIISampler(seed=trial_seed, population_size=20)
            if name == "gp":
                return optuna.samplers.GPSampler(seed=trial_seed)
            return optuna.samplers.RandomSampler(seed=trial_seed)

    return SeededByTrial(build, seed)
