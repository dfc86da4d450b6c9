"""Whatever holds rows: delimited text, JSON lines, Parquet, frames, folders of pictures, idx and npz files, samples."""
