"""HTTP: the JSON API, pages, streams. Talks to the engine and to the views only."""
