"""Policies of networks with expert branches: one policy for each expert, and tables that know each sample's expert."""
