"""Core's JSON-RPC: `dispatch` speaks the protocol, one file a group holds the methods, `render` draws the answers."""
