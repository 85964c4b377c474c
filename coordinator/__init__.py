"""Coordinator (market maker) of prediction competitions settled by Discreet Log Contracts."""

__version__ = "0.1.0"
