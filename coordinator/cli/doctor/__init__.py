"""`coordinator doctor`: everything that can be looked at before a start, or beside a running coordinator."""
