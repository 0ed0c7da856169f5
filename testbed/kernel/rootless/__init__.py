"""Labs of ordinary users: a user namespace in which they are root, and what may be in its way."""
