"""An answer as text, JSON, a drawing and a page."""
