"""Tasks of graphs: graph classification, and node classification in one graph."""
