//! Looks at the engine's journals before the engine does.
//!
//! The engine cuts a journal off at the first record that it cannot read. That is right for the commit that a
//! crash tore, which is the last, and wrong for a damaged one in the middle, because what was acknowledged after
//! it would be lost without a word. So the journals are read here first, without changing them: a torn tail is cut
//! off and reported, damage with commits behind it is an error.
//!
//! The layout is that of fjall 3: a batch is a start (tag 1, count, sequence number), its items (tag 2, header,
//! key, value) or clearings (tag 4), and an end (tag 3, XXH3 of the items, trailer). The newest journal is
//! allocated ahead, so zeros follow its last batch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use kaireon_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::Xxh3;

use crate::error::io_error;

const TRAILER: &[u8; 4] = b"FJL\x03";

/// The largest value that is ever written: a bound on what a damaged length makes us read.
const MAX_VALUE: u64 = 1 << 28;

/// What the journals say about how the store was left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journals {
    /// The bytes of a commit that a crash tore, which were cut off.
    pub(crate) torn_bytes: u64,
}

/// Reads the journals of the engine in `dir`, and cuts a torn tail off the newest.
///
/// # Errors
/// `Corrupt` where a commit is damaged and others follow it.
pub(crate) fn check(dir: &Path) -> Result<Journals> {
    let mut journals = list(dir).map_err(io_error)?;
    let Some((_, newest)) = journals.pop() else {
        return Ok(Journals::default());
    };
    for (_, sealed) in journals {
        // It was synced whole before the next was begun.
        if scan(&sealed).map_err(io_error)?.left_over > 0 {
            return Err(damaged());
        }
    }
    let scan = scan(&newest).map_err(io_error)?;
    if scan.batches_behind > 1 {
        return Err(damaged());
    }
    if scan.left_over > 0 {
        cut(&newest, scan.valid_end).map_err(io_error)?;
    }
    Ok(Journals {
        torn_bytes: scan.left_over,
    })
}

/// Lays the newest journal on fresh blocks.
///
/// After a failed flush the kernel may hold pages of it that are marked clean and were never written; what is
/// appended behind such a hole would be unreachable after a loss of power.
pub(crate) fn lay_anew(dir: &Path) -> io::Result<()> {
    let Some((_, newest)) = list(dir)?.pop() else {
        return Ok(());
    };
    let end = scan(&newest)?.valid_end;
    let temporary = newest.with_extension("anew");
    let mut copy = File::create(&temporary)?;
    io::copy(&mut File::open(&newest)?.take(end), &mut copy)?;
    copy.sync_all()?;
    fs::rename(&temporary, &newest)?;
    crate::place::sync_dir(dir)
}

fn damaged() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a journal is damaged before commits that were acknowledged",
    )
}

/// The journals, oldest first.
fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|extension| extension == "jnl")
        {
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    Ok(journals)
}

fn cut(path: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()
}

/// How much is looked at together.
const CHUNK: usize = 64 << 10;

static ZEROS: [u8; CHUNK + TRAILER.len()] = [0; CHUNK + TRAILER.len()];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scan {
    /// Where the last whole batch ends.
    valid_end: u64,
    /// How many bytes from there to the last that is not zero.
    left_over: u64,
    /// How many ends of batches lie behind `valid_end`. That of a torn batch may be one of them, because pages
    /// reach the disk in any order.
    batches_behind: u64,
}

fn scan(path: &Path) -> io::Result<Scan> {
    let mut file = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut scan = Scan::default();
    let mut buffer = Vec::new();
    while let Some(length) = batch(&mut file, &mut buffer)? {
        scan.valid_end += length;
    }
    file.seek(SeekFrom::Start(scan.valid_end))?;
    // The last bytes before the chunk that is looked at, so that a trailer on the border is seen.
    let mut window = Vec::new();
    let mut passed = 0_u64;
    loop {
        let kept = window.len();
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut window)?;
        if read > 0 && window[..] == ZEROS[..window.len()] {
            // What was allocated ahead is passed over fast: it is most of a young journal.
            passed += read as u64;
            window.truncate(TRAILER.len());
            continue;
        }
        let start = kept.saturating_sub(TRAILER.len());
        let ends = window[start..].windows(TRAILER.len() + 1).filter(|bytes| {
            // Behind the end of a batch begins another, or nothing.
            bytes[..TRAILER.len()] == *TRAILER && bytes[TRAILER.len()] <= 1
        });
        scan.batches_behind += ends.count() as u64;
        if read == 0 && window.ends_with(TRAILER) {
            scan.batches_behind += 1;
        }
        if let Some(last) = window[kept..].iter().rposition(|&byte| byte != 0) {
            scan.left_over = passed + last as u64 + 1;
        }
        passed += read as u64;
        if read == 0 {
            return Ok(scan);
        }
        let keep = window.len().saturating_sub(TRAILER.len());
        window.drain(..keep);
    }
}

/// Reads a whole batch and returns its length; `None` where none begins, or what begins is not whole.
fn batch(file: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let Some(start) = array::<13>(file)? else {
        return Ok(None);
    };
    if start[0] != 1 {
        return Ok(None);
    }
    let mut length = 13;
    let mut hash = Xxh3::new();
    let items = u32::from_le_bytes([start[1], start[2], start[3], start[4]]);
    for _ in 0..items {
        buffer.clear();
        if !item(file, buffer)? {
            return Ok(None);
        }
        hash.update(buffer);
        length += buffer.len() as u64;
    }
    let Some(end) = array::<13>(file)? else {
        return Ok(None);
    };
    let whole = end[0] == 3 && end[1..9] == hash.digest().to_le_bytes() && end[9..] == *TRAILER;
    Ok(whole.then_some(length + 13))
}

/// Appends an item's bytes; `false` where none is whole.
fn item(file: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let Some([tag]) = array::<1>(file)? else {
        return Ok(false);
    };
    buffer.push(tag);
    let rest = match tag {
        2 => {
            let Some(header) = array::<20>(file)? else {
                return Ok(false);
            };
            buffer.extend_from_slice(&header);
            let key = u64::from(u16::from_le_bytes([header[10], header[11]]));
            let value = u64::from(u32::from_le_bytes([
                header[16], header[17], header[18], header[19],
            ]));
            if value > MAX_VALUE {
                return Ok(false);
            }
            key + value
        }
        4 => 8,
        _ => return Ok(false),
    };
    Ok(file.take(rest).read_to_end(buffer)? as u64 == rest)
}

/// Reads so many bytes; `None` where the file ends before.
fn array<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
