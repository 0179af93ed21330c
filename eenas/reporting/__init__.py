"""Reporting: tables, figures, the dashboard page and the report."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.reporting.dashboard.dashboard import serve
    from eenas.reporting.dashboard.study_page import publish
    from eenas.reporting.report.report_page import write_report
    from eenas.reporting.report.report_source import Asked, ReportSource, open_source

_HOMES = {
    "Asked": "report.report_source",
    "ReportSource": "report.report_source",
    "open_source": "report.report_source",
    "publish": "dashboard.study_page",
    "serve": "dashboard.dashboard",
    "write_report": "report.report_page",
}
__all__ = [
    "Asked",
    "ReportSource",
    "open_source",
    "publish",
    "serve",
    "write_report",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
