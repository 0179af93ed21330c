"""Reporting: tables, figures, the dashboard and the report."""
