//! Writes small ZIP files in memory: the same entries always give the same bytes.
//!
//! Our own, because the `zip` crate brings a clock and a random number generator. Sizes are in
//! front of each entry, not behind, so that streaming readers such as Java's accept stored ones.
//! Source: PKWARE APPNOTE 6.3.10.

use flate2::{Compress, Compression, FlushCompress, Status};
use zeroize::Zeroizing;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DIRECTORY_HEADER: u32 = 0x0201_4b50;
const END_OF_DIRECTORY: u32 = 0x0605_4b50;

const LOCAL_HEADER_BYTES: usize = 30;
const DIRECTORY_HEADER_BYTES: usize = 46;
const END_OF_DIRECTORY_BYTES: usize = 22;

/// 2.0: the version that knows deflate.
const VERSION_NEEDED: u16 = 20;
/// Written "on Unix", so that the permissions are read.
const VERSION_MADE_BY: u16 = (3 << 8) | VERSION_NEEDED;
/// The name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Midnight of 1980-01-01, the earliest moment that the format knows: same input, same bytes.
const TIME: u16 = 0;
const DATE: u16 = (1 << 5) | 1;

/// A file inside the ZIP file.
pub(crate) struct Entry<'a> {
    /// Made safe by the caller; no two alike.
    pub(crate) name: String,
    pub(crate) content: &'a [u8],
    pub(crate) packing: Packing,
    pub(crate) access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// For what is compressed or encrypted already, and for small binary files.
    Stored,
    /// For text.
    Deflated,
}

/// Who may read the file once it is unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Mode 0644.
    Everyone,
    /// Mode 0600: it holds a private key.
    Owner,
}

/// More entries or bytes than the format holds without its 64-bit extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// What the directory repeats of an entry.
struct Record {
    crc32: u32,
    method: u16,
    packed_bytes: u32,
    offset: u32,
}

/// Writes the entries in the order given.
pub(crate) fn write(entries: &[Entry<'_>]) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
    let size = entries
        .iter()
        .map(|entry| LOCAL_HEADER_BYTES + DIRECTORY_HEADER_BYTES + 2 * entry.name.len() + entry.content.len())
        .sum::<usize>()
        + END_OF_DIRECTORY_BYTES;
    // Never grows: no copy of a key is left behind, and no memory is used beside the result.
    let mut zip = Zeroizing::new(Vec::with_capacity(size));
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        records.push(write_entry(&mut zip, entry)?);
    }
    write_directory(&mut zip, entries, &records)?;
    Ok(zip)
}

fn write_entry(zip: &mut Vec<u8>, entry: &Entry<'_>) -> Result<Record, TooLarge> {
    let deflated = match entry.packing {
        Packing::Stored => None,
        Packing::Deflated => deflate(entry.content),
    };
    let (method, packed) = match &deflated {
        Some(smaller) => (DEFLATED, smaller.as_slice()),
        None => (STORED, entry.content),
    };
    let record = Record {
        crc32: crc32fast::hash(entry.content),
        method,
        packed_bytes: u32::try_from(packed.len()).map_err(|_| TooLarge)?,
        offset: u32::try_from(zip.len()).map_err(|_| TooLarge)?,
    };
    put32(zip, LOCAL_HEADER);
    put_common(zip, entry, &record)?;
    zip.extend_from_slice(entry.name.as_bytes());
    zip.extend_from_slice(packed);
    Ok(record)
}

/// The fields that a local header and the directory share.
fn put_common(zip: &mut Vec<u8>, entry: &Entry<'_>, record: &Record) -> Result<(), TooLarge> {
    put16(zip, VERSION_NEEDED);
    put16(zip, if entry.name.is_ascii() { 0 } else { FLAG_UTF8 });
    put16(zip, record.method);
    put16(zip, TIME);
    put16(zip, DATE);
    put32(zip, record.crc32);
    put32(zip, record.packed_bytes);
    put32(zip, u32::try_from(entry.content.len()).map_err(|_| TooLarge)?);
    put16(zip, u16::try_from(entry.name.len()).map_err(|_| TooLarge)?);
    // No extra fields.
    put16(zip, 0);
    Ok(())
}

fn write_directory(zip: &mut Vec<u8>, entries: &[Entry<'_>], records: &[Record]) -> Result<(), TooLarge> {
    let count = u16::try_from(entries.len()).map_err(|_| TooLarge)?;
    let start = zip.len();
    for (entry, record) in entries.iter().zip(records) {
        let mode: u32 = match entry.access {
            Access::Everyone => 0o100_644,
            Access::Owner => 0o100_600,
        };
        put32(zip, DIRECTORY_HEADER);
        put16(zip, VERSION_MADE_BY);
        put_common(zip, entry, record)?;
        // No comment, first disk, no internal attributes.
        put16(zip, 0);
        put16(zip, 0);
        put16(zip, 0);
        put32(zip, mode << 16);
        put32(zip, record.offset);
        zip.extend_from_slice(entry.name.as_bytes());
    }
    let directory_bytes = u32::try_from(zip.len() - start).map_err(|_| TooLarge)?;
    put32(zip, END_OF_DIRECTORY);
    // This disk, and the disk of the directory.
    put16(zip, 0);
    put16(zip, 0);
    put16(zip, count);
    put16(zip, count);
    put32(zip, directory_bytes);
    put32(zip, u32::try_from(start).map_err(|_| TooLarge)?);
    // No comment.
    put16(zip, 0);
    Ok(())
}

/// The deflated content, unless it is no smaller than the content itself.
fn deflate(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(content.len()));
    let status =
        Compress::new(Compression::default(), false).compress_vec(content, &mut packed, FlushCompress::Finish).ok()?;
    (status == Status::StreamEnd && packed.len() < content.len()).then_some(packed)
}

fn put16(zip: &mut Vec<u8>, number: u16) {
    zip.extend_from_slice(&number.to_le_bytes());
}

fn put32(zip: &mut Vec<u8>, number: u32) {
    zip.extend_from_slice(&number.to_le_bytes());
}
