"""What is around the VPCs: peerings, transit and virtual private gateways, on-premises sites."""
