"""`coordinator demo`: one competition from creation to the last payment, against the embedded services."""
