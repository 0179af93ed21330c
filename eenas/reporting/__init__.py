"""Reporting: tables, figures, the dashboard page and the report."""
