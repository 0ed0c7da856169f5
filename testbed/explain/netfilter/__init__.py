"""Rule sets of iptables and nft, taken apart and walked by packets; connections and NAT."""
