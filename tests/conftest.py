"""Settings of all tests: properties are bounded in examples, never in seconds; sums are added up in one order."""

import torch
from hypothesis import settings

settings.register_profile("eenas", deadline=None)
settings.load_profile("eenas")

torch.set_num_threads(1)  # two trainings that are compared bit by bit do not differ by how threads shared a sum
