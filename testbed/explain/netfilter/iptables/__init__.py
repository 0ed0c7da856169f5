"""iptables' rules taken apart, from what `iptables-save` prints."""
