//! A file of token ids, mapped into memory. Written once, never changed.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::DataError;
use crate::error::tokens::Damage;
use crate::hash;

/// `magic | version: u32 | bytes of an id: u32 | ids: u64 | id ...`, all little-endian.
const MAGIC: [u8; 8] = *b"SLTOKENS";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;

/// A shard's entry in the record of its set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardRecord {
    /// Name of its file.
    pub file: String,
    /// Number of token ids in it.
    pub tokens: u64,
    /// Hash of the file.
    pub blake3: String,
}

impl ShardRecord {
    /// # Errors
    /// `Damaged` if the file at `path` has another length than it should have.
    pub(crate) fn check_length(&self, path: &Path, file_bytes: u64) -> Result<(), DataError> {
        let expected = HEADER_BYTES as u64 + 2 * self.tokens;
        if file_bytes == expected {
            return Ok(());
        }
        let why = Damage::Length { found: file_bytes, expected };
        Err(DataError::Damaged { path: path.to_path_buf(), why })
    }
}

/// Writes `tokens` to the file `name` in `folder`.
///
/// # Errors
/// `Io`.
pub(crate) fn write(folder: &Path, name: String, tokens: &[u16]) -> Result<ShardRecord, DataError> {
    let mut content = Vec::with_capacity(HEADER_BYTES + 2 * tokens.len());
    content.extend(MAGIC);
    content.extend(VERSION.to_le_bytes());
    content.extend((size_of::<u16>() as u32).to_le_bytes());
    content.extend((tokens.len() as u64).to_le_bytes());
    content.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
    disk::write(&folder.join(&name), &content)?;
    Ok(ShardRecord { file: name, tokens: tokens.len() as u64, blake3: hash::of_bytes(&content) })
}

/// The token ids of one shard.
#[derive(Debug)]
pub(crate) struct Shard {
    map: Mmap,
}

impl Shard {
    /// Maps the file and checks its length, header and checksum.
    ///
    /// # Errors
    /// `Io`, `Damaged`.
    pub(crate) fn open(folder: &Path, record: &ShardRecord) -> Result<Shard, DataError> {
        let path = folder.join(&record.file);
        let file = File::open(&path).map_err(DataError::io("open", &path))?;
        // SAFETY: a shard is renamed into place when it is complete, and never written to again; deleting it keeps the
        // mapping valid. Anything else that happens to a cache file under a running program is the risk of every
        // use of `mmap`.
        let map = unsafe { Mmap::map(&file) }.map_err(DataError::io("map", &path))?;
        let damaged = |why| DataError::Damaged { path: path.clone(), why };
        record.check_length(&path, map.len() as u64)?;
        let is_ours = map[..8] == MAGIC
            && map[8..12] == VERSION.to_le_bytes()
            && map[12..16] == (size_of::<u16>() as u32).to_le_bytes()
            && map[16..24] == record.tokens.to_le_bytes();
        if !is_ours {
            return Err(damaged(Damage::Header));
        }
        if hash::of_bytes(&map) != record.blake3 {
            return Err(damaged(Damage::Checksum));
        }
        Ok(Shard { map })
    }

    /// Number of token ids.
    pub(crate) fn len(&self) -> usize {
        (self.map.len() - HEADER_BYTES) / 2
    }

    /// Token ids at these positions.
    pub(crate) fn tokens(&self, range: Range<usize>) -> impl Iterator<Item = u16> {
        let bytes = &self.map[HEADER_BYTES + 2 * range.start..HEADER_BYTES + 2 * range.end];
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
    }
}
