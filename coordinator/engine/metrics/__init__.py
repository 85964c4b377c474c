"""Numbers for Prometheus: every label takes its values from a set that is closed when the metric is made."""
