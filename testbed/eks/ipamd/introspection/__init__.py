"""What ipamD tells of itself over HTTP: its data store, its settings, its metrics."""
