"""The pure domain: typestates, facts, duties, and the functions that decide. No I/O, no clock, no event loop."""
