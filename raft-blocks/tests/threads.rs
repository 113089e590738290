//! Readers in other threads, ordered by nothing but what the handles themselves promise. A program
//! and not a list of tests, so that it runs under the thread sanitizer, which does not know the
//! locks of Rust's own harness, nor `Arc`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{spawn, yield_now};

use raftcore_blocks::{Shared, Writer};

const ROUNDS: usize = if cfg!(miri) { 5 } else { 200 };

fn main() {
    (0..ROUNDS).for_each(|_| readers_see_each_value_that_they_count());
    (0..ROUNDS).for_each(|_| the_last_thread_frees());
    println!("ok      threads share blocks: {ROUNDS} rounds");
}

fn readers_see_each_value_that_they_count() {
    const TOTAL: u64 = 100;
    let mut writer = Writer::new((), TOTAL as u32);
    let threads = [writer.share(), writer.share()]
        .map(|reader| spawn(move || wait_for(&reader, TOTAL as usize)));
    for value in 0..TOTAL {
        assert!(writer.push(Box::new(value)).is_ok());
        drop(writer.share());
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

fn wait_for(reader: &Shared<(), Box<u64>>, total: usize) {
    let mut seen = 0;
    while seen < total {
        let values = &reader[seen..];
        assert!(values.iter().zip(seen as u64..).all(|(value, expected)| **value == expected));
        seen += values.len();
        yield_now();
    }
}

static FREED: AtomicUsize = AtomicUsize::new(0);

struct Freed(Box<u8>);

impl Drop for Freed {
    fn drop(&mut self) {
        *self.0 += 1; // a write, which everybody's reads must come before
        FREED.fetch_add(1, Ordering::Relaxed);
    }
}

fn the_last_thread_frees() {
    FREED.store(0, Ordering::Relaxed);
    let mut writer = Writer::new(Freed(Box::new(0)), 2);
    assert!(writer.push(Freed(Box::new(1))).is_ok());
    let readers = [writer.share(), writer.share()].map(|reader| {
        spawn(move || {
            let other = reader.clone();
            assert_eq!((*reader.header().0, *other[0].0), (0, 1));
        })
    });
    let writer = spawn(move || assert!(writer.push(Freed(Box::new(2))).is_ok()));
    readers.into_iter().chain([writer]).for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(FREED.load(Ordering::Relaxed), 3);
}
