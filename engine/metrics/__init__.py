"""Figures for people and machines: /metrics, alert rules, the dashboard, errors by kind."""
