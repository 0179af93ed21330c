"""Reporting: tables, figures and the dashboard."""
