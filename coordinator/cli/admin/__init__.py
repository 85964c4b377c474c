"""`coordinator admin`: what operators do to a running coordinator."""
