"""`coordinator player`: a person plays from a terminal, against any coordinator."""
