"""The facts of a network over tiers: its best split, the time of each part, and how the split moves."""
