"""Texts: tasks in tables of texts and labels, their samples, and tokenizers."""
