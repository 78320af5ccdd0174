use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use std::io::Write;

use super::*;

/// A journal of ten commits of two items, as the engine writes it, and where each commit ends.
fn journal() -> (tempfile::TempDir, PathBuf, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let mut ends = Vec::new();
    let path = dir.path().join("0.jnl");
    {
        let builder = Database::builder(dir.path()).journal_compression(fjall::CompressionType::None);
        let database = builder.open().unwrap();
        let keyspace = database.keyspace("k", KeyspaceCreateOptions::default).unwrap();
        for number in 0..10_u8 {
            let mut batch = database.batch().durability(Some(PersistMode::SyncData));
            batch.insert(&keyspace, [number; 9], vec![number; 5_000]);
            batch.remove(&keyspace, "nothing");
            batch.commit().unwrap();
            ends.push(scan(&path).unwrap().valid_end);
        }
    }
    assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
    (dir, path, ends)
}

fn change(path: &Path, at: u64, change: impl Fn(u8) -> u8) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[change(byte[0])]).unwrap();
}

/// The journal without the zeros behind it.
fn written(path: &Path, end: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path)
        .unwrap()
        .take(end)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn a_whole_journal_is_left_as_it_is() {
    let (dir, path, ends) = journal();
    let length = fs::metadata(&path).unwrap().len();
    let before = written(&path, ends[9]);
    assert_eq!(check(dir.path()).unwrap(), Journals::default());
    assert_eq!(scan(&path).unwrap().valid_end, ends[9]);
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
    assert!(written(&path, ends[9]) == before);
}

#[test]
fn a_journal_that_ends_anywhere_is_cut_to_the_last_whole_commit() {
    let (dir, path, ends) = journal();
    let whole = written(&path, ends[9]);
    for end in (ends[8]..ends[9]).step_by(997) {
        // Zeros follow where the journal was allocated ahead.
        for allocated in [end, end + 100_000] {
            fs::write(&path, &whole[..usize::try_from(end).unwrap()]).unwrap();
            OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(allocated)
                .unwrap();
            check(dir.path()).unwrap();
            assert_eq!(scan(&path).unwrap().valid_end, ends[8]);
        }
    }
}

#[test]
fn a_last_commit_whose_pages_came_out_of_order_is_a_torn_tail() {
    let (dir, path, ends) = journal();
    change(&path, ends[8] + 2_000, |byte| byte ^ 1);
    let found = check(dir.path()).unwrap();
    assert_eq!(found.torn_bytes, ends[9] - ends[8]);
    assert_eq!(scan(&path).unwrap().valid_end, ends[8]);
}

#[test]
fn damage_before_other_commits_is_an_error_and_changes_nothing() {
    let (dir, path, ends) = journal();
    for at in (0..ends[7]).step_by(1_511) {
        change(&path, at, |byte| byte ^ 0x10);
        let before = written(&path, ends[9]);
        assert_eq!(
            check(dir.path()).unwrap_err().kind(),
            ErrorKind::Corrupt,
            "at {at}"
        );
        assert!(written(&path, ends[9]) == before);
        change(&path, at, |byte| byte ^ 0x10);
    }
}

#[test]
fn a_journal_laid_anew_reads_as_before() {
    let (dir, path, ends) = journal();
    lay_anew(dir.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), ends[9]);
    let database = Database::builder(dir.path()).open().unwrap();
    let keyspace = database.keyspace("k", KeyspaceCreateOptions::default).unwrap();
    assert_eq!(keyspace.len().unwrap(), 10);
}
