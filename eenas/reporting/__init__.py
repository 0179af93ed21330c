"""Reporting: tables, figures, the dashboard page and the report."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.reporting.dashboard.dashboard import serve
    from eenas.reporting.dashboard.study_page import publish
    from eenas.reporting.figures.figure_file import write_figure
    from eenas.reporting.figures.figure_style import axis, figure
    from eenas.reporting.figures.overthinking_figure import draw_overthinking, overthinking_of
    from eenas.reporting.figures.regret_figure import draw_regret, regret_facts
    from eenas.reporting.figures.tiers.bandwidth_figure import draw_bandwidth
    from eenas.reporting.report.report_page import write_report
    from eenas.reporting.report.report_source import Asked, ReportSource, open_source

_HOMES = {
    "Asked": "report.report_source",
    "ReportSource": "report.report_source",
    "axis": "figures.figure_style",
    "draw_bandwidth": "figures.tiers.bandwidth_figure",
    "draw_overthinking": "figures.overthinking_figure",
    "draw_regret": "figures.regret_figure",
    "figure": "figures.figure_style",
    "open_source": "report.report_source",
    "overthinking_of": "figures.overthinking_figure",
    "publish": "dashboard.study_page",
    "regret_facts": "figures.regret_figure",
    "serve": "dashboard.dashboard",
    "write_figure": "figures.figure_file",
    "write_report": "report.report_page",
}
__all__ = [
    "Asked",
    "ReportSource",
    "axis",
    "draw_bandwidth",
    "draw_overthinking",
    "draw_regret",
    "figure",
    "open_source",
    "overthinking_of",
    "publish",
    "regret_facts",
    "serve",
    "write_figure",
    "write_report",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
