"""Commands of players and operators: each judges its input against state and facts and decides which facts to write."""
