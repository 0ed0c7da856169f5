"""How a Service wants its load balancer: its class, and annotations."""
