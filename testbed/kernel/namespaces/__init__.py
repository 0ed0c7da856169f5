"""Network namespaces: making them, entering them, and who holds them."""
