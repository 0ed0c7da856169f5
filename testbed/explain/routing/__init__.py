"""What a namespace's rules, tables and checks on sources decide of a packet."""
