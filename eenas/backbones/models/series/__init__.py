"""Networks for time series: stacks of layers over time, and networks unrolled over time."""
