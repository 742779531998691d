//! Views show what the table held when they began, whatever writers do meanwhile.

mod table_support;

use ostraka_datatypes::raw::table::{Elements, Owned, Progress, ViewId, Visitor};
use proptest::prelude::*;
use std::any::Any;
use table_support::*;

/// Keys and values, sorted.
type Contents = Vec<(Vec<u8>, u64)>;

/// Remembers what it was shown.
#[derive(Default)]
struct Recorder(Contents);

impl<const WIDTH: u32> Visitor<Owned<Pair<WIDTH>>> for Recorder {
    fn visit(&mut self, elements: Elements<'_, Owned<Pair<WIDTH>>>) {
        self.0
            .extend(elements.map(|pair| (pair.key.clone(), pair.value)));
    }
}

fn contents<const WIDTH: u32>(table: &PairTable<WIDTH>) -> Contents {
    let mut all: Contents = table
        .iter()
        .map(|pair| (pair.key.clone(), pair.value))
        .collect();
    all.sort_unstable();
    all
}

fn end<const WIDTH: u32>(table: &mut PairTable<WIDTH>, id: ViewId) -> Contents {
    let visitor: Box<dyn Any> = table.end_view(id).unwrap();
    let mut seen = visitor.downcast::<Recorder>().unwrap().0;
    seen.sort_unstable();
    seen
}

#[derive(Clone, Debug)]
enum Turn {
    Edit(Edit),
    Begin,
    /// Which view, and over how many segments.
    Step(usize, usize),
    Abandon(usize),
}

fn turns(keys: u64) -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => edits(keys).prop_map(Turn::Edit),
        2 => Just(Turn::Begin),
        4 => (any::<usize>(), 0..12usize).prop_map(|(view, count)| Turn::Step(view, count)),
        1 => any::<usize>().prop_map(Turn::Abandon),
    ]
}

/// A table with its living views and what each of them has to see.
struct Viewed<const WIDTH: u32> {
    checked: Checked<WIDTH>,
    views: Vec<(ViewId, Contents)>,
}

impl<const WIDTH: u32> Viewed<WIDTH> {
    fn apply(&mut self, turn: &Turn) {
        match turn {
            Turn::Edit(edit) => self.checked.apply(edit),
            Turn::Begin => self.begin(),
            Turn::Step(view, count) if !self.views.is_empty() => {
                self.step(view % self.views.len(), *count)
            }
            Turn::Abandon(view) if !self.views.is_empty() => self.abandon(view % self.views.len()),
            Turn::Step(..) | Turn::Abandon(_) => {}
        }
        assert_eq!(self.checked.table.views(), self.views.len());
    }

    fn begin(&mut self) {
        let expected = contents(&self.checked.table);
        let id = self.checked.table.begin_view(Box::new(Recorder::default()));
        self.views.push((id, expected));
    }

    fn step(&mut self, view: usize, count: usize) {
        let table = &mut self.checked.table;
        if table.step_view(self.views[view].0, count) == Progress::Done {
            let (id, expected) = self.views.swap_remove(view);
            assert_eq!(end(table, id), expected);
            assert_eq!(table.step_view(id, 1), Progress::Done);
            assert!(table.end_view(id).is_none());
        }
    }

    fn abandon(&mut self, view: usize) {
        let (id, expected) = self.views.swap_remove(view);
        let seen = end(&mut self.checked.table, id);
        assert!(seen.windows(2).all(|two| two[0] != two[1]));
        assert!(
            seen.iter()
                .all(|element| expected.binary_search(element).is_ok())
        );
    }
}

fn check_views<const WIDTH: u32>(turns: &[Turn]) {
    let mut viewed = Viewed::<WIDTH> {
        checked: Checked::new(),
        views: Vec::new(),
    };
    turns.iter().for_each(|turn| viewed.apply(turn));
    while !viewed.views.is_empty() {
        viewed.step(0, 3);
    }
    viewed.checked.verify();
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn views_see_the_moment_they_began(turns in prop::collection::vec(turns(scaled(12_000) as u64), 0..60)) {
        check_views::<64>(&turns);
    }

    #[test]
    fn views_of_small_tables_see_the_moment_they_began(turns in prop::collection::vec(turns(50), 0..200)) {
        check_views::<64>(&turns);
    }

    #[test]
    fn views_of_colliding_elements_see_the_moment_they_began(turns in prop::collection::vec(turns(600), 0..40)) {
        check_views::<4>(&turns);
    }
}

#[test]
fn a_view_sees_all_of_a_table_that_is_emptied_behind_its_back() {
    let size = scaled(30_000) as u64;
    let mut table = filled(0..size);
    let expected = contents(&table);
    let view = table.begin_view(Box::new(Recorder::default()));
    (0..size).for_each(|number| assert!(remove(&mut table, number)));
    assert_eq!(table.step_view(view, 1), Progress::Done);
    assert_eq!(end(&mut table, view), expected);
}

#[test]
fn a_view_sees_a_segment_that_a_writer_merges_into_its_own() {
    // Two segments; one is nearly empty when the view begins, and writers shrink the other until both are merged.
    let mut table = filled(0..2_500);
    let is_upper = |number: &u64| hash_of::<64>(&key_of(*number)) >> 63 == 1;
    let (upper, lower): (Vec<u64>, Vec<u64>) = (0..2_500).partition(is_upper);
    upper[100..]
        .iter()
        .for_each(|&number| assert!(remove(&mut table, number)));
    let (expected, before) = (contents(&table), table.bytes());
    let view = table.begin_view(Box::new(Recorder::default()));
    lower[50..]
        .iter()
        .for_each(|&number| assert!(remove(&mut table, number)));
    assert!(table.bytes() < before / 4, "{before} {}", table.bytes());
    while table.step_view(view, 1) == Progress::More {}
    assert_eq!(end(&mut table, view), expected);
}

#[test]
fn a_hint_is_not_a_write() {
    let mut table = filled(0..100);
    let view = table.begin_view(Box::new(Recorder::default()));
    let key = key_of(5);
    table
        .get_mut(hash_of::<64>(&key), &key)
        .unwrap()
        .set_hint(99);
    assert!(end(&mut table, view).is_empty());
}

#[test]
fn a_step_is_as_short_as_it_was_asked_to_be() {
    let mut table = filled(0..scaled(100_000) as u64);
    let view = table.begin_view(Box::new(Recorder::default()));
    assert_eq!(table.step_view(view, 1), Progress::More);
    assert!((1..2_000).contains(&end(&mut table, view).len()));
}
