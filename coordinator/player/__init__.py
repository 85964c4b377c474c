"""A headless player: own keys, every check a browser does, over HTTP. Trusts the coordinator with nothing it can check."""
