"""Backbones: named networks, their weights, transforms, cut points and chains."""
