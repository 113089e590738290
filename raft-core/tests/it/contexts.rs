//! Contexts: a few bytes in place, or many that are shared.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::{Bytes, BytesMut};
use raftcore::Context;

/// Bytes of this length that tell where they belong.
fn of_len(len: usize) -> Vec<u8> {
    (1..=len as u8).collect()
}

/// Whether these bytes lie inside the context itself.
fn is_in_place(context: &Context) -> bool {
    let start = std::ptr::from_ref(context).addr();
    (start..start + size_of::<Context>()).contains(&context.as_ptr().addr())
}

#[test]
fn a_context_is_what_it_was_made_of_whatever_that_was() {
    for len in 0..=40 {
        let expected = of_len(len);
        let made = [
            Context::from(&expected[..]),
            Context::from(expected.clone()),
            Context::from(Bytes::from(expected.clone())),
            Context::from(BytesMut::from(&expected[..])),
            Context::from(expected.clone().into_boxed_slice()),
            Context::from(std::str::from_utf8(&expected).unwrap()),
            Context::from(String::from_utf8(expected.clone()).unwrap()),
        ];
        for context in made {
            assert_eq!(context, expected);
            assert_eq!(context.clone(), context);
            assert_eq!(is_in_place(&context), len <= Context::IN_PLACE_MAX, "{len}");
            assert_eq!(Bytes::from(context), expected);
        }
    }
    assert_eq!(Context::from(*b"array"), b"array");
    assert_eq!(Context::from(b"borrowed"), "borrowed");
    assert_eq!(Context::new(), b"");
    assert_eq!(Context::default(), Context::new());
}

#[test]
fn a_long_one_is_shared() {
    let bytes = Bytes::from(vec![7; 100]);
    let context = Context::from(bytes.clone());
    assert_eq!(context.as_ptr(), bytes.as_ptr());
    assert_eq!(context.clone().as_ptr(), bytes.as_ptr());
    assert_eq!(Bytes::from(context).as_ptr(), bytes.as_ptr());
}

#[test]
fn contexts_differ_and_are_ordered_as_their_bytes() {
    let mut contexts = [&[2][..], &[], &[1, 2], &[1], &[1, 0]].map(Context::from);
    contexts.sort();
    assert_eq!(contexts, [&[][..], &[1], &[1, 0], &[1, 2], &[2]]);
    assert_ne!(Context::from([1]), [1, 0], "what follows its end is no part of it");
}

fn hash_of(hashed: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    hashed.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn a_map_with_contexts_for_keys_can_be_asked_for_bytes() {
    let long = of_len(30);
    let map = BTreeMap::from([(Context::from("short"), 1), (Context::from(&long[..]), 2)]);
    assert_eq!((map.get(&b"short"[..]), map.get(&long[..])), (Some(&1), Some(&2)));
    for (context, _) in map {
        assert_eq!(hash_of(&context), hash_of(&*context));
    }
}

#[test]
fn a_context_shows_its_bytes() {
    assert_eq!(format!("{:?}", Context::from(b"a\0\xff")), r#"b"a\x00\xff""#);
}

#[test]
fn it_takes_no_more_room_than_bytes() {
    assert_eq!(size_of::<Context>(), size_of::<Bytes>());
    assert_eq!(size_of::<raftcore::Message>(), 72);
}
