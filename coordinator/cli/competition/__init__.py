"""`coordinator competition`: create, list, show and cancel competitions of a running coordinator."""
