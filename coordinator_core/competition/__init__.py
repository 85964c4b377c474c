"""One competition as data and arithmetic: terms, entries, picks, prices, budget, schedule, scoring,
payouts.
"""
