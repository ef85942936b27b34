"""The worker: takes requests from Kafka, asks the region's Triton, replies, then commits. More processes, more pace."""
