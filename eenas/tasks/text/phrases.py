"""Synthetic phrases to an assistant at home, the embedded task of texts."""

import numpy as np

from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task
from eenas.tasks.text.text_task import task_of_texts

SAMPLES = 1500
TOPICS = ("alarm", "lights", "music", "weather")
_SEED = 20260301
_OPENINGS = ("", "please", "hey there", "could you", "I would like you to", "when you have a moment", "right now")
_REQUESTS = {
    "alarm": ("wake me at {hour}", "set an alarm for {hour}", "remind me to leave at {hour}", "ring in {few} minutes"),
    "lights": ("turn on the lamp in the {room}", "dim the {room}", "make the {room} brighter", "switch off the {room}"),
    "music": ("play some {style}", "put on a {style} record", "skip this {style} song", "turn the {style} up"),
    "weather": (
        "tell me if it rains in {city}",
        "say how warm {city} is",
        "check for snow in {city}",
        "is {city} windy",
    ),
}
_FILLS = {
    "hour": ("six", "half past seven", "noon", "a quarter to nine", "ten tonight"),
    "few": ("five", "twenty", "forty"),
    "room": ("kitchen", "hall", "bedroom", "study", "cellar"),
    "style": ("jazz", "folk", "samba", "baroque", "blues"),
    "city": ("Oslo", "Lisbon", "Lima", "Kyoto", "Accra"),
}
_INSTEAD = ("do not {one}, {two} instead", "I said {one} but no, {two}", "forget about the idea to {one} and {two}")


def phrases_task(splits: SplitsSpec | None = None) -> Task:
    """Return 1,500 short English requests in four classes, the same on every machine.

    The class is the topic of the request. A third of the phrases mention another topic first, and take it back: their
    class takes the order of the words to tell. So the difficulty of samples varies.

    Raises TaskError if the splits do not fit.
    """
    generator = np.random.Generator(np.random.PCG64(_SEED))
    labels = np.arange(SAMPLES, dtype=np.int64) % len(TOPICS)
    texts = [_phrase(TOPICS[label], generator) for label in labels]
    return task_of_texts("phrases", {"train": (texts, labels)}, TOPICS, splits)


def _phrase(topic: str, generator: np.random.Generator) -> str:
    request = _request(topic, generator)
    if generator.integers(3) == 0:
        others = [other for other in TOPICS if other != topic]
        other = _request(others[int(generator.integers(len(others)))], generator)
        request = _INSTEAD[int(generator.integers(len(_INSTEAD)))].format(one=other, two=request)
    opening = _OPENINGS[int(generator.integers(len(_OPENINGS)))]
    return f"{opening} {request}".strip()


def _request(topic: str, generator: np.random.Generator) -> str:
    forms = _REQUESTS[topic]
    fills = {name: values[int(generator.integers(len(values)))] for name, values in _FILLS.items()}
    return forms[int(generator.integers(len(forms)))].format(**fills)
