"""A simulator of phones, people, network and clocks around the real server, and the laws that must hold whatever happens."""
