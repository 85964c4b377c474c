"""Settings: TOML and environment, decoded once, passed down as values."""
