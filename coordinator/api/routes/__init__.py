"""Routes of the JSON API v1."""
