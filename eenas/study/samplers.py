"""The samplers by their names in a study file, with a separate seed for each trial."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from eenas.seeding import derive
from eenas.study.experimental import experimental
from eenas.study.sampled_history import SampledHistory
from eenas.study.settings.search_spec import SamplerName


class SeededByTrial(BaseSampler):
    """A sampler with proposals that depend only on the study's seed, the trial's number and the earlier trials.

    `build(seed)` returns the sampler for one trial. Trial numbers are unique in a study, so two workers never draw the
    same random numbers and a resumed study does not repeat its startup trials. An interrupted worker proposes the same
    as an uninterrupted one. Samplers read earlier trials from the storage each
    time, TPE those of a `SampledHistory`. TPE counts running trials as bad ones, so that workers spread.
    """

    def __init__(self, build: Callable[[int], BaseSampler], seed: int) -> None:
        self._build, self._seed = build, seed
        self._open: dict[int, BaseSampler] = {}
        self._spaces: dict[int, IntersectionSearchSpace] = {}
        self._histories: dict[int, SampledHistory] = {}

    def __str__(self) -> str:
        """The name of the wrapped sampler."""
        return str(self._build(self._seed))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See `BaseSampler.infer_relative_search_space`."""
        return self._of(trial, study).infer_relative_search_space(self._read(study, trial), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `BaseSampler.sample_relative`."""
        return self._of(trial, study).sample_relative(self._read(study, trial), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See `BaseSampler.sample_independent`."""
        return self._of(trial, study).sample_independent(
            self._read(study, trial), trial, param_name, param_distribution
        )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """See `BaseSampler.before_trial`."""
        self._of(trial, study).before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """See `BaseSampler.after_trial`. The sampler of the trial is dropped."""
        self._of(trial, study).after_trial(study, trial, state, values)
        del self._open[trial.number]

    def _of(self, trial: FrozenTrial, study: Study) -> BaseSampler:
        """Return the sampler of one trial. Several trials may be open at once."""
        if trial.number not in self._open:
            sampler = self._build(derive(self._seed, "sampler", trial.number))
            if isinstance(sampler, TPESampler):  # a new search space would be compared with all trials again
                space = self._spaces.setdefault(study._study_id, sampler._search_space)
                sampler._search_space = space
            self._open[trial.number] = sampler
        return self._open[trial.number]

    def _read(self, study: Study, trial: FrozenTrial) -> Study:
        """Return the study as the sampler of a trial reads it. Only TPE computes with all trials each time."""
        if not isinstance(self._of(trial, study), TPESampler):
            return study
        return cast(Study, self._histories.setdefault(study._study_id, SampledHistory(study)))


def build_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """Return the sampler of a study. It gets constraints from the trials themselves."""

    def build(trial_seed: int) -> BaseSampler:
        with experimental():
            if name == "tpe":
                return optuna.samplers.TPESampler(
                    seed=trial_seed, n_startup_trials=10, multivariate=True, constant_liar=True
                )
            if name == "nsgaii":
                return optuna.samplers.NSGAIISampler(seed=trial_seed, population_size=20)
            if name == "nsgaiii":
                return optuna.samplers.NSGAIIISampler(seed=trial_seed, population_size=20)
            if name == "gp":
                return optuna.samplers.GPSampler(seed=trial_seed)
            return optuna.samplers.RandomSampler(seed=trial_seed)

    return SeededByTrial(build, seed)
