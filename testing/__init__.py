"""What tests and benchmarks share: servers, clients, terminals and certificates to test with."""
