"""nft trace: which rules a probe met, in each namespace."""
