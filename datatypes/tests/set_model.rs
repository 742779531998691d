//! Sets in every form against a std set: random edits that drive them from one form to the next, scans that go on while
//! members come and go, and fair dice.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Encoding, Entry, Type};
use ostraka_datatypes::set::chunks::Chunks;
use ostraka_datatypes::set::{Limits, Selection, Set, SetMut, SetRef};
use proptest::prelude::*;

static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(5));

fn limits(ints: usize, packed: usize, packed_value: usize) -> Limits {
    Limits {
        ints,
        packed,
        packed_value,
        seed: *SEED,
    }
}

/// Uniform numbers from a seed.
fn dice(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn empty() -> Entry {
    Entry::packed(Type::Set, b"key", &[], Some(7))
}

#[derive(Clone, Debug)]
enum Edit {
    Expect(u16),
    Add(Vec<u8>),
    Remove(Vec<u8>),
    /// Integers in a row.
    Fill(i64, u16),
    Sweep(i64, u16),
    Pop(u64),
    Copy,
}

/// Members from a small world, so that edits meet each other: integers of all widths, texts, texts like integers.
fn member() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        -20_i64..300,
        (0..40_i64).prop_map(|n| n * 70_001),
        (0..40_i64).prop_map(|n| (n - 20) << 57),
    ];
    prop_oneof![
        6 => number.prop_map(|number| number.to_string().into_bytes()),
        1 => (0..60_u32).prop_map(|n| format!("text:{n}").into_bytes()),
        1 => (0..20_u32).prop_map(|n| format!("0{n}").into_bytes()),
        1 => (0..30_usize).prop_map(|n| vec![b'x'; 3 * n]),
    ]
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        1 => any::<u16>().prop_map(|count| Edit::Expect(count % 100)),
        20 => member().prop_map(Edit::Add),
        10 => member().prop_map(Edit::Remove),
        2 => (-1000..9000_i64, 0..300_u16).prop_map(|(from, count)| Edit::Fill(from, count)),
        1 => (-1000..9000_i64, 0..900_u16).prop_map(|(from, count)| Edit::Sweep(from, count)),
        4 => any::<u64>().prop_map(Edit::Pop),
        1 => Just(Edit::Copy),
    ]
}

fn number(number: i64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn add(entry: &mut Entry, limits: Limits, model: &mut HashSet<Vec<u8>>, member: Vec<u8>) {
    let added = SetMut::of(entry, limits).add(Element::of(&member));
    assert_eq!(added, model.insert(member));
}

fn remove(entry: &mut Entry, limits: Limits, model: &mut HashSet<Vec<u8>>, member: &[u8]) {
    // A table's own members come as texts, whatever they look like.
    let removed = SetMut::of(entry, limits).remove(Element::Bytes(member));
    assert_eq!(removed, model.remove(member));
}

fn apply(entry: &mut Entry, limits: Limits, model: &mut HashSet<Vec<u8>>, edit: &Edit) {
    match edit {
        Edit::Expect(count) => {
            SetMut::of(entry, limits).expect(Element::Int(1), usize::from(*count));
        }
        Edit::Add(member) => add(entry, limits, model, member.clone()),
        Edit::Remove(member) => remove(entry, limits, model, member),
        Edit::Fill(from, count) => {
            (*from..from + i64::from(*count)).for_each(|n| add(entry, limits, model, number(n)));
        }
        Edit::Sweep(from, count) => {
            let range = *from..from + i64::from(*count);
            range.for_each(|n| remove(entry, limits, model, &number(n)));
        }
        Edit::Pop(seed) => match SetMut::of(entry, limits).pop(&mut dice(*seed)) {
            Some(member) => assert!(model.remove(&member)),
            None => assert!(model.is_empty()),
        },
        Edit::Copy => *entry = entry.duplicate(b"key"),
    }
}

fn check(entry: &Entry, model: &HashSet<Vec<u8>>) {
    let set = SetRef::of(entry);
    assert_eq!(set.len(), model.len());
    assert_eq!(set.is_empty(), entry.is_empty_collection());
    let members: Vec<Vec<u8>> = set.iter().map(Element::to_vec).collect();
    assert_eq!(members.len(), model.len());
    assert!(members.iter().all(|member| model.contains(member)));
    assert!(
        members
            .iter()
            .all(|member| set.contains(Element::of(member)))
    );
    assert!(!set.contains(Element::of(b"absent")) && !set.contains(Element::Int(i64::MIN + 7)));
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        cursor = set.scan(cursor, 10, |member| seen.push(member.to_vec()));
        assert!(cursor < 1 << 53);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), model.len(), "a set at rest is scanned once");
    assert!(seen.iter().all(|member| model.contains(member)));
    assert_eq!(entry.deadline(), Some(7));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_form_matches_the_model(
        edits in prop::collection::vec(edits(), 0..150),
        (ints, packed, value) in prop_oneof![
            Just((512, 128, 64)),
            Just((10, 20, 10)),
            Just((0, 0, 0)),
            Just((5, 1000, 1000)),
            Just((usize::MAX, 4, 64)),
        ],
    ) {
        let limits = limits(ints, packed, value);
        let (mut entry, mut model) = (empty(), HashSet::new());
        for (nth, edit) in edits.iter().enumerate() {
            apply(&mut entry, limits, &mut model, edit);
            if nth % 10 == 9 {
                check(&entry, &model);
            }
        }
        check(&entry, &model);
        for member in model.clone() {
            remove(&mut entry, limits, &mut model, &member);
        }
        check(&entry, &model);
    }

    #[test]
    fn chunks_match_an_ordered_set(
        values in prop::collection::vec((any::<i64>(), 0..64_u32, any::<bool>()), 0..4000),
    ) {
        let (mut chunks, mut model) = (Chunks::default(), BTreeSet::new());
        for (value, shift, adds) in values {
            let value = value >> shift;
            if adds {
                assert_eq!(chunks.insert(value), model.insert(value));
            } else {
                let victim = model.range(value..).next().copied().unwrap_or(value);
                assert_eq!(chunks.remove(victim), model.remove(&victim));
            }
        }
        assert_eq!(chunks.len(), model.len());
        assert!(chunks.iter().eq(model.iter().copied()));
        for probe in [i64::MIN, -1, 0, 1 << 40, i64::MAX] {
            assert!(chunks.iter_from(probe).eq(model.range(probe..).copied()));
        }
        if let Some(&third) = model.iter().nth(3) {
            assert_eq!(chunks.nth(3), Some(third));
        }
    }
}

fn encoding_after(limits: Limits, members: &[&str]) -> Encoding {
    let mut entry = empty();
    for member in members {
        SetMut::of(&mut entry, limits).add(Element::of(member.as_bytes()));
    }
    entry.encoding()
}

#[test]
fn forms_change_where_redis_changes_them() {
    let small = limits(3, 4, 5);
    let mut begun = empty();
    SetMut::of(&mut begun, small).expect(Element::Int(1), 1);
    for (nth, expected) in [Encoding::Intset; 3].into_iter().enumerate() {
        SetMut::of(&mut begun, small).add(Element::Int(nth as i64));
        assert_eq!(begun.encoding(), expected);
    }
    SetMut::of(&mut begun, small).add(Element::Int(9));
    assert_eq!(begun.encoding(), Encoding::Hashtable);

    for (members, expected) in [
        (&["a", "1", "b", "2"][..], Encoding::Listpack),
        (&["a", "1", "b", "2", "c"], Encoding::Hashtable),
        (&["a", "12345"], Encoding::Listpack),
        (&["a", "123456"], Encoding::Hashtable),
    ] {
        assert_eq!(encoding_after(small, members), expected, "{members:?}");
    }
    for (numbers, text, expected) in [
        (3, "a", Encoding::Listpack),
        (3, "abcdef", Encoding::Hashtable),
    ] {
        let mut entry = empty();
        let mut set = SetMut::of(&mut entry, small);
        set.begin_as_intset();
        (0..numbers).for_each(|number| assert!(set.add(Element::Int(number))));
        set.add(Element::of(text.as_bytes()));
        assert_eq!(entry.encoding(), expected, "{text}");
    }
}

/// Members that are there all the time are met although the set changes its form, grows and shrinks meanwhile.
#[test]
fn a_scan_meets_whatever_stays() {
    for seed in 0..40 {
        let mut random = dice(seed);
        let mut entry = empty();
        let limits = limits(512, 128, 64);
        let scale = [1, 1 << 12, 1 << 45][seed as usize % 3];
        let mut set = SetMut::of(&mut entry, limits);
        let stays: HashSet<i64> = (0..2000).map(|n| n * 3 * scale - 1500 * scale).collect();
        stays
            .iter()
            .for_each(|&n| assert!(set.add(Element::Int(n))));
        let (mut cursor, mut seen) = (0, HashSet::new());
        for round in 0.. {
            cursor = set.read().scan(cursor, 20, |member| {
                seen.extend(member.int());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..30 {
                let other = (random() % 3000) as i64 * 3 * scale + 1;
                if random().is_multiple_of(2) {
                    set.add(Element::Int(other));
                } else {
                    set.remove(Element::Int(other));
                }
            }
            if round == 20 {
                set.add(Element::of(b"a text joins"));
            }
        }
        assert!(stays.is_subset(&seen), "seed {seed}");
    }
}

/// Pearson's statistic of `draws` draws over as many kinds as there are members; its mean is one less than these.
fn chi_square(set: SetRef<'_>, draws: usize, mut random: impl FnMut() -> u64) -> f64 {
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for _ in 0..draws {
        let member = set.random(&mut random).expect("the set is not empty");
        *counts.entry(member.to_vec()).or_default() += 1;
    }
    let expected = draws as f64 / set.len() as f64;
    let missing = (set.len() - counts.len()) as f64 * expected;
    let square = |count: usize| (count as f64 - expected).powi(2) / expected;
    missing + counts.into_values().map(square).sum::<f64>()
}

#[test]
fn all_members_are_equally_likely_in_every_form() {
    let form = |ints: i64, texts: i64, stride: i64| {
        let mut entry = empty();
        let mut set = SetMut::of(&mut entry, limits(512, 128, 64));
        set.begin_as_intset();
        (0..ints).for_each(|n| assert!(set.add(Element::Int(n * stride))));
        (0..texts).for_each(|n| assert!(set.add(Element::of(format!("t{n}").as_bytes()))));
        // Holes, so that chunks and buckets are filled unevenly.
        (0..ints / 3).for_each(|n| assert!(set.remove(Element::Int(n * 2 * stride))));
        entry
    };
    for (ints, texts, stride) in [(300, 0, 1), (60, 40, 1), (9000, 0, 100_003), (400, 300, 1)] {
        let entry = form(ints, texts, stride);
        let set = SetRef::of(&entry);
        let freedom = (set.len() - 1) as f64;
        let chi_square = chi_square(set, set.len() * 50, dice(ints as u64));
        // Six standard deviations of the normal approximation.
        let slack = 6.0 * (2.0 * freedom).sqrt();
        assert!(
            (chi_square - freedom).abs() < slack,
            "{chi_square} of {freedom}, {ints} {texts}"
        );
    }
}

#[test]
fn a_selection_has_the_size_asked_for_and_every_combination_is_equally_likely() {
    let mut random = dice(3);
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let draws = 35_000;
    for _ in 0..draws {
        let mut selection = Selection::new(3, 7);
        let combination = (0..7).fold(0, |bits, nth| {
            bits | u32::from(selection.takes(random())) << nth
        });
        assert_eq!(combination.count_ones(), 3);
        *counts.entry(combination).or_default() += 1;
    }
    // 35 combinations, 34 degrees of freedom; above 76 once in 50,000 seeds.
    let expected = draws as f64 / 35.0;
    let square = |&count: &usize| (count as f64 - expected).powi(2) / expected;
    let chi_square: f64 = counts.values().map(square).sum();
    assert!(counts.len() == 35 && chi_square < 76.0, "{chi_square}");
}

/// In hash order all of them fall into the first segment, which then splits to no avail.
#[test]
fn a_set_is_filled_from_another_one_in_no_time() {
    let (mut one, mut other) = (Set::new(*SEED), Set::new(SEED.vary(1)));
    (0..100_000).for_each(|n| assert!(one.add(Element::of(format!("m{n}").as_bytes()))));
    let mut cursor = 0;
    loop {
        cursor = one.scan(cursor, 100, |member| assert!(other.add(member)));
        if cursor == 0 {
            break;
        }
    }
    assert!(other.memory_usage() < one.memory_usage() * 5 / 4);
}

#[test]
fn a_million_integers_take_few_bytes_and_short_texts_little_more_than_their_allocation() {
    let count = 200_000;
    let (mut ints, mut texts) = (Set::new(*SEED), Set::new(*SEED));
    let mut random = dice(1);
    for nth in 0..count {
        ints.add(Element::Int(random() as i64));
        texts.add(Element::of(format!("member{nth:04}").as_bytes()));
    }
    assert!(ints.memory_usage() <= 14 * count, "{}", ints.memory_usage());
    assert!(
        texts.memory_usage() <= 34 * count,
        "{}",
        texts.memory_usage()
    );
}
