"""A publisher and a consumer that follow every rule of the delivery contract, and break each on demand."""
