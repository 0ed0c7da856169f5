"""Rules and sets as iptables and nft read and print them."""
