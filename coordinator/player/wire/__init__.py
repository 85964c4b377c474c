"""What the player takes from the answers of servers: one file for each group of routes. Other members are ignored."""
