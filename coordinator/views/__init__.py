"""Read models: what players and operators see of a competition, computed from state and facts."""
