"""Checks of a manifest before any of it is used: the type and bounds of each value, and consistency between values."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from eenas.errors import ExportError, plural
from eenas.plugins import is_reference
from eenas.policies.costs import CostFacts, cost_of, name_fault
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.operating_point import EXPECTED, WORST, OperatingPoint
from eenas.policies.policy import Policy
from eenas.policies.values import LEAST_TEMPERATURE
from eenas.programs.experts.expert_facts import ExpertFacts
from eenas.programs.json_files import entry, is_number, is_text, is_whole, need
from eenas.programs.preprocessing.kinds import OF_IMAGES, PREPROCESSINGS
from eenas.programs.preprocessing.series_preprocessing import SERIES
from eenas.programs.preprocessing.text_preprocessing import TEXT
from eenas.programs.remote.split_facts import CLOUD, TAIL, SplitFacts, check_half_programs

PROGRAM_KINDS = ("onnx", "pt2")
"""The kinds of program files."""

MOST_EXITS, MOST_POINTS, MOST_COSTS = 1_000, 10_000, 100
_LONGEST_SIDE = 1 << 16  # of an image, in pixels
_MOST_VALUES = 1 << 28  # of one sample between two segments: 1 GiB of float32
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_network(table: Mapping[str, Any]) -> Policy | None:
    """Check the parts that every manifest has; return its policy. Raises ExportError or PolicyError with the place."""
    classes, exits = entry(table, "classes", ""), entry(table, "exits", "")
    _check_names(classes, "classes", 0, 1_000_000)
    _check_names(exits, "exits", 1, MOST_EXITS)
    need(len(set(exits)) == len(exits), "exits", "different names", exits)
    _check_transform(_table(entry(table, "transform", ""), "transform"))
    policy = _policy(entry(table, "policy", ""), exits, classes)
    _table(entry(table, "rule", ""), "rule")
    _check_measured(_table(entry(table, "measured", ""), "measured"), exits, classes)
    backbone = _table(entry(table, "backbone", ""), "backbone")
    need(is_text(entry(backbone, "name", "backbone")), "backbone.name", "a string", backbone["name"])
    files = _table(table.get("files", {}), "files")
    for name, digest in files.items():
        need(_is_file(name), "files", "names of files in the folder", name)
        need(_is_digest(digest), f"files.{name}", "a SHA-256 of 64 hexadecimal digits", digest)
    return policy


def check_programs(
    program: Any,
    exits: Sequence[str],
    shape: Sequence[int],
    experts: ExpertFacts | None = None,
    half: SplitFacts | None = None,
) -> None:
    """Check the table of programs for these exits, samples of this `shape`, and experts.

    `half` are the facts of a half of a model. Raises ExportError with the place.
    """
    _table(program, "program")
    kind = entry(program, "kind", "program")
    if kind not in PROGRAM_KINDS:
        raise ExportError(f"unknown kind of program {kind!r:.60}; this eenas supports {' and '.join(PROGRAM_KINDS)}")
    segments = entry(program, "segments", "program")
    need(isinstance(segments, list), "program.segments", "a list", segments)
    if half is None and len(segments) != len(exits):
        raise ExportError(f"program.segments must have {len(exits)} programs, one for each exit, got {len(segments)}")
    before = half.exits if half is not None and half.half == CLOUD else 0
    for k, segment in enumerate(segments):
        place = f"program.segments[{k}]"
        _check_program(_table(segment, place), place, f"segment_{before + k}.{kind}")
    if half is not None:
        if (tail := program.get("tail")) is not None:
            _check_program(_table(tail, "program.tail"), "program.tail", TAIL)
            need(kind == "onnx", "program.tail", "left out unless the programs are ONNX files", tail)
        need(not experts and "experts" not in program, "experts", "left out in a half of a model", experts)
        need("single_file" not in program, "program.single_file", "left out in a half of a model", True)
        if before == 0 and segments:
            need(not segments[0].get("takes_previous"), "program.segments[0].takes_previous", "false", True)
        check_half_programs(half, program, exits, list(shape))
        return
    need("tail" not in program, "program.tail", "left out in a whole model", program.get("tail"))
    need(not segments[0].get("takes_previous"), "program.segments[0].takes_previous", "false", True)
    first = segments[0]["shape"]
    need(first == list(shape), "program.segments[0].shape", f"the shape of a sample, {list(shape)}", first)
    if experts is not None or "experts" in program:
        _check_experts(program, len(exits), experts)
    if "single_file" in program:
        need(experts is None, "program.single_file", "left out in a model with experts", program["single_file"])
        single = _table(program["single_file"], "program.single_file")
        need(kind == "onnx", "program.single_file", "left out unless the programs are ONNX files", single)
        _check_program(single, "program.single_file", "model.onnx")
        need(single["shape"] == first, "program.single_file.shape", f"the shape of a sample, {first}", single["shape"])
        need(not single.get("takes_previous"), "program.single_file.takes_previous", "false", True)


def _check_experts(program: Mapping[str, Any], exits: int, experts: ExpertFacts | None) -> None:
    """Check the programs of experts, one for each exit of each expert."""
    rows, segments, kind = entry(program, "experts", "program"), program["segments"], program["kind"]
    own = experts is not None and experts.own_norms  # then the first expert has the segments
    count = 0 if experts is None else len(experts.names) - own
    need(kind == "onnx", "program.kind", "'onnx' in a model with experts", kind)
    need(isinstance(rows, list) and len(rows) == count, "program.experts", f"a list of {count} experts", rows)
    for number, row in enumerate(rows):
        place = f"program.experts[{number}]"
        need(isinstance(row, list) and len(row) == exits, place, f"a list of {exits} programs", row)
        for k, each in enumerate(row):
            here = f"{place}[{k}]"
            file = f"expert_{number + 1}_segment_{k}.onnx" if own else f"expert_{number}_exit_{k}.onnx"
            _check_program(_table(each, here), here, file)
            if own:
                for name, default in (("shape", None), ("takes_previous", False)):
                    wanted, found = segments[k].get(name, default), each.get(name, default)
                    need(found == wanted, f"{here}.{name}", f"that of the first expert, {wanted}", found)
                continue
            need(not segments[k].get("takes_previous"), f"program.segments[{k}].takes_previous", "false", True)
            following = rows[0][k]["shape"] if k == exits - 1 else segments[k + 1]["shape"]
            need(each["shape"] == following, f"{here}.shape", f"the shape of the features, {following}", each["shape"])
        need(not row[0].get("takes_previous"), f"{place}[0].takes_previous", "false", True)


def _check_program(table: Mapping[str, Any], place: str, file: str) -> None:
    for name in table:
        need(
            name in ("file", "sha256", "shape", "takes_previous", "carried"),
            place,
            "a table of file, sha256, shape, takes_previous, carried",
            name,
        )
    found, digest, shape = (entry(table, name, place) for name in ("file", "sha256", "shape"))
    need(_is_file(found), f"{place}.file", "the name of a file in the folder of the manifest", found)
    need(found == file, f"{place}.file", f"{file!r}, numbered in the order of the exits", found)
    need(_is_digest(digest), f"{place}.sha256", "64 hexadecimal digits", digest)
    sides = isinstance(shape, list) and 1 <= len(shape) <= 8 and all(is_whole(side, 0, _MOST_VALUES) for side in shape)
    need(sides, f"{place}.shape", "a list of whole numbers, 0 for any length", shape)
    values = 1
    for side in shape:
        values *= side or 1
    need(values <= _MOST_VALUES, f"{place}.shape", f"a shape of at most {_MOST_VALUES:,} values", shape)
    taken = table.get("takes_previous", False)
    need(isinstance(taken, bool), f"{place}.takes_previous", "true or false", taken)
    carried = table.get("carried", 0)
    need(is_whole(carried, 0, _MOST_VALUES), f"{place}.carried", "a whole number of columns", carried)


def _check_transform(table: Mapping[str, Any]) -> None:
    kind = table.get("kind", OF_IMAGES)
    own = isinstance(kind, str) and (kind in PREPROCESSINGS or is_reference(kind))
    need(own, "transform.kind", f"one of {', '.join(PREPROCESSINGS)}, or left out", kind)
    if kind == TEXT:
        digest = entry(table, "tokenizer", "transform")
        need(_is_digest(digest), "transform.tokenizer", "a SHA-256 of 64 hexadecimal digits", digest)
    if kind not in (OF_IMAGES, SERIES):  # its preprocessing checks the other fields
        return
    channels = entry(table, "channels", "transform")
    need(is_whole(channels, 1, 4096), "transform.channels", "a whole number from 1 to 4,096", channels)
    if kind == SERIES:
        length = entry(table, "length", "transform")
        need(is_whole(length, 1, _MOST_VALUES), "transform.length", "a positive whole number", length)
    else:
        _check_size(table)
    for name in ("mean", "std"):
        values = entry(table, name, "transform")
        count = channels - (kind == SERIES and table.get("masked") is True)  # the mask has none
        right = isinstance(values, list) and len(values) in (count, *((0,) if kind == SERIES else ()))
        need(
            right and all(is_number(value, -1e30, 1e30) for value in values),
            f"transform.{name}",
            f"{count} finite numbers each",
            values,
        )


def _check_size(table: Mapping[str, Any]) -> None:
    """Check the fields that only a transform of images has."""
    size = entry(table, "size", "transform")
    sides = size if isinstance(size, list) else [size]
    right = len(sides) in (1, 2) and all(is_whole(side, 1, _LONGEST_SIDE) for side in sides)
    need(right, "transform.size", f"1 to {_LONGEST_SIDE:,} pixels", size)
    white, fit = table.get("white"), table.get("fit", "crop")
    right = white is None or is_whole(white, 255, 2**32 - 1)
    need(right, "transform.white", "a whole number of at least 255 and below 2^32", white)
    need(is_text(fit), "transform.fit", "a string", fit)


def _check_measured(table: Mapping[str, Any], exits: Sequence[str], classes: Sequence[str]) -> None:
    """Check the measured exits, operating points and backbone. An untrained network has none of them."""
    if "backbone" in table:
        backbone = _table(table["backbone"], "measured.backbone")
        macs = entry(backbone, "macs", "measured.backbone")
        need(is_number(macs) and macs > 0, "measured.backbone.macs", "a positive number", macs)
        entry(table, "exits", "measured")
    _check_costs(table.get("costs", []))
    if "exits" in table:
        _check_exits(table["exits"], exits)
    points = table.get("points", [])
    need(isinstance(points, list), "measured.points", "a list", points)
    need(len(points) <= MOST_POINTS, "measured.points", f"at most {MOST_POINTS:,}", len(points))
    named = [(f"measured.points[{index}]", point) for index, point in enumerate(points)]
    for place, point in [*named, *([("measured.reported", table["reported"])] if "reported" in table else [])]:
        _check_point(_table(point, place), place, exits, classes)
    for name in ("data", "calibrated_on"):
        need(table.get(name) is None or is_text(table[name], 10_000), f"measured.{name}", "a string", table.get(name))
    for name, most in (("samples", 1e15), ("end_to_end_ms", 1e12)):
        value = table.get(name)
        need(value is None or is_number(value, 0, most), f"measured.{name}", "a number of at least 0", value)
    tested = table.get("tested")
    if tested is not None:
        known = isinstance(tested, dict) and is_number(tested.get("accuracy"), 0, 1)
        known = known and is_whole(tested.get("samples"), 1, 10**15)
        need(known, "measured.tested", "an accuracy in [0, 1] and a number of samples", tested)


def _check_exits(measured: Any, exits: Sequence[str]) -> None:
    need(isinstance(measured, list), "measured.exits", "a list", measured)
    need(len(measured) == len(exits), "measured.exits", f"{len(exits)}, one for each exit", len(measured))
    for k, exit_ in enumerate(measured):
        place = f"measured.exits[{k}]"
        _table(exit_, place)
        need(exit_.get("name", exits[k]) == exits[k], f"{place}.name", f"{exits[k]!r}", exit_.get("name"))
        temperature = entry(exit_, "temperature", place)
        right = is_number(temperature, LEAST_TEMPERATURE)
        need(right, f"{place}.temperature", f"finite and at least {LEAST_TEMPERATURE:g}", temperature)
        need(is_number(entry(exit_, "macs", place)), f"{place}.macs", "a number of at least 0", exit_["macs"])
        costs = [name for name in exit_ if name_fault(cost_of(name)) is None]
        for name, most in (("accuracy", 1.0), ("share", 1.0), *((name, 1e300) for name in costs)):
            value = exit_.get(name)
            need(value is None or is_number(value, 0, most), f"{place}.{name}", f"in [0, {most:g}]", value)
    macs = [exit_["macs"] for exit_ in measured]
    need(all(one < other for one, other in pairwise(macs)), "measured.exits", "in order of increasing MACs", macs)


def _check_costs(facts: Any) -> None:
    """Check the descriptions of the costs."""
    need(
        isinstance(facts, list) and len(facts) <= MOST_COSTS, "measured.costs", f"a list of at most {MOST_COSTS}", facts
    )
    for index, each in enumerate(facts):
        place = f"measured.costs[{index}]"
        for name, value in _table(each, place).items():
            need(name in ("name", "unit", "provenance"), place, "a table of name, unit, provenance", name)
            need(is_text(value), f"{place}.{name}", "a string of at most 1,000 characters", value)
        entry(each, "name", place)
        CostFacts(**each)


def _check_point(table: Mapping[str, Any], place: str, exits: Sequence[str], classes: Sequence[str]) -> None:
    _policy(entry(table, "policy", place), exits, classes)
    for name in ("accuracy", *(key for key in table if key.startswith((EXPECTED, WORST)))):
        value = table.get(name)
        most = 1.0 if name == "accuracy" else 1e300
        need(value is None or is_number(value, 0, most), f"{place}.{name}", f"in [0, {most:g}]", value)
    for name in ("shares", "exit_accuracy"):
        values = entry(table, name, place)
        right = isinstance(values, list) and len(values) == len(exits)
        need(
            right and all(value is None or is_number(value, 0, 1) for value in values),
            f"{place}.{name}",
            f"{len(exits)} numbers in [0, 1]",
            values,
        )
    OperatingPoint.from_table(table, key=place)


def _policy(table: Any, exits: Sequence[str], classes: Sequence[str]) -> Policy | None:
    """Return the policy in a table, or None. Raises ExportError if it is for other exits or classes."""
    if table is None:
        return None
    policy = policy_from_table(_table(table, "policy"), key="policy")
    if policy.num_exits != len(exits):
        raise ExportError(f"policy must be for {plural(len(exits), 'exit')}, got one for {policy.num_exits}")
    if isinstance(policy, GeometricPolicy) and len(policy.biases[0]) not in (0, len(classes)):
        raise ExportError(
            f"policy must be for {plural(len(classes), 'class', 'classes')}, got one for {len(policy.biases[0])}"
        )
    return policy


def _check_names(values: Any, place: str, least: int, most: int) -> None:
    need(isinstance(values, list), place, "a list of names", values)
    need(least <= len(values) <= most, place, f"{least} to {most:,} names", len(values))
    for index, value in enumerate(values):
        need(is_text(value), f"{place}[{index}]", "a string of at most 1,000 characters", value)


def _table(value: Any, place: str) -> dict[str, Any]:
    need(isinstance(value, dict), place, "a table", value)
    return value  # type: ignore[no-any-return]


def _is_file(value: object) -> bool:
    """Whether the value is a plain file name on every operating system."""
    return is_text(value, 200) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", str(value)) is not None


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
