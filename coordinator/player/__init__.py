"""A headless player over HTTP: own keys, every check a browser does. It believes nothing that it can check."""
