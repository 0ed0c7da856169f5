"""The only package that opens netlink, enters namespaces or starts programs; needs CAP_NET_ADMIN.

Its codecs (`netlink`, `encode`, `decode`) are pure: facts to bytes and bytes to facts.
"""
