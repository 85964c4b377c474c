"""Database, chain and Lightning compared, before the first payment of a run (money section 8).

What differs becomes a fact, and the rules say what follows. What contradicts stops the one competition, or freezes new
money where it concerns the house. Nothing here edits a row, sends, settles or cancels.
"""
