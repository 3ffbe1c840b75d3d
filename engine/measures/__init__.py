"""What is counted: the record of an extraction, buckets of records, histograms."""
