"""The chooser and learner of a study: trained candidates for placement, and searches for open structures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from eenas import __version__
from eenas.bounds import damage_as
from eenas.branches.learned import Learned
from eenas.branches.registry import branch_from_table
from eenas.designs.design import Placed
from eenas.designs.domains import Scalar
from eenas.designs.finding import Found
from eenas.designs.repair import cost_limit, obstacle
from eenas.errors import StorageError
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.gates import fit_gates
from eenas.frozen.learned_branches import StructureCosts, StructureTraining, find_structures
from eenas.frozen.savings import place_by_gain, place_by_savings
from eenas.frozen.structure_search import StructureSpec
from eenas.measurement.profile import source_of
from eenas.progress import Notice
from eenas.records.rows import FIX
from eenas.seeding import derive
from eenas.specs import digest, to_table
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext


class Finder:
    """The chooser and the learner of a study on its prepared backbone.

    Both decide on `tune`, with branches trained without it. Results are cached in the database under a digest of
    everything they depend on, and candidates come from the branch bank. No proposal, worker or later study trains a
    candidate again.
    """

    def __init__(self, context: StudyContext, bank: Bank) -> None:
        self._context, self._bank = context, bank

    @cached_property
    def _conditions(self) -> list[Any]:
        """Everything besides the branches that results depend on."""
        context = self._context
        settings = context.settings
        training = to_table(settings.training)
        where = str(context.execution)
        banked = to_table(self._bank.training)
        return [__version__, self._bank.backbone, context.task.digest, training, banked, where, settings.seed]

    @property
    def _cap(self) -> float:
        return self._context.settings.space.cost_cap

    def choose(self, candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
        """Choose branches by gates, gain or savings, depending on `values`; see `eenas.designs.finding.Chooser`.

        An open branch stands for all its forms within the cost cap; one of them is chosen together with its place. An
        open cell is searched at each cut point first.
        """
        context = self._context
        key = f"placement/{digest([*self._conditions, self._cap, dict(values), [_key(each) for each in candidates]])}"

        def make() -> dict[str, Any]:
            return _found_table(self._choose(candidates, values))

        found = _read_found(context.cache.once(key, "choosing a placement", make))
        for note in found.notes:
            context.listener(Notice(note))
        return found

    def learn(self, placed: tuple[Placed, ...]) -> Found:
        """Learn all open branches in parallel by differentiable search; see `eenas.designs.finding.Learner`."""
        context = self._context
        wanted = {each.cut_point: f"structure/{digest([*self._conditions, self._cap, _key(each)])}" for each in placed}

        def make() -> None:
            missing = tuple(
                each for each in placed if each.branch.is_open and not context.cache.get(wanted[each.cut_point])
            )
            if missing:
                found, facts = self._search(missing)
                for each, own in zip(found, facts["branches"], strict=True):
                    table = {"branch": each.branch.to_table(), "facts": {**own, "samples": facts["samples"]}}
                    context.cache.put(wanted[each.cut_point], table)

        context.leases.once(f"structures/{digest(sorted(wanted.values()))}", "searching structures", make)
        branches, learned = [], []
        for each in placed:
            kept = context.cache.get(wanted[each.cut_point]) if each.branch.is_open else None
            with damage_as(StorageError, "a structure in the database", FIX):
                branches.append(each if kept is None else replace(each, branch=branch_from_table(kept["branch"])))
                learned += [kept["facts"]] if kept is not None else []
        return Found(branches=tuple(branches), facts={"branches": learned})

    def _search(self, placed: tuple[Placed, ...]) -> tuple[tuple[Placed, ...], dict[str, Any]]:
        context = self._context
        settings, train = context.settings, context.task.train
        spec = settings.training
        samples = spec.samples if spec.samples is not None else round((spec.epochs or 1.0) * len(train))
        batch = spec.batch_for(len(train))
        profile = context.profile
        limits = {each.cut_point: cost_limit(settings.space, profile, profile.index(each.cut_point)) for each in placed}
        return find_structures(
            context.backbone,
            placed,
            context.task,
            training=StructureTraining(
                spec=StructureSpec(samples=max(samples, 8 * batch), batch_size=batch, augment=spec.augment),
                seed=derive(settings.seed, "structures"),
                execution=context.execution,
                device=context.device,
            ),
            costs=StructureCosts(
                limits=limits, reference_macs=float(profile.total_macs), branch_macs=context.branch_macs
            ),
            listener=context.listener,
        )

    def _choose(self, candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
        facts: dict[str, Any] = {}
        cells = tuple(each for each in candidates if each.branch.is_open and not self._forms(each))
        if cells:
            learned = self.learn(cells)
            named = {each.cut_point: each for each in learned.branches}
            candidates = tuple(named.get(each.cut_point, each) for each in candidates)
            facts["learned"] = dict(learned.facts)
        options = [option for each in candidates for option in self._options(each)]
        table = self._bank.table(options, "tune")
        most = int(values["most"])
        if values["kind"] == "gating":
            chosen, more, fallback = self._by_gates(table, values, most)
        else:
            place = (
                place_by_gain(table, most=most) if values["metric"] == "gain" else place_by_savings(table, count=most)
            )
            chosen, fallback = place.chosen, place.fallback
            more = {"gains": [round(gain, 6) for gain in place.gains], "savings": round(place.savings, 6)}
        facts |= {"candidates": len(table.groups), "structures": len(options), **more}
        notes = (f"placement.{values['kind']}: {fallback}",) if fallback else ()
        return Found(branches=tuple(options[index] for index in chosen), facts=facts, notes=notes)

    def _by_gates(
        self, table: CandidateTable, values: Mapping[str, Scalar], most: int
    ) -> tuple[tuple[int, ...], dict[str, Any], str]:
        fit = fit_gates(
            table,
            cost_weight=float(values["cost_weight"]),
            count=int(values["count"]),
            most=most,
            seed=derive(self._context.settings.seed, "gates"),
        )
        places = [table.names[group[0]] for group in table.groups]
        facts = {
            "openness": {name: round(value, 4) for name, value in zip(places, fit.openness, strict=True)},
            "gates_chose": [table.names[index] for index in fit.raw],
            "flips": fit.flips,
            "value_of_gates": round(fit.raw_evaluation.value, 6),
            "value": round(fit.evaluation.value, 6),
            "accuracy": round(fit.evaluation.accuracy, 6),
            "cost": round(fit.evaluation.cost, 6),
            "threshold": round(fit.evaluation.threshold, 6),
        }
        return fit.chosen, facts, fit.fallback

    def _forms(self, placed: Placed) -> tuple[Placed, ...]:
        """Return the plain branches within the cost cap that an open one may become at its cut point."""
        branch, profile = placed.branch, self._context.profile
        index = profile.index(placed.cut_point)
        forms = branch.forms(profile.cut_points[index].shape) if isinstance(branch, Learned) else ()
        space, macs = self._context.settings.space, self._context.branch_macs
        standing = (form for form in forms if obstacle(form, space, profile, index, macs) is None)
        return tuple(replace(placed, branch=form) for form in standing)

    def _options(self, placed: Placed) -> tuple[Placed, ...]:
        return self._forms(placed) if placed.branch.is_open else (placed,)


def _key(placed: Placed) -> list[Any]:
    return [placed.cut_point, placed.branch.to_table(), source_of(placed.branch)]


def _found_table(found: Found) -> dict[str, Any]:
    branches = [{"cut_point": each.cut_point, "branch": each.branch.to_table()} for each in found.branches]
    return {"branches": branches, "facts": json.loads(json.dumps(dict(found.facts))), "notes": list(found.notes)}


def _read_found(table: Mapping[str, Any]) -> Found:
    with damage_as(StorageError, "a placement in the database", FIX):
        branches = tuple(
            Placed(str(each["cut_point"]), branch_from_table(each["branch"])) for each in table["branches"]
        )
        return Found(branches=branches, facts=dict(table["facts"]), notes=tuple(map(str, table["notes"])))
