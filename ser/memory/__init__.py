"""MAL, memory as a layer at test time for conversations: neural memory, adapter, hosts, training."""
