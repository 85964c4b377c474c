"""What operators may do to a running coordinator. Each act is written down with who and why, and takes effect once."""
