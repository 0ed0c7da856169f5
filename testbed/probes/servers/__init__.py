"""The pods' servers: sockets made in the pods' namespaces, served by a few processes for all."""
