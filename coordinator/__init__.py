"""Coordinator (market maker) of prediction competitions settled by Discreet Log Contracts."""
