"""Nostr formats without any transport: events, keys as text, HTTP authorization, encryption, gift wraps."""
