"""Pages: server-rendered HTML that works by itself; scripts only refresh its live part."""
