"""The house's money over all competitions: what may move now, and whether the books add up."""
