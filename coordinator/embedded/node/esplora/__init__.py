"""Esplora's REST: `routes` has the addresses, `render` draws the answers."""
