"""Settings of all tests: properties are bounded in examples, never in seconds."""

from hypothesis import settings

settings.register_profile("eenas", deadline=None)
settings.load_profile("eenas")
