"""Deployment: what leaves the project: a folder, programs of the network in it, and the runtime that runs them."""
