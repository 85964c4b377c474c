"""A loopback server that speaks the HTTP API of noaa-oracle 2.x over scripted or generated weather.

For development, demo and tests: it refuses mainnet. Its codecs, rules, scoring and statement are its own; it
shares only the curve with the rest, so that a client is never tested against its own mistake.
"""
