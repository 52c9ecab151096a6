//! Byte formats over Read, Write and Seek: partition table, verity tree, cpio, unified kernel image, update payload.
