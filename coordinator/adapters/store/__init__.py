"""The one database: truth and queue."""
