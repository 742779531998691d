//! Lists in both forms, compressed or not, against a `VecDeque`.

use std::collections::VecDeque;
use std::sync::Arc;

use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::list::{End, Limits, ListMut, ListRef};
use ostraka_datatypes::raw::entry::{Encoding, Entry, Type};
use proptest::prelude::*;
use proptest::sample::Index;

type Model = VecDeque<Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<Vec<u8>>),
    Pop(End),
    Set(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, End, usize),
    Trim(Index, Index),
    Split(End, Index),
    /// Shares the list from here on: what the copy holds must not change.
    Copy,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Left), Just(End::Right)]
}

/// Integers, short texts that often are the same, and texts around and above the limits of a chunk.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-3..200_i64).prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        6 => prop::sample::select(vec!["", "a", "b", "1.5", "-0", "some words"]).prop_map(|s| s.into()),
        2 => (0..300_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (3000..9000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (end(), prop::collection::vec(text(), 1..30)).prop_map(|(end, texts)| Step::Push(end, texts)),
        4 => end().prop_map(Step::Pop),
        4 => (any::<Index>(), text()).prop_map(|(at, text)| Step::Set(at, text)),
        4 => (any::<Index>(), text()).prop_map(|(at, text)| Step::Insert(at, text)),
        3 => (any::<Index>(), end(), prop_oneof![1..4_usize, Just(usize::MAX)])
            .prop_map(|(at, end, most)| Step::Remove(at, end, most)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Step::Trim(one, other)),
        1 => (end(), any::<Index>()).prop_map(|(end, at)| Step::Split(end, at)),
        1 => Just(Step::Copy),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let sizes = prop::sample::select(vec![-5, -2, -1, 0, 1, 3, 16, 128]);
    (sizes, 0..3_u32).prop_map(|(size, depth)| Limits::new(size, depth))
}

fn apply(step: Step, list: &mut ListMut<'_>, model: &mut Model) {
    match step {
        Step::Push(end, texts) => {
            list.push(end, texts.iter().map(Vec::as_slice));
            for text in texts {
                match end {
                    End::Left => model.push_front(text),
                    End::Right => model.push_back(text),
                }
            }
        }
        Step::Pop(end) => {
            let popped = match end {
                End::Left => model.pop_front(),
                End::Right => model.pop_back(),
            };
            assert_eq!(list.pop(end), popped);
        }
        Step::Set(at, text) if !model.is_empty() => {
            let at = at.index(model.len());
            list.set(at, &text);
            model[at] = text;
        }
        Step::Insert(at, text) => {
            let at = at.index(model.len() + 1);
            list.insert(at, &text);
            model.insert(at, text);
        }
        Step::Remove(at, end, most) if !model.is_empty() => {
            let needle = model[at.index(model.len())].clone();
            let found: Vec<usize> = (0..model.len()).filter(|&at| model[at] == needle).collect();
            let gone: Vec<usize> = match end {
                End::Left => found.into_iter().take(most).collect(),
                End::Right => found.into_iter().rev().take(most).collect(),
            };
            assert_eq!(list.remove(&needle, end, most), gone.len());
            let mut at = 0..;
            model.retain(|_| !gone.contains(&at.next().expect("endless")));
        }
        Step::Trim(one, other) if !model.is_empty() => {
            // Mostly a little off each end.
            let len = model.len();
            let range = one.index(len.min(5))..len - other.index(len.min(9));
            if range.start <= range.end {
                let (left, right) = (range.start, len - range.end);
                list.cut(End::Right, right);
                list.cut(End::Left, left);
                *model = model.range(range).cloned().collect();
            }
        }
        Step::Split(end, at) if !model.is_empty() => {
            let count = at.index(model.len() + 1);
            let Some(off) = list.split(end, count) else {
                return;
            };
            let kept = match end {
                End::Left => model.split_off(count),
                End::Right => {
                    let behind = model.split_off(model.len() - count);
                    std::mem::replace(model, behind)
                }
            };
            let gone = std::mem::replace(model, kept);
            check(ListRef::Long(&off), &gone, 0);
        }
        _ => {}
    }
}

fn content(list: ListRef<'_>) -> Model {
    let mut out = Model::new();
    list.each(0..list.len(), |element| out.push_back(element.to_vec()));
    out
}

fn check(list: ListRef<'_>, model: &Model, at: usize) {
    assert_eq!(list.len(), model.len());
    assert!(content(list) == *model, "left to right");
    if !model.is_empty() {
        let (at, mut right, mut left) = (at % model.len(), Model::new(), Model::new());
        list.walk(at, End::Right, |element| {
            right.push_back(element.to_vec());
            right.len() < 40
        });
        list.walk(at, End::Left, |element| {
            left.push_front(element.to_vec());
            true
        });
        assert!(right.iter().eq(model.range(at..).take(40)), "to the right");
        assert!(left.iter().eq(model.range(..=at)), "to the left");
        assert_eq!(list.get(at).as_ref(), model.get(at));
        let first = model.iter().position(|text| *text == model[at]);
        assert_eq!(list.find(&model[at]), first);
    }
    assert_eq!(list.get(model.len()), None);
    assert_eq!(list.find(b"nowhere"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_list_does_what_a_deque_does(
        limits in limits(),
        steps in prop::collection::vec((step(), any::<usize>()), 1..60),
    ) {
        let mut entry = Entry::packed(Type::List, b"key", &[], Some(7));
        let mut model = Model::new();
        let mut copies: Vec<(Arc<Large>, Model)> = Vec::new();
        for (step, at) in steps {
            if let Step::Copy = step {
                copies.extend(entry.share().map(|copy| (copy, model.clone())));
                entry.unshare();
            }
            apply(step, &mut ListMut::of(&mut entry, limits), &mut model);
            check(ListRef::of(&entry), &model, at);
            prop_assert_eq!(entry.is_empty_collection(), model.is_empty());
        }
        for (copy, model) in copies {
            prop_assert!(content(ListRef::of_large(&copy.body)) == model, "a copy has changed");
        }
        prop_assert_eq!((entry.key(), entry.deadline()), (&b"key"[..], Some(7)));
    }
}

fn filled(limits: Limits, texts: impl Iterator<Item = String>) -> Entry {
    let mut entry = Entry::packed(Type::List, b"key", &[], None);
    for text in texts {
        ListMut::of(&mut entry, limits).push(End::Right, [text.as_bytes()].into_iter());
    }
    entry
}

#[test]
fn the_form_follows_the_length_and_does_not_flutter() {
    let limits = Limits::new(128, 0);
    let mut entry = filled(limits, (0..128).map(|n| n.to_string()));
    assert_eq!(entry.encoding(), Encoding::Listpack);
    ListMut::of(&mut entry, limits).push(End::Left, [&b"more"[..]].into_iter());
    assert_eq!(entry.encoding(), Encoding::Quicklist);
    for left in (65..129).rev() {
        ListMut::of(&mut entry, limits).pop(End::Left);
        assert_eq!((entry.encoding(), left), (Encoding::Quicklist, left));
    }
    ListMut::of(&mut entry, limits).pop(End::Left);
    assert_eq!(entry.encoding(), Encoding::Listpack);
}

/// Over a KiB a block lies outside its entry, whatever it is called; it comes back at half of that.
#[test]
fn a_listpack_leaves_its_entry_and_comes_back() {
    let limits = Limits::new(-2, 0);
    let mut entry = filled(limits, (0..20).map(|n| format!("{n:060}")));
    assert_eq!(
        (entry.encoding(), entry.is_large()),
        (Encoding::Listpack, true)
    );
    for text in 20..127 {
        let text = format!("{text:060}");
        ListMut::of(&mut entry, limits).push(End::Left, [text.as_bytes()].into_iter());
        assert_eq!(entry.encoding(), Encoding::Listpack, "{text}");
    }
    for text in [10, 500] {
        let text = "x".repeat(text);
        ListMut::of(&mut entry, limits).push(End::Right, [text.as_bytes()].into_iter());
    }
    assert_eq!(entry.encoding(), Encoding::Quicklist, "over 8 KiB");
    ListMut::of(&mut entry, limits).cut(End::Right, 70);
    assert_eq!(
        (entry.encoding(), entry.is_large()),
        (Encoding::Listpack, true)
    );
    ListMut::of(&mut entry, limits).cut(End::Left, 52);
    assert_eq!(
        (entry.encoding(), entry.is_large()),
        (Encoding::Listpack, false)
    );
}

#[test]
fn ten_bytes_take_little_more_than_twelve() {
    let entry = filled(Limits::new(-2, 0), (0..100_000).map(|n| format!("v{n:09}")));
    let bytes = entry.memory_usage() as f64 / 100_000.0;
    assert!(bytes < 12.4, "{bytes}");
}

#[test]
fn inner_chunks_are_compressed() {
    let text = || "a job like the one before it, ".repeat(20);
    let plain = filled(Limits::new(-2, 0), (0..2000).map(|_| text()));
    let compressed = filled(Limits::new(-2, 1), (0..2000).map(|_| text()));
    assert!(compressed.memory_usage() < plain.memory_usage() / 10);
    let Some(large) = compressed.share() else {
        panic!("it is large")
    };
    assert!(matches!(large.body, Collection::List(_)));
    let mut read = 0;
    ListRef::of(&compressed).each(0..2000, |element| {
        read += usize::from(element.is(text().as_bytes()))
    });
    assert_eq!(read, 2000);
}
