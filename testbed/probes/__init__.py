"""Real packets, all from one process: the pods' servers, ping, TCP and HTTP probes, the matrix."""
