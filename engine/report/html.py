"""placeholder"""
from engine.report.story import Story


def html(story: Story) -> str:
    return ""
