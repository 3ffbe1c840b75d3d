"""The report: what someone who was not there reads, as one Markdown text or one HTML file that opens offline."""

from engine.report.collect import gather
from engine.report.html import html
from engine.report.markdown import markdown
from engine.report.model import RolloutReport

__all__ = ["RolloutReport", "gather", "html", "markdown"]
