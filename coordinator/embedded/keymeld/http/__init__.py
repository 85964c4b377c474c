"""HTTP in front of the gateway (keymeld section 2): routes, bodies, errors, rate limits."""
