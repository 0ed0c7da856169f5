"""Security groups and network ACLs: described, checked, and planned as the router's nft rules."""
