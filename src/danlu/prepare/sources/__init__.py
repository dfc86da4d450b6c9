"""Whatever holds rows: delimited text, JSON lines, Parquet, data frames, folders of pictures, idx and npz files, samples."""
