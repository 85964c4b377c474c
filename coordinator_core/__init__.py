"""Protocol library of ticketed Discreet Log Contract competitions: pure, usable without the coordinator."""
