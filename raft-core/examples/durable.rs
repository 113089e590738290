//! A group of one that survives the death of its process: what to write, when to sync, and how to
//! start again.
//!
//! Run it with `cargo run -p raftcore --example durable`. The log is one file that only grows:
//! enough to show the order of things. A service would rather use a database, as
//! `examples/kv-c` does, and drop what a snapshot contains.
//!
//! The lines that say ANCHOR mark what the guide in `docs` prints.

use std::error::Error as StdError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use raftcore::{ConfState, Config, Entries, MemoryStorage, Node, Ready, wire};

type Result<T> = std::result::Result<T, Box<dyn StdError>>;

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("raftcore-durable-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("log");

    let mut first = Member::start(&path)?;
    first.node.campaign()?;
    first.run()?;
    for word in ["one", "two", "three"] {
        first.node.propose(word)?;
        first.run()?;
    }
    println!("first life: applied {:?}", first.applied);
    drop(first);

    // A crash in the middle of a write leaves half a record at the end of the file.
    OpenOptions::new().append(true).open(&path)?.write_all(b"\x20\0\0\0half a reco")?;

    let mut second = Member::start(&path)?;
    println!("second life: term {}", second.node.hard_state().term);
    second.node.campaign()?;
    second.run()?;
    second.node.propose("four")?;
    second.run()?;
    println!("second life: applied {:?}", second.applied);
    assert_eq!(second.applied, ["one", "two", "three", "four"]);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

struct Member {
    node: Node<MemoryStorage>,
    disk: Disk,
    applied: Vec<Bytes>,
}

impl Member {
    // ANCHOR: start
    /// A first start and a restart are the same: fill the storage from the disk, make the node.
    fn start(path: &Path) -> Result<Self> {
        // A group of one has its member from the start. Larger groups are bootstrapped.
        let mut storage = MemoryStorage::with_conf_state(ConfState::with_voters([1]));
        let disk = Disk::open(path, &mut storage)?;
        let node = Node::new(&Config::new(1, 42), storage)?;
        Ok(Self { node, disk, applied: Vec::new() })
    }
    // ANCHOR_END: start

    // ANCHOR: turn
    fn run(&mut self) -> Result<()> {
        while let Some(ready) = self.node.ready()? {
            // Here `ready.messages` would be sent: they need not wait for the disk.
            self.disk.write(&ready)?;
            self.node.storage_mut().persist(&ready)?;
            // Here `ready.messages_after_sync` would be sent: they claim what is written now.
            for entry in &ready.committed {
                if entry.is_conf_change() {
                    self.node.apply_conf_change_entry(entry)?;
                } else if !entry.data.is_empty() {
                    self.applied.push(entry.data.clone());
                }
            }
            self.node.advance(ready)?;
        }
        Ok(())
    }
    // ANCHOR_END: turn
}

/// What a record of the file holds.
const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const SNAPSHOT: u8 = 3;

/// A file of records: a length, a checksum of what follows, a kind, and the encoded thing.
struct Disk {
    file: File,
}

impl Disk {
    // ANCHOR: write
    /// Writes what a Ready wants persisted, in one go, and waits for the disk if it has to. Who
    /// gets an error here stops: what is on the disk then is not known.
    fn write(&mut self, ready: &Ready) -> Result<()> {
        let mut records = Vec::new();
        if let Some(snapshot) = &ready.snapshot {
            push_record(&mut records, SNAPSHOT, &wire::encode_snapshot(snapshot));
        }
        for entry in &ready.entries {
            push_record(&mut records, ENTRY, &wire::encode_entry(entry));
        }
        if let Some(hard_state) = &ready.hard_state {
            push_record(&mut records, HARD_STATE, &wire::encode_hard_state(hard_state));
        }
        self.file.write_all(&records)?;
        if ready.must_sync {
            self.file.sync_data()?;
        }
        Ok(())
    }
    // ANCHOR_END: write

    // ANCHOR: replay
    /// Opens the file and plays it into the storage. Entries replace what an earlier record has
    /// at their index, as they did when they were written.
    fn open(path: &Path, storage: &mut MemoryStorage) -> Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((kind, data)) = next_record(&mut rest) {
            let data = Bytes::copy_from_slice(data);
            match kind {
                ENTRY => {
                    storage.append(&Entries::from(vec![wire::decode_entry(data)?]))?;
                }
                HARD_STATE => storage.set_hard_state(wire::decode_hard_state(data)?),
                SNAPSHOT => storage.apply_snapshot(wire::decode_snapshot(data)?)?,
                _ => return Err("a record of an unknown kind".into()),
            }
        }
        // Half a record at the end was never acknowledged to anybody.
        let whole = bytes.len() - rest.len();
        file.set_len(whole as u64)?;
        // The file's own name must be durable too.
        path.parent().map_or(Ok(()), sync_folder)?;
        Ok(Self { file })
    }
    // ANCHOR_END: replay
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn push_record(records: &mut Vec<u8>, kind: u8, data: &[u8]) {
    let content = [&[kind], data].concat();
    records.extend((content.len() as u32).to_le_bytes());
    records.extend(checksum(&content).to_le_bytes());
    records.extend(content);
}

/// Cuts off the next record; `None` at the end, or where a record is not whole.
fn next_record<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (sum, after) = after.split_first_chunk::<8>()?;
    let (content, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let (kind, data) = content.split_first()?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return None;
    }
    *rest = after;
    Some((*kind, data))
}

/// FNV-1a: enough to tell a torn record from a whole one.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
