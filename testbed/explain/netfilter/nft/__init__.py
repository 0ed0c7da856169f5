"""nft's rules taken apart, from what `nft list` prints."""
