"""What `get`, `describe` and `slide` show of a running lab.  Pure."""
