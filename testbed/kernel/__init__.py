"""The only package that opens netlink, enters namespaces and starts programs: CAP_NET_ADMIN."""
