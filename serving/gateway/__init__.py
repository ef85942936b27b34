"""The gateway: takes a client's request over HTTP, asks the workers through Kafka, gives their answer back."""
