"""One implementation of each port; they meet the ports only in `coordinator/app.py`."""
