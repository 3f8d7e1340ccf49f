/** Bounds on one measurement. */
export interface EngineLimits {
  memoryBytes: number;
  /** Of temporary files: decompressed input and what does not fit into memory. */
  diskBytes: number;
  threads: number;
  timeoutMs: number;
  maxColumns: number;
  maxRows: number;
}

/** A file on the local disk, complete. */
export interface LocalFile {
  path: string;
  /** As people know it: object key or the path they gave. Its ending says how it is compressed. */
  name: string;
  bytes: number;
  /** Hexadecimal, of the bytes as stored (compressed, where they are). */
  sha256: string;
}
