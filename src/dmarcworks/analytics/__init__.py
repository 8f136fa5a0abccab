"""What the store of report rows holds, and the questions that the product asks of it."""
