"""Measurement: MACs, latency and the profile of a backbone."""
