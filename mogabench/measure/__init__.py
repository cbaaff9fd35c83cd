"""How a number is obtained: complexity and throughput."""
