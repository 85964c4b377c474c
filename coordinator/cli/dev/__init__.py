"""`coordinator dev`: everything on this machine, and `coordinator mine` beside it."""
