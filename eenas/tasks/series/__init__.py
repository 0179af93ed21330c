"""Time series as samples."""
