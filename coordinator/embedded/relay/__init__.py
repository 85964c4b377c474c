"""A small Nostr relay (NIP-01, NIP-11) for development, demo and tests: verified events, SQLite, limits.

Loopback only. Replaceable, addressable and ephemeral kinds are kept as NIP-01 says. There is no authentication, so
whoever reaches the relay reads gift wraps too; they are encrypted to their recipient.
"""
