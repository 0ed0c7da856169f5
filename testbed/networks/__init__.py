"""What is around the VPCs: peerings, virtual private gateways and on-premises sites."""
