//! What one thread can see; `tests/threads.rs` has more of them.

use std::cell::Cell;
use std::rc::Rc;

use super::{STOCK, Shared, Writer, give_back};

/// Counts how often values of its kind were dropped; none is dropped twice.
#[derive(Debug)]
struct Counted<'a> {
    drops: &'a Cell<usize>,
    live: bool,
}

impl<'a> Counted<'a> {
    const fn new(drops: &'a Cell<usize>) -> Self {
        Self { drops, live: true }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        assert!(std::mem::replace(&mut self.live, false), "dropped twice");
        self.drops.set(self.drops.get() + 1);
    }
}

fn filled(values: &[u64], capacity: u32) -> Writer<(), u64> {
    let mut writer = Writer::new((), capacity);
    values.iter().for_each(|value| writer.push(*value).unwrap());
    writer
}

#[test]
fn readers_see_what_was_shared() {
    let mut writer = filled(&[1, 2], 4);
    assert_eq!((writer[..].to_vec(), writer.shared(), writer.is_full()), (vec![1, 2], 0, false));
    let first = writer.share();
    assert_eq!(first[..], [1, 2]);
    assert_eq!((writer.push(3), writer.push(4), writer.push(5)), (Ok(()), Ok(()), Err(5)));
    assert_eq!(first[..], [1, 2]);
    assert_eq!((writer.shared(), writer.is_full()), (2, true));
    assert_eq!(format!("{first:?}, {writer:?}"), "[1, 2], Writer { len: 4, capacity: 4 }");
    let before = first.clone();
    let (start, end) = (before[..].as_ptr(), before.len());
    let second = writer.share();
    assert_eq!((first[..].as_ptr(), end), (start, 2), "values stay where they are");
    assert_eq!((&first[..], &second[..]), (&[1, 2, 3, 4][..], &[1, 2, 3, 4][..]));
    assert!(first.is_same_block(&second));
    assert!(!first.is_same_block(&filled(&[1], 1).share()));
}

#[test]
fn a_slice_stays_as_it_is_while_more_is_written() {
    let mut writer = filled(&[1], 2);
    let reader = writer.share();
    let slice: &[u64] = &reader;
    writer.push(2).unwrap();
    drop(writer.share());
    assert_eq!(slice, [1]);
    assert_eq!(reader[..], [1, 2]);
}

#[test]
fn every_value_is_dropped_once_whoever_is_last() {
    for shared in 0..=3 {
        for last_is_reader in [false, true] {
            let (drops, header) = (Cell::new(0), Cell::new(0));
            let mut writer = Writer::new(Counted::new(&header), 4);
            let mut readers = Vec::new();
            for at in 0..3 {
                writer.push(Counted::new(&drops)).unwrap();
                if at < shared {
                    readers.push(writer.share());
                }
            }
            readers.extend(readers.first().cloned());
            if last_is_reader {
                drop(writer);
                readers.pop();
            } else {
                readers.clear();
                drop(writer);
            }
            let still = usize::from(last_is_reader && shared > 0);
            assert_eq!((drops.get(), header.get()), (3 * (1 - still), 1 - still));
            drop(readers);
            assert_eq!((drops.get(), header.get()), (3, 1));
        }
    }
}

#[test]
fn what_is_not_shared_moves_on() {
    let drops = Cell::new(0);
    let mut writer = Writer::new("old", 3);
    writer.push(Counted::new(&drops)).unwrap();
    let old = writer.share();
    writer.push(Counted::new(&drops)).unwrap();
    writer.push(Counted::new(&drops)).unwrap();
    writer.move_on("new", 3);
    writer.push(Counted::new(&drops)).unwrap();
    assert_eq!((writer.len(), writer.shared(), drops.get()), (3, 0, 0));
    let new = writer.share();
    assert_eq!((old.len(), new.len()), (1, 3));
    assert_eq!((*old.header(), *new.header()), ("old", "new"));
    drop(old);
    assert_eq!(drops.get(), 1);
    drop((writer, new));
    assert_eq!(drops.get(), 4);
}

#[test]
#[should_panic(expected = "what moves on must fit")]
fn what_moves_on_must_fit() {
    filled(&[1, 2], 2).move_on((), 1);
}

#[test]
fn a_writer_ends_as_a_reader() {
    let mut alone = filled(&[1], 2).into_shared();
    assert_eq!(alone[..], [1]);
    assert_eq!(alone.header_mut(), Some(&mut ()));
    let mut writer = filled(&[1], 2);
    let mut reader = writer.share();
    writer.push(2).unwrap();
    let other = writer.into_shared();
    assert_eq!(reader[..], [1, 2]);
    assert_eq!(reader.header_mut(), None);
    drop(other);
    assert_eq!(reader.header_mut(), Some(&mut ()));
}

#[test]
fn the_header_changes_only_where_nobody_else_looks() {
    let mut writer = Writer::new(vec![1], 1);
    writer.push(()).unwrap();
    let mut reader = writer.share();
    assert_eq!(reader.header_mut(), None, "the writer could make another reader");
    drop(writer);
    reader.header_mut().unwrap().push(2);
    let other = reader.clone();
    assert_eq!((reader.header_mut(), other.header()), (None, &vec![1, 2]));
}

#[test]
fn sizes_and_alignments_of_all_kinds() {
    #[repr(align(128))]
    #[derive(Debug, PartialEq)]
    struct Wide(u8);
    let mut wide = Writer::new(1u8, 2);
    wide.push(Wide(1)).unwrap();
    wide.push(Wide(2)).unwrap();
    assert_eq!(wide.share()[..], [Wide(1), Wide(2)]);
    let mut nothing = Writer::new((), 2);
    assert_eq!((nothing.push(()), nothing.push(()), nothing.push(())), (Ok(()), Ok(()), Err(())));
    assert_eq!(nothing.share().len(), 2);
    assert_eq!(filled(&[], 0).share()[..], []);
    let word = size_of::<usize>();
    assert_eq!(size_of::<Option<Shared<String, String>>>(), word);
}

#[test]
fn values_need_not_be_sent_where_nothing_is() {
    let mut writer = Writer::new((), 1);
    writer.push(Rc::new(1)).unwrap();
    let rc = Rc::clone(&writer.share()[0]);
    drop(writer);
    assert_eq!(Rc::strong_count(&rc), 1);
}

/// Leaves a writer so few references to give away without counting.
fn leave_in_stock<H, T>(writer: &mut Writer<H, T>, few: usize) {
    // SAFETY: these are the writer's, and it keeps some.
    unsafe { give_back(writer.block, STOCK - few) };
    writer.stock = few;
}

/// A value that is known by its number, and counted while it lives.
type Live = (u64, Rc<()>);

/// What the handles of a story should see: the values of each block, shared ones first.
#[derive(Default)]
struct Model {
    blocks: Vec<Vec<u64>>,
    /// How many of the last block's are shared.
    shared: usize,
}

/// A writer or none, and readers of any block, in any order: each sees what the model says, and
/// what nobody has a handle of is gone.
#[test]
fn any_story_of_handles_ends_with_nothing_left() {
    for seed in 1..=300u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pick = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 24) % bound
        };
        let life = Rc::new(());
        let mut model = Model { blocks: vec![Vec::new()], shared: 0 };
        let mut first = Writer::new(Rc::clone(&life), 1 + pick(4) as u32);
        if seed.is_multiple_of(2) {
            leave_in_stock(&mut first, 1 + pick(3) as usize);
        }
        let mut writer = Some(first);
        let mut readers: Vec<(usize, Shared<Rc<()>, Live>)> = Vec::new();
        for number in 0..60 {
            let current = model.blocks.len() - 1;
            let place = pick(readers.len().max(1) as u64) as usize;
            match (pick(12), writer.as_mut()) {
                (0..4, Some(writer)) => {
                    let was_full = writer.is_full();
                    let pushed = writer.push((number, Rc::clone(&life)));
                    assert_eq!(pushed.is_err(), was_full);
                    model.blocks[current].extend((!was_full).then_some(number));
                }
                (4 | 5, Some(writer)) => {
                    readers.push((current, writer.share()));
                    model.shared = model.blocks[current].len();
                }
                (6, Some(writer)) => {
                    let moved = model.blocks[current].split_off(model.shared);
                    writer.move_on(Rc::clone(&life), (moved.len() as u64 + pick(4)) as u32);
                    model.blocks.push(moved);
                    model.shared = 0;
                }
                (7, Some(_)) if pick(6) == 0 => {
                    readers.extend(writer.take().map(|writer| (current, writer.into_shared())));
                    model.shared = model.blocks[current].len();
                }
                (8, Some(_)) if pick(6) == 0 => {
                    writer = None;
                    model.shared = model.blocks[current].len();
                }
                (9, _) => readers.extend(readers.get(place).cloned()),
                (10 | 11, _) if !readers.is_empty() => drop(readers.swap_remove(place)),
                _ => {}
            }
            check(&model, writer.as_ref(), &mut readers, &life);
        }
        drop((writer, readers));
        assert_eq!(Rc::strong_count(&life), 1, "seed {seed}");
    }
}

fn check(
    model: &Model,
    writer: Option<&Writer<Rc<()>, Live>>,
    readers: &mut [(usize, Shared<Rc<()>, Live>)],
    life: &Rc<()>,
) {
    let current = model.blocks.len() - 1;
    let numbers = |values: &[Live]| values.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    if let Some(writer) = writer {
        assert_eq!(numbers(writer), model.blocks[current]);
        assert_eq!(writer.shared() as usize, model.shared);
    }
    let mut alive = 0;
    for (at, block) in model.blocks.iter().enumerate() {
        let is_written = at == current && writer.is_some();
        let shared = if at == current { &block[..model.shared] } else { block };
        let handles = readers.iter().filter(|(of, _)| *of == at).count();
        for (_, reader) in readers.iter_mut().filter(|(of, _)| *of == at) {
            assert_eq!(numbers(reader), shared);
            assert_eq!(reader.header_mut().is_some(), handles == 1 && !is_written);
        }
        if handles > 0 || is_written {
            // Its header, and what is in it.
            alive += 1 + block.len();
        }
    }
    assert_eq!(Rc::strong_count(life), 1 + alive);
}
