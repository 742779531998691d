//! Sorted sets in both forms against a map and a sorted vector. valgrind runs this binary, too.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Encoding, Entry, Held, Type};
use ostraka_datatypes::zset::{self, LexRange, Limits, ScoreRange, Zset, ZsetMut, ZsetRef};
use proptest::collection::vec;
use proptest::prelude::*;

/// Made once: each leaks a little.
static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(7));

#[derive(Clone, Debug)]
enum Op {
    Insert(u32, f64),
    /// As many members with scores that ascend.
    Append(u32, usize),
    Remove(u32),
    RemoveRange(usize, usize),
    Rank(u32),
    Scores(f64, f64, bool),
    Lex(u32, u32),
    Clone,
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-20_i32..20).prop_map(f64::from),
        2 => prop::sample::select(vec![
            0.0, -0.0, 0.1, -1.5, f64::INFINITY, f64::NEG_INFINITY, 9007199254740992.0, 1e300, 5e-324
        ]),
        2 => any::<f64>().prop_filter("a score is a number", |score| !score.is_nan()),
    ]
}

fn op(members: u32) -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (0..members, score()).prop_map(|(member, score)| Op::Insert(member, score)),
        1 => (0..members, 0_usize..200).prop_map(|(from, count)| Op::Append(from, count)),
        8 => (0..members).prop_map(Op::Remove),
        2 => (any::<usize>(), 0_usize..300).prop_map(|(at, count)| Op::RemoveRange(at, count)),
        4 => (0..members).prop_map(Op::Rank),
        2 => (score(), score(), any::<bool>()).prop_map(|(a, b, open)| Op::Scores(a, b, open)),
        2 => (0..members, 0..members).prop_map(|(a, b)| Op::Lex(a, b)),
        1 => Just(Op::Clone),
    ]
}

/// Short numbers, short texts, and long ones.
fn member(number: u32) -> Vec<u8> {
    match number % 5 {
        0 => number.to_string().into_bytes(),
        1 => format!("-{number}").into_bytes(),
        2 => format!("{number:0>20}").into_bytes(),
        3 => vec![b'a' + (number % 26) as u8; 1 + number as usize % 60],
        _ => [
            vec![b'x'; 250 + number as usize % 10],
            number.to_le_bytes().to_vec(),
        ]
        .concat(),
    }
}

/// Members by their bytes, and in order.
#[derive(Clone, Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn sorted(&self) -> Vec<(Vec<u8>, f64)> {
        let pairs = self
            .0
            .iter()
            .map(|(member, score)| (member.clone(), *score));
        let mut sorted: Vec<_> = pairs.collect();
        sorted.sort_by(|one, other| {
            let by_score = one.1.partial_cmp(&other.1).unwrap();
            by_score.then_with(|| one.0.cmp(&other.0))
        });
        sorted
    }
}

fn limits(entries: usize) -> Limits {
    Limits {
        entries,
        text: if entries == usize::MAX { entries } else { 64 },
        seed: *SEED,
    }
}

struct Checked {
    entry: Entry,
    model: Model,
    limits: Limits,
}

impl Checked {
    fn zset(&self) -> ZsetRef<'_> {
        ZsetRef::of(&self.entry)
    }

    fn edit(&mut self) -> ZsetMut<'_> {
        ZsetMut::of(&mut self.entry, self.limits)
    }

    /// A packed block holds -0 as 0, as Redis' does; it stays 0 when the set grows out of it.
    fn forget_signs_of_zero(&mut self) {
        if matches!(self.zset(), ZsetRef::Packed(_)) {
            self.model.0.values_mut().for_each(|score| *score += 0.0);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(number, score) => self.insert(number, score),
            Op::Append(from, count) => {
                for step in 0..count {
                    self.insert(from + step as u32, 1000.0 + step as f64);
                }
            }
            Op::Remove(number) => {
                let removed = self.edit().remove(&member(number));
                assert_eq!(removed, self.model.0.remove(&member(number)));
            }
            Op::RemoveRange(at, count) => {
                let len = self.zset().len();
                let start = at % (len + 1);
                let ranks = start..(start + count).min(len);
                self.edit().remove_range(ranks.clone());
                for (member, _) in &self.model.sorted()[ranks] {
                    self.model.0.remove(member);
                }
            }
            Op::Rank(number) => {
                let sorted = self.model.sorted();
                let rank = sorted.iter().position(|pair| pair.0 == member(number));
                let ranked = self.zset().rank(&member(number));
                assert_eq!(ranked, rank.map(|rank| (rank, sorted[rank].1)));
                assert_eq!(
                    self.zset().score(&member(number)),
                    rank.map(|rank| sorted[rank].1)
                );
            }
            Op::Scores(min, max, open) => self.check_scores(min, max, open),
            Op::Lex(min, max) => self.check_lex(min, max),
            Op::Clone => {
                let copy = self.entry.duplicate(b"copy");
                assert_eq!(pairs(ZsetRef::of(&copy), None, false), self.model.sorted());
                verify(&copy);
            }
        }
        assert_eq!(self.zset().len(), self.model.0.len());
        assert_eq!(self.entry.is_empty_collection(), self.model.0.is_empty());
    }

    fn insert(&mut self, number: u32, score: f64) {
        let old = self.edit().insert(&member(number), score);
        assert_eq!(old, self.model.0.insert(member(number), score));
    }

    fn check_scores(&self, min: f64, max: f64, open: bool) {
        let text = |score: f64| format!("{}{score:?}", if open { "(" } else { "" });
        let range = ScoreRange::parse(text(min).as_bytes(), text(max).as_bytes()).unwrap();
        let within = |score: f64| {
            if open {
                min < score && score < max
            } else {
                min <= score && score <= max
            }
        };
        let ranks = range.ranks(self.zset());
        let wanted = self
            .model
            .sorted()
            .into_iter()
            .filter(|pair| within(pair.1));
        assert_eq!(
            pairs(self.zset(), Some(ranks), false),
            wanted.collect::<Vec<_>>()
        );
    }

    /// Ranges of members mean something only where scores are equal: the model's members, all with one score.
    fn check_lex(&self, min: u32, max: u32) {
        let (min, max) = (member(min), member(max));
        let mut equal = Entry::packed(Type::Zset, b"equal", &[], None);
        for member in self.model.0.keys() {
            ZsetMut::of(&mut equal, self.limits).insert(member, 5.0);
        }
        let texts = (
            [b"[".as_slice(), &min].concat(),
            [b"(".as_slice(), &max].concat(),
        );
        let range = LexRange::parse(&texts.0, &texts.1).unwrap();
        let found = pairs(
            ZsetRef::of(&equal),
            Some(range.ranks(ZsetRef::of(&equal))),
            false,
        );
        let wanted = self
            .model
            .0
            .keys()
            .filter(|member| min <= **member && **member < max);
        let found = found.iter().map(|pair| &pair.0);
        assert!(found.eq(wanted));
    }

    fn verify(&self) {
        let sorted = self.model.sorted();
        assert_eq!(pairs(self.zset(), None, false), sorted);
        let is_large = matches!(self.zset(), ZsetRef::Large(_));
        let bits = |pairs: &[(Vec<u8>, f64)]| -> Vec<u64> {
            let exact = |score: f64| if is_large { score } else { score + 0.0 };
            pairs.iter().map(|pair| exact(pair.1).to_bits()).collect()
        };
        assert_eq!(
            bits(&pairs(self.zset(), None, false)),
            bits(&sorted),
            "scores are exact"
        );
        let mut backwards = pairs(self.zset(), None, true);
        backwards.reverse();
        assert_eq!(backwards, sorted);
        for rank in [
            0,
            sorted.len() / 2,
            sorted.len().saturating_sub(1),
            sorted.len(),
        ] {
            let got = self.zset().get(rank).map(owned);
            assert_eq!(got.as_ref(), sorted.get(rank));
        }
        verify(&self.entry);
    }
}

fn verify(entry: &Entry) {
    if let ZsetRef::Large(zset) = ZsetRef::of(entry) {
        zset.verify().unwrap();
        assert_eq!(entry.encoding(), Encoding::Skiplist);
    }
}

fn owned((member, score): (Element<'_>, f64)) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

fn pairs(zset: ZsetRef<'_>, ranks: Option<Range<usize>>, reverse: bool) -> Vec<(Vec<u8>, f64)> {
    let ranks = ranks.unwrap_or(0..zset.len());
    let items = zset.items(ranks.clone(), reverse);
    assert_eq!(items.len(), ranks.len());
    items.map(owned).collect()
}

fn check(entries: usize, ops: &[Op]) {
    let mut checked = Checked {
        entry: Entry::packed(Type::Zset, b"key", &[], None),
        model: Model::default(),
        limits: limits(entries),
    };
    for (number, op) in ops.iter().enumerate() {
        checked.apply(op);
        checked.forget_signs_of_zero();
        if number % 16 == 0 {
            checked.verify();
        }
    }
    checked.verify();
    while let Some((member, _)) = checked.zset().get(0).map(owned) {
        assert!(checked.edit().remove(&member).is_some());
    }
    assert!(checked.entry.is_empty_collection());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_packed_one_is_a_sorted_map(ops in vec(op(40), 1..150)) {
        check(usize::MAX, &ops);
    }

    #[test]
    fn one_that_grows_is_a_sorted_map(ops in vec(op(300), 1..150)) {
        check(128, &ops);
    }

    #[test]
    fn a_large_one_is_a_sorted_map(ops in vec(op(20_000), 1..150)) {
        check(0, &ops);
    }
}

/// Three levels of tree, filled in every order and emptied from every side.
#[test]
fn a_tree_of_three_levels_keeps_its_order() {
    let count = 20_000_u64;
    let orders: [fn(u64) -> u64; 3] = [|n| n, |n| 20_000 - n, |n| n * 7919 % 20_000];
    for order in orders {
        let mut zset = Zset::new(*SEED);
        for n in 0..count {
            let score = order(n);
            assert_eq!(
                zset.insert(format!("m{score}").as_bytes(), score as f64),
                None
            );
        }
        zset.verify().unwrap();
        let mut copy = zset.begin_copy();
        while zset.copy_part(&mut copy) {}
        copy.verify().unwrap();
        for n in 0..count / 2 {
            let score = order(n);
            assert_eq!(
                zset.remove(format!("m{score}").as_bytes()),
                Some(score as f64)
            );
        }
        zset.verify().unwrap();
        let mut shown = 0;
        zset.remove_range(100..9_900, |_, _| shown += 1);
        zset.verify().unwrap();
        assert_eq!((shown, zset.len(), copy.len()), (9_800, 200, 20_000));
    }
}

#[test]
fn scanning_meets_every_member() {
    let mut zset = Zset::new(*SEED);
    for n in 0..5000 {
        zset.insert(format!("m{n}").as_bytes(), f64::from(n));
    }
    let (mut seen, mut cursor) = (BTreeMap::new(), 0);
    loop {
        cursor = ZsetRef::Large(&zset).scan(cursor, 10, |member, score| {
            seen.insert(member.to_vec(), score);
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 5000);
}

#[test]
fn a_stored_result_takes_the_smallest_form() {
    let result = || {
        let mut zset = Zset::new(*SEED);
        zset.insert(b"12", 0.1);
        zset.insert(b"b", -1.0);
        zset
    };
    let entry = zset::into_entry(b"key", result(), limits(2));
    assert!(matches!(entry.held(), Held::Packed(_)));
    assert_eq!(
        pairs(ZsetRef::of(&entry), None, false),
        [(b"b".to_vec(), -1.0), (b"12".to_vec(), 0.1)]
    );
    let entry = zset::into_entry(b"key", result(), limits(1));
    assert_eq!(entry.encoding(), Encoding::Skiplist);
    assert_eq!(ZsetRef::of(&entry).len(), 2);
}
