"""Results of studies for tests: made-up networks whose later exits are dearer and more often right."""

from dataclasses import replace

import numpy as np

from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.costs import KNOWN, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import operating_points
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.right_answers import pack, right_answers
from eenas.records.trials import TrialRecord
from eenas.reporting.facts.picked import pick
from eenas.reporting.facts.summary import shown
from eenas.results.front import area_by_macs, best_within, build_front, compare
from eenas.results.results import Baseline, StudyResults
from eenas.study.rivals.known_networks import KnownNetwork
from eenas.study.rivals.offered_points import offered
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.images.image_input import image_input

CLASSES = tuple(str(digit) for digit in range(10))
CUT_POINTS = ("layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.1")
STRUCTURES = (("fc", 1, 1, "avg"), ("pool_fc", 1, 1, "mixed"), ("conv_fc", 32, 1, "avg"), ("conv_stack", 64, 2, "avg"))
BACKBONE = BackboneFacts(
    name="cifar_resnet20",
    weights="none",
    accuracy=0.917,
    costs={"macs": 41_200_000, "latency": 5.2},
    parameters=272_474,
)
CUT_POINT_MACS = {name: (index + 1) * BACKBONE.macs // 9 for index, name in enumerate(CUT_POINTS)}


def table(exits, cost, seed, samples=300, latency=True):
    """An exit table; `cost` are the shares of the backbone's MACs at which each exit stands, the final one last."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(10, size=samples)
    hardness = generator.normal(size=samples)
    logits = generator.normal(size=(samples, len(exits), 10))
    for k, share in enumerate(cost):
        logits[np.arange(samples), k, labels] += 0.9 + 2.3 * min(share, 1.0) - hardness
    macs = np.array(cost) * BACKBONE.macs
    return ExitTable(
        logits=logits.astype(np.float32),
        labels=labels,
        exits=exits,
        costs=Costs.of(macs=macs, latency=0.2 + np.array(cost) * BACKBONE.costs["latency"] if latency else None),
    )


def design(seed, branches):
    """A design with so many branches, at places and of structures that the seed chooses."""
    generator = np.random.default_rng(seed)
    places = sorted(generator.choice(len(CUT_POINTS), size=branches, replace=False))
    placed = []
    for place in places:
        kind, width, layers, pool = STRUCTURES[generator.integers(len(STRUCTURES))]
        branch = branch_from_sizes(kind, width=width, layers=layers, pool=pool)
        placed.append(Placed(cut_point=CUT_POINTS[place], branch=branch))
    return Design(
        backbone="cifar_resnet20",
        num_classes=10,
        inputs=image_input(32),
        branches=tuple(placed),
        training=TrainingChoice(),
        policy=PolicyChoice(target_macs=0.5),
    )


def tables(made, number, *, latency=True):
    """The exit tables of a made-up design on calibration and validation; every branch costs a hundredth."""
    exits = made.exits
    whole = {**CUT_POINT_MACS, "final": BACKBONE.macs}
    cost = [whole[name] / BACKBONE.macs + 0.01 * min(k, len(made.branches)) for k, name in enumerate(exits, start=1)]
    return tuple(table(exits, cost, seed, latency=latency) for seed in (number, 1000 + number))


def picked(results, item=None):
    """The recommended (or another) design of a made-up study with its exit tables."""
    item = shown(results) if item is None else item
    return pick(item, *tables(item.design, item.trial or 0), results.backbone.macs)


def trial(number, branches=3, *, latency=True, **more):
    """A complete trial with its operating points."""
    made = design(number, branches)
    calibration, validation = tables(made, number, latency=latency)
    points = operating_points(calibration, validation, limit=24)
    values = {
        "state": "complete",
        "origin": "sampler",
        "points": points,
        "chosen": points[len(points) // 2],
        "values": (points[-1].accuracy, points[-1].expected["macs"]),
        "exit_accuracy": tuple(validation.exit_accuracy()),
        "seconds": 20.0,
    }
    return TrialRecord(study="made up", number=number, design=made, **(values | more))


def single(accuracy, share, latency=True):
    """A static network as an operating point."""
    costs = {name: share * value for name, value in BACKBONE.costs.items() if latency or name != "latency"}
    return OperatingPoint(
        policy=ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=()),
        accuracy=accuracy,
        expected=costs,
        worst=costs,
        shares=(1.0,),
        exit_accuracy=(accuracy,),
    )


def network_of(made, latency=True):
    """The network of a trial, with what each of its points answers rightly."""
    _, validation = tables(made.design, made.number, latency=latency)
    return KnownNetwork(
        name=f"trial {made.number}",
        kind="trial",
        design=made.design,
        points=made.points,
        right=tuple(pack(right_answers(point.policy, validation)) for point in made.points),
        parameters=BACKBONE.parameters + 1000,
        trial=made.number,
        origin=made.origin,
    )


def ended(name, accuracy, share, latency, kind="static", samples=300):
    """A network with one exit, right on the first samples."""
    right = np.arange(samples) < round(accuracy * samples)
    made = design(0, 1)
    return KnownNetwork(
        name=name,
        kind=kind,
        design=replace(made, static=True) if kind == "static" else replace(made, branches=()),
        points=(single(accuracy, share, latency),),
        right=(pack(right),),
        parameters=BACKBONE.parameters,
    )


def study(complete=8, *, latency=True, extra=(), name="cifar_resnet20-digits-0123abcd", limits=()):
    """A study with so many complete trials, and trials of every other kind in `extra`."""
    trials = [trial(0, 3, latency=latency, origin="known: uniform 3 fc")][:complete]
    trials += [trial(number, 1 + number % 6, latency=latency) for number in range(1, complete)]
    trials += extra
    backbone = BACKBONE if latency else replace(BACKBONE, costs={"macs": BACKBONE.macs})
    networks = [network_of(trial, latency) for trial in trials if trial.points]
    if networks:
        for where, share, accuracy in (("layer1.1", 0.25, 0.55), ("layer2.0", 0.5, 0.71), ("layer2.2", 0.75, 0.86)):
            networks.append(ended(f"static {where}", accuracy, share, latency))
        networks.append(ended("backbone", BACKBONE.accuracy, 1.0, latency, kind="plain"))
    settings, _ = load_settings(backbone="cifar_resnet20", overrides=limits)
    front = build_front(networks, backbone, settings.constraints, largest_class=0.1)
    points = [item.point for item in front]
    baselines = [Baseline(name="backbone", points=(single(BACKBONE.accuracy, 1.0, latency),))]
    baselines.append(
        Baseline(name="static networks", points=tuple(p for n in networks if n.kind == "static" for p in n.points))
    )
    if complete:
        baselines.append(Baseline(name="uniform 3 fc", points=trials[0].points))
    held = offered(networks, backbone, settings.constraints)
    families = {network.name: network.family for network in networks}
    return StudyResults(
        name=name,
        storage="sqlite:///eenas.db",
        task="digits",
        device="CPU: a processor, 1 thread",
        classes=CLASSES,
        backbone=backbone,
        settings=settings,
        trials=tuple(trials),
        baselines=tuple(baselines),
        front=front,
        hypervolumes={"macs": area_by_macs(points, backbone, 0.1), **({"latency": 0.61} if latency else {})},
        costs=tuple(KNOWN[name] for name in backbone.costs),
        at_shares={share: best_within(front, share) for share in (0.25, 0.5, 0.75, 1.0)},
        networks=tuple(networks),
        comparisons=compare(held, [families[item.name] for item in held]),
        samples=300,
        largest_class=0.1,
    )


def timed(point, milliseconds):
    """An operating point with another expected latency."""
    return replace(point, expected={**point.expected, "latency": milliseconds})


def slow(results, times=40):
    """The study with every network but the plain backbone so many times as slow, its front made anew."""
    networks = []
    for network in results.networks:
        points = (timed(p, times * p.expected["latency"]) for p in network.points)
        networks.append(network if network.kind == "plain" else replace(network, points=tuple(points)))
    front = build_front(networks, results.backbone, results.settings.constraints, largest_class=results.largest_class)
    return replace(results, networks=tuple(networks), front=front)


def failed(number, reason="out of memory"):
    """A trial that failed."""
    return TrialRecord(study="made up", number=number, state="failed", origin="sampler", reason=reason)


def infeasible(number):
    """A trial whose drawn point misses a limit of its study."""
    return trial(number, 2, violations={"max_parameters": 1200.0})
