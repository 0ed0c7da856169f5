"""Rule sets of iptables and nft: written, read, and what conntrack keeps of them."""
