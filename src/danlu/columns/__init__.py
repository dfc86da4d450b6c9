"""What one column is: number, category, boolean, datetime, image. NumPy and Polars only, never torch."""
