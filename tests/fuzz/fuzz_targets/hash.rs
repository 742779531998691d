//! Any bytes as a packed hash, with deadlines and without: walking ends inside it, and changing it does not panic,
//! whatever they are. And any changes against a map.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::hashes::{self, FieldTtl, HashMut, HashRef, Limits};
use ostraka_datatypes::raw::entry::{Entry, Type};

/// Made once: each leaks a little.
static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(1));

fn limits() -> Limits {
    Limits {
        entries: usize::MAX,
        text: usize::MAX,
        seed: *SEED,
    }
}

fn walk(bytes: &[u8], timed: bool) {
    let mut entry = Entry::packed(Type::Hash, b"key", bytes, None);
    if timed {
        entry.set_packed_ex(bytes);
    }
    let hash = HashRef::of(&entry, 0);
    let names: Vec<_> = hash.iter().map(|field| field.name.to_vec()).collect();
    assert!(names.len() <= bytes.len());
    for name in &names {
        // Not found if it is not in its shortest form.
        let _found = hash.get(name);
    }
    let _counted = (hash.len(), hash.live());
    let _times = (hashes::alarm(&entry), hashes::earliest(&entry));
    let mut hash = HashMut::of(&mut entry, 0, limits());
    for name in names.iter().take(8) {
        hash.set(name, b"12", FieldTtl::Keep);
        hash.set_deadline(name, Some(7));
        hash.remove(name);
    }
    hashes::set_alarm(&mut entry, Some(1));
    hashes::expire(&mut entry, u64::MAX, 8, |_| {});
}

fn edit(mut script: &[u8]) {
    let mut entry = Entry::packed(Type::Hash, b"key", &[], None);
    let mut model = BTreeMap::new();
    while let [op, name, len, rest @ ..] = script {
        let (text, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        script = rest;
        let name = &[*name; 20][..usize::from(*name % 20)];
        let mut hash = HashMut::of(&mut entry, 0, limits());
        match op % 4 {
            0 => {
                let is_new = model.insert(name.to_vec(), (text.to_vec(), None)).is_none();
                assert_eq!(hash.set(name, text, FieldTtl::Clear), is_new);
            }
            1 => assert_eq!(hash.remove(name), model.remove(name).is_some()),
            2 => {
                let deadline = 1 + u64::from(*len) * 1_000_000_007;
                model.insert(name.to_vec(), (text.to_vec(), Some(deadline)));
                hash.set(name, text, FieldTtl::At(deadline));
            }
            _ => {
                hash.set_deadline(name, None);
                model
                    .entry(name.to_vec())
                    .and_modify(|field| field.1 = None);
            }
        }
        let hash = HashRef::of(&entry, 0);
        assert_eq!(hash.len(), model.len());
        assert!(hash.iter().all(|field| {
            let expected = model.get(&field.name.to_vec());
            expected == Some(&(field.value.to_vec(), field.deadline))
        }));
    }
}

fuzz_target!(|input: &[u8]| {
    walk(input, false);
    walk(input, true);
    edit(input);
});
