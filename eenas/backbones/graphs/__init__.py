"""Backbones of graphs: message passing on node features and edges, in batches of padded graphs."""
