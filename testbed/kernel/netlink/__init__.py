"""Facts as netlink messages, and the sockets that carry them."""
