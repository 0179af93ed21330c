"""Tiers and links: machines that share a network, the costs of every split between them, and the best split."""
