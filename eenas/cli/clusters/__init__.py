"""Verbs of searches on several machines: workers, job files, leases."""
