"""Simulation of many devices that share one server."""
