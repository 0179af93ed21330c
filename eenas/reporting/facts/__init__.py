"""Facts: the content of tables, notes and figures as plain values."""
