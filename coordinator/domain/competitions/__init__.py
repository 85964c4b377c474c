"""The life of a competition: its states and the function that moves it."""
