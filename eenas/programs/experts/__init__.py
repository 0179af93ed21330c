"""Exported networks with experts: programs, the part of the manifest, the runtime's routing, and parity."""
