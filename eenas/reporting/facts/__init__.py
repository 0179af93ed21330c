"""Facts: what tables and notes say, as plain values."""
